// Three nodes that share a journal in PostgreSQL, and faults of processes, network and database, one
// after the other, while they work. Nothing that was promised is lost.

import { once } from 'node:events'
import { createServer } from 'node:http'
import { json } from 'node:stream/consumers'

import { KEY, cuttable, until } from '../support/fleet.mjs'
import { postgresServer } from '../support/postgres.mjs'
import { randomOf } from '../support/random.mjs'
import { at as storedAt, s3Server } from '../support/s3.mjs'
import { FAULTS, LEASE } from './fleet-faults.mjs'
import { Ledger, TAKE_OVER } from './fleet-ledger.mjs'
import { startWorker } from './fleet-worker.mjs'

const NODES = 3
const LINES = 4
/** Promises between two faults. */
const PROMISES = 20
/** Milliseconds after which what is missing counts as lost. */
const LOST = 90_000
/** Calls on their way past which nothing is promised for a while: a slow machine delivers them in seconds. */
const ON_THEIR_WAY = 400
/** Milliseconds between two looks at that. */
const LOOK = 50

/** @typedef {Awaited<ReturnType<typeof member>>} Member */

/** Executions that have not ended, with what is left of them. */
const OPEN = `SELECT e.serial, e.execution_id, to_jsonb(e) - 'metadata' AS execution,
    (SELECT json_agg(json_build_array(d.seq, d.destination, d.status))
      FROM fleet.deliveries d WHERE d.execution = e.serial) AS deliveries,
    (SELECT json_agg(json_build_array(c.first_seq, c.calls, c.shard, c.is_open, s.owner, i.first_seq))
      FROM fleet.commits c LEFT JOIN fleet.shards s USING (shard) LEFT JOIN fleet.inbox i USING (first_seq)
      WHERE c.execution = e.serial) AS commits,
    (SELECT json_agg(a) FROM fleet.attempts a JOIN fleet.commits c
      ON a.seq >= c.first_seq AND a.seq < c.first_seq + c.calls WHERE c.execution = e.serial) AS attempts,
    (SELECT json_agg(json_build_array(b.id, b.shard, b.sealed_at, b.note, b.conclusion, length(b.records)))
      FROM fleet.batches b) AS batches,
    (SELECT json_agg(n) FROM fleet.nodes n) AS nodes
  FROM fleet.executions e WHERE e.finished_at IS NULL LIMIT 3`

/**
 * Runs `count` rounds of one fault each. Returns the violations and what was seen.
 *
 * @param {{ count: number, seed: number }} settings
 */
export async function disturbFleet({ count, seed }) {
  /** @type {Array<() => unknown>} */
  const ends = []
  const t = { after: (/** @type {() => unknown} */ end) => ends.unshift(end) }
  try {
    return await run(t, { count, random: randomOf(seed) })
  } finally {
    for (const end of ends) await end()
  }
}

/**
 * @param {{ after(fn: () => unknown): void }} t
 * @param {{ count: number, random: () => number }} settings
 */
async function run(t, { count, random }) {
  const ledger = new Ledger()
  const database = await postgresServer(t)
  const store = await s3Server(t)
  const hosts = [await host(t, ledger), await host(t, ledger)]
  const shared = { database, store, hosts, ledger }
  const members = await Promise.all(
    Array.from({ length: NODES }, (_, at) => member(t, { at, ...shared })),
  )
  const fleet = { members, database }
  const looks = setInterval(() => {
    const word = ledger.onTheirWay(hosts) > ON_THEIR_WAY ? 'wait' : 'go'
    for (const { node } of members) node.say(word)
  }, LOOK)
  t.after(() => clearInterval(looks))
  /** @type {string[]} */
  let order = []
  let slowest = 0
  for (let round = 0; round < count; round++) {
    if (order.length === 0) order = shuffled(Object.keys(FAULTS), random)
    const name = String(order.pop())
    const took = await disturb(fleet, { name, ledger, hosts, random })
    slowest = Math.max(slowest, took)
    if (process.env.FLEET_VERBOSE) console.log(round, name, took)
    if (took > TAKE_OVER) ledger.violations.push(`round ${round}, ${name}: ${took} ms to take over`)
    if (took > LOST) return { ...ledger.seen(), slowest }
  }
  await Promise.all(members.map((one) => one.end()))
  // What a node had not delivered when it was closed waits for another.
  const last = await member(t, { at: NODES, lines: 0, ...shared })
  const open = async () => await database.rows(OPEN)
  await until(async () => (await open()).length === 0).catch(async (error) => {
    throw new Error(`executions did not end: ${JSON.stringify(await open())}`, { cause: error })
  })
  await last.end()
  const rows = await database.rows('SELECT line, turn::int AS turn FROM rows')
  const records = (await store.objects()).flatMap(({ lines }) =>
    lines.map((line) => JSON.parse(line)),
  )
  const log =
    await database.rows(`SELECT e.execution_id AS id, d.call_index, count(*)::int AS times,
      count(*) FILTER (WHERE d.status = 'delivered')::int AS delivered,
      bool_or(d.attempts > 1 OR d.warnings IS NOT NULL) AS is_repeated
    FROM fleet.deliveries d JOIN fleet.executions e ON e.serial = d.execution
    GROUP BY 1, 2`)
  ledger.judge(hosts, { rows, records, log })
  return { ...ledger.seen(), slowest }
}

