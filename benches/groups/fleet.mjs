// Nodes that share a journal in PostgreSQL: throughput against queues in the same server, more nodes, the completion
// hook, what is written, and the time until another node takes over.

import { randomBytes } from 'node:crypto'
import { availableParallelism } from 'node:os'
import { setTimeout as pause } from 'node:timers/promises'

import { interleave, isBuilt, runCandidate } from '../children.mjs'
import { startNginx } from '../servers/nginx.mjs'
import { counted } from '../servers/load.mjs'
import { startPostgres } from '../servers/postgres.mjs'
import { pairedRatios } from '../statistics.mjs'
import { detail, figure } from '../table.mjs'

const CALLS_EACH = 10
const HOSTS = Array.from({ length: 64 }, (_, host) => `127.0.0.${host + 1}`)
const QUEUES = {
  ours: { name: 'dollar-send', script: 'durable.mjs', requests: 40_000, warmUp: 2_000 },
  bullmq: { name: 'BullMQ', script: 'bullmq.mjs', requests: 4_000, warmUp: 500 },
  graphile: {
    name: 'graphile-worker',
    script: 'graphile-worker.mjs',
    requests: 20_000,
    warmUp: 1_000,
  },
}
const NODES = { one: 1, three: 3 }
const FLEET = { requests: 40_000, warmUp: 2_000 }
const [IDLE_TRIES, IDLE_PAUSE_MS] = [200, 50]
const COMPLETION = { completions: 10_000, warmUp: 500, stepMs: 10 }

export async function fleet(settings) {
  if (!(await isBuilt(settings.entry))) return { details: [], figures: figuresOf({}) }
  const postgres = await startPostgres({ max_connections: '200' })
  const nginx = await startNginx(undefined, HOSTS)
  try {
    if (!postgres || !nginx) {
      console.error('# not measured: node scripts/postgres-server.mjs and nginx-light are needed')
      return { details: [], figures: figuresOf({}) }
    }
    const results = await interleave(settings.rounds, candidatesOf(postgres, nginx, settings))
    return { details: detailsOf(results), figures: figuresOf(results) }
  } finally {
    await nginx?.stop()
    await postgres?.stop()
  }
}

function candidatesOf(postgres, server, { entry }) {
  const key = randomBytes(32).toString('base64')
  const journal = (url) => ({ postgres: { url }, key })
  const round = (name, script, argument) => () =>
    inDatabase(postgres, (url) =>
      counted(server, name, () =>
        runCandidate(script, { entry, journal: journal(url), url: server.url, ...argument(url) }),
      ),
    )
  const queues = Object.entries(QUEUES).map(([key, { name, script, ...sizes }]) => {
    const argument = (url) => ({ postgres: url, callsEach: CALLS_EACH, ...sizes })
    return [key, round(name, script, argument)]
  })
  const of = (nodes, more) =>
    round(`${nodes} nodes`, 'fleet.mjs', () => {
      return { nodes, urls: server.urls, callsEach: CALLS_EACH, ...FLEET, ...more }
    })
  const completion = (isPeer) =>
    round('complete()', 'fleet-completion.mjs', () => ({ ...COMPLETION, isPeer }))
  return {
    ...Object.fromEntries(queues),
    one: of(NODES.one),
    three: of(NODES.three),
    completion: completion(false),
    inserted: completion(true),
    killed: of(2, { isKilled: true }),
  }
}

let databases = 0

/** Runs a round in a database of its own, and adds the rows that its tables were written. */
async function inDatabase({ url, psql }, run) {
  const name = `round_${databases++}`
  await psql(`CREATE DATABASE ${name} OWNER loader`)
  // The pages that a round writes first after a checkpoint are logged as a whole: all rounds begin with one.
  await psql('CHECKPOINT')
  try {
    const result = await run(url.replace(/events$/, name))
    await idle(psql, name)
    const written = 'sum(n_tup_ins + n_tup_upd + n_tup_del)'
    const rows = Number(await psql(`SELECT ${written} FROM pg_stat_user_tables`, name))
    return { ...result, rows }
  } finally {
    await psql(`DROP DATABASE ${name} WITH (FORCE)`)
  }
}

/** Waits until the connections to a database have ended: only then are their statistics complete. */
async function idle(psql, name) {
  const others = `SELECT count(*) FROM pg_stat_activity
    WHERE datname = '${name}' AND backend_type = 'client backend'`
  for (let tries = 0; tries < IDLE_TRIES; tries++) {
    if (Number(await psql(others, 'postgres')) === 0) return
    await pause(IDLE_PAUSE_MS)
  }
  throw new Error(`${name}: a connection of the candidate does not end`)
}

const perSecond = (round) => round.requests / (round.elapsedMs / 1000)
const cpuEach = (round) => round.cpuUs / round.requests
const walEach = (round) => round.walBytes / round.requests
const rowsEach = (round) => round.rows / (round.requests + round.warmUp)
const p99 = (round) => round.p99Us
const seconds = (round) => round.elapsedMs / 1000

function detailsOf(all) {
  const cores = `${availableParallelism()} cores`
  return [
    ...Object.entries(QUEUES).flatMap(([key, { name }]) => [
      detail(`${name}: delivered`, 'req/s', all[key].map(perSecond)),
      detail(`${name}: CPU time of the process`, 'µs/req', all[key].map(cpuEach)),
      detail(`${name}: rows written`, 'rows/req', all[key].map(rowsEach)),
      detail(`${name}: WAL`, 'B/req', all[key].map(walEach)),
    ]),
    ...Object.entries(NODES).map(([key, nodes]) =>
      detail(`nodes: ${nodes}, 64 hosts, ${cores}: delivered`, 'req/s', all[key].map(perSecond)),
    ),
    ...[
      ['completion', 'complete()'],
      ['inserted', 'pg, the same rows'],
    ].flatMap(([key, name]) => [
      detail(
        `${name}, 32 at once: median`,
        'µs',
        all[key].map(({ medianUs }) => medianUs),
      ),
      detail(`${name}, 32 at once: p99`, 'µs', all[key].map(p99)),
    ]),
  ]
}

function figuresOf({ ours, bullmq, graphile, one, three, completion, inserted, killed }) {
  const ratio = (a, b, measure) => a && b && pairedRatios(a.map(measure), b.map(measure))
  const against = (name, peer) => [
    figure(`deliveries/s of one node against ${name}`, '>=', 3, 'x', ratio(ours, peer, perSecond)),
    figure(`rows written against ${name}`, '<=', 0.5, 'x', ratio(ours, peer, rowsEach)),
    figure(`bytes of WAL against ${name}`, '<=', 0.5, 'x', ratio(ours, peer, walEach)),
  ]
  return [
    ...against('BullMQ on PostgreSQL', bullmq),
    ...against('graphile-worker', graphile),
    figure(
      `deliveries/s of three nodes against one, ${availableParallelism()} cores`,
      '>=',
      2,
      'x',
      ratio(three, one, perSecond),
    ),
    figure(
      'p99 of complete(), 32 at once, against INSERT and COMMIT by pg',
      '<=',
      1.2,
      'x',
      ratio(completion, inserted, p99),
    ),
    figure('first delivery after SIGKILL of a node', '<=', 15, 's', killed?.map(seconds)),
  ]
}