/**
 * Lets the fleet work, disturbs it, and waits until it has caught up. Returns the milliseconds of that.
 *
 * @param {import('./fleet-faults.mjs').Fleet} fleet
 * @param {{ name: string, ledger: Ledger, hosts: string[], random: () => number }} round
 */
async function disturb(fleet, { name, ledger, hosts, random }) {
  const kept = () => [...ledger.promised.values()].reduce((sum, turns) => sum + turns.size, 0)
  const before = kept()
  const most = before + 1 + Math.floor(random() * PROMISES)
  await until(() => kept() >= most)
  const fault = { name, from: Date.now(), to: Infinity }
  ledger.faults.push(fault)
  await FAULTS[name](fleet, random)
  const mended = Date.now()
  const awaited = new Set(ledger.missing(hosts))
  await until(() => {
    for (const call of awaited) if (ledger.arrived.has(call)) awaited.delete(call)
    return awaited.size === 0 || Date.now() - mended > LOST
  })
  const first = kept()
  // Work goes on at each node, too.
  await until(() => kept() > first || Date.now() - mended > LOST)
  fault.to = Date.now()
  return fault.to - mended
}

/**
 * A node with its own way to the database, which can be replaced by another.
 *
 * @param {{ after(fn: () => unknown): void }} t
 * @param {{ at: number, lines?: number, database: any, store: any, hosts: string[], ledger: Ledger }} settings
 */
async function member(t, { at, lines = LINES, database, store, hosts, ledger }) {
  const way = await cuttable(t, database)
  const journal = { postgres: { url: way.url, schema: 'fleet' }, key: KEY, leaseMs: LEASE }
  const batch = { intervalMs: 200 }
  const sql = { postgres: { url: database.url }, batch }
  const s3 = storedAt(store.endpoint, { batch })
  const http = { perHostConcurrency: 1 }
  let life = 0
  const start = () =>
    startWorker(
      t,
      {
        name: `${at}.${life++}`,
        lines,
        hosts,
        options: { journal: { ...journal, patienceMs: 5000 }, sql, s3, http },
      },
      ([word, line, turn]) => {
        if (word === 'kept') ledger.keep(line, Number(turn))
        if (word === 'refused') ledger.refused.add(`${line}/${turn}`)
      },
    )
  const self = {
    way,
    node: await start(),
    async replace() {
      await self.node.kill()
      self.node = await start()
    },
    end: () => self.node.end(),
  }
  return self
}

/**
 * A host that notes what arrives. Returns its URL.
 *
 * @param {{ after(fn: () => unknown): void }} t
 * @param {Ledger} ledger
 */
async function host(t, ledger) {
  const server = createServer(async (request, response) => {
    const body = /** @type {any} */ (await json(request).catch(() => undefined))
    if (!body) return
    const key = String(request.headers['idempotency-key'] ?? '')
    ledger.note({ host: url, ...body, key, at: Date.now() })
    response.end('ok')
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = /** @type {import('node:net').AddressInfo} */ (server.address())
  const url = `http://127.0.0.1:${port}/`
  t.after(() => {
    server.close()
    server.closeAllConnections()
  })
  return url
}

/** @param {string[]} all @param {() => number} random */
function shuffled(all, random) {
  const keyed = all.map((name) => ({ name, at: random() }))
  return keyed.sort((one, other) => one.at - other.at).map(({ name }) => name)
}
