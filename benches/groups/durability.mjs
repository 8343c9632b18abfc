// What it costs that nothing is lost: throughput, the completion hook, the next opening, the disk.

import { cpSync, mkdtempSync, rmSync, statSync, readdirSync } from 'node:fs'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { interleave, isBuilt, runCandidate } from '../children.mjs'
import { counted, startLoadServer } from '../servers/load.mjs'
import { startRedis } from '../servers/redis.mjs'
import { pairedRatios } from '../statistics.mjs'
import { detail, figure } from '../table.mjs'

const CALLS_EACH = 10
const REQUESTS = { ours: 60_000, bullmq: 8_000 }
const WARM_UP = 4_000
const COMPLETIONS = 20_000
const STEP_MS = 10
const BACKLOGS = { few: 1_000, many: 1_000_000 }
const SETTLED = { some: 200_000, many: 1_000_000 }

const folder = () => mkdtempSync(join(tmpdir(), 'dollar-send-durable-'))
const remove = (path) => rmSync(path, { recursive: true, force: true })

export async function durability(settings) {
  if (!(await isBuilt(settings.entry))) return { details: [], figures: figuresOf({}) }
  const server = await startLoadServer(settings)
  const redis = await startRedis()
  if (!redis) console.error('# BullMQ is not measured: apt-get install redis-server')
  try {
    const { entry, rounds } = settings
    const results = await interleave(rounds, {
      ...throughputs(server, entry, redis),
      completion: () => inFolder((dataDir) => completion(server, entry, dataDir, STEP_MS)),
      saturated: () => inFolder((dataDir) => completion(server, entry, dataDir, 0)),
    })
    const reopening = await reopenings(entry, rounds)
    const sizes = await settledSizes(server, entry)
    const all = { ...results, ...reopening, sizes }
    return { details: detailsOf(all), figures: figuresOf(all) }
  } finally {
    await redis?.stop()
    await server.stop()
  }
}

async function inFolder(run) {
  const parent = folder()
  try {
    return await run(join(parent, 'data'))
  } finally {
    remove(parent)
  }
}

function throughputs(server, entry, redis) {
  const { url } = server
  const argument = { entry, url, requests: REQUESTS.ours, warmUp: WARM_UP, callsEach: CALLS_EACH }
  const ours = (more) =>
    counted(server, 'dollar-send', () => runCandidate('durable.mjs', { ...argument, ...more }))
  const candidates = {
    memory: () => ours({}),
    fsync: () => inFolder((dataDir) => ours({ dataDir, durability: 'fsync' })),
    os: () => inFolder((dataDir) => ours({ dataDir, durability: 'os' })),
  }
  if (!redis) return candidates
  const { socket } = redis
  const job = { url, socket, requests: REQUESTS.bullmq, warmUp: 500 }
  const bullmq = () => counted(server, 'bullmq', () => runCandidate('bullmq.mjs', job))
  const added = () =>
    runCandidate('bullmq-completion.mjs', {
      url,
      socket,
      stepMs: STEP_MS,
      completions: COMPLETIONS,
      warmUp: WARM_UP,
    })
  return { ...candidates, bullmq, added }
}

const completion = (server, entry, dataDir, stepMs) =>
  runCandidate('completion.mjs', {
    entry,
    url: server.url,
    dataDir,
    stepMs,
    completions: COMPLETIONS,
    warmUp: WARM_UP,
  })

/** Directories with few and with many records that wait, opened once in each round. */
async function reopenings(entry, rounds) {
  const parent = folder()
  let answers = false
  const server = createServer((request, response) => {
    request.resume()
    if (answers) response.end('ok')
  })
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${server.address().port}/hook`
  const made = (name) => join(parent, name)
  const opened = (name) => async () => {
    const dataDir = join(parent, 'opened')
    cpSync(made(name), dataDir, { recursive: true })
    try {
      return await runUntilKilled({ entry, url, dataDir })
    } finally {
      remove(dataDir)
    }
  }
  try {
    for (const [name, records] of Object.entries(BACKLOGS))
      await runUntilKilled({ entry, url, dataDir: made(name), records })
    answers = true
    return await interleave(rounds, { few: opened('few'), many: opened('many') })
  } finally {
    server.closeAllConnections()
    server.close()
    remove(parent)
  }
}

/** The candidate kills itself when it has said what there is to say. */
const runUntilKilled = (argument) => runCandidate('backlog.mjs', argument, 'killed')

/** What is on the disk after so many settled deliveries. */
async function settledSizes(server, entry) {
  const sizes = {}
  for (const [name, requests] of Object.entries(SETTLED)) {
    sizes[name] = await inFolder(async (dataDir) => {
      const argument = { entry, url: server.url, requests, warmUp: 0, callsEach: CALLS_EACH }
      await runCandidate('durable.mjs', { ...argument, dataDir, durability: 'os' })
      return sizeOf(dataDir)
    })
  }
  return sizes
}

function sizeOf(directory) {
  const sizes = readdirSync(directory).map((name) => statSync(join(directory, name)).size)
  return sizes.reduce((sum, size) => sum + size, 0) / 1e6
}

const perSecond = (round) => round.requests / (round.elapsedMs / 1000)
const cpuEach = (round) => round.cpuUs / round.requests

const times = (name, rounds) => [
  detail(
    `${name}: median`,
    'µs',
    rounds.map(({ medianUs }) => medianUs),
  ),
  detail(
    `${name}: p99`,
    'µs',
    rounds.map(({ p99Us }) => p99Us),
  ),
]

function detailsOf(all) {
  const throughput = ['memory', 'fsync', 'os', 'bullmq'].filter((name) => all[name])
  return [
    ...throughput.flatMap((name) => [
      detail(`${name}: delivered`, 'req/s', all[name].map(perSecond)),
      detail(`${name}: CPU time of the process`, 'µs/req', all[name].map(cpuEach)),
    ]),
    detail(
      'one bare fsync: median',
      'µs',
      all.completion.map(({ fsyncUs }) => fsyncUs),
    ),
    detail(
      'one bare fsync: p99',
      'µs',
      all.completion.map(({ fsyncP99Us }) => fsyncP99Us),
    ),
    ...[
      ['completion', `steps of ${STEP_MS} ms`],
      ['saturated', 'steps of no time'],
    ].flatMap(([name, steps]) => times(`complete(), 32 at once, ${steps}`, all[name])),
    ...(all.added ? times('Queue.addBulk, 32 at once', all.added) : []),
    detail(
      'first delivery, 1,000 wait',
      'ms',
      all.few.map(({ elapsedMs }) => elapsedMs),
    ),
    detail(
      'first delivery, 1,000,000 wait',
      'ms',
      all.many.map(({ elapsedMs }) => elapsedMs),
    ),
    detail('on disk after 200,000 deliveries', 'MB', [all.sizes.some]),
    detail('on disk after 1,000,000 deliveries', 'MB', [all.sizes.many]),
  ]
}

function figuresOf({ memory, fsync, bullmq, added, completion: hooks, few, many, sizes }) {
  const ratio = (one, other, measure) =>
    one && other && pairedRatios(one.map(measure), other.map(measure))
  return [
    figure(
      'fsync against memory, executions of 10',
      '>=',
      0.6,
      'x',
      ratio(fsync, memory, perSecond),
    ),
    figure(
      'fsync against BullMQ on Redis, AOF always',
      '>=',
      5,
      'x',
      ratio(fsync, bullmq, perSecond),
    ),
    figure(
      'p99 of complete(), 32 at once, against one bare fsync',
      '<=',
      10,
      'x',
      hooks?.map(({ p99Us, fsyncUs }) => p99Us / fsyncUs),
    ),
    figure(
      'p99 of complete(), 32 at once, against Queue.addBulk of BullMQ, AOF always',
      '<=',
      0.3,
      'x',
      ratio(hooks, added, ({ p99Us }) => p99Us),
    ),
    figure(
      'first delivery with 1,000,000 waiting against 1,000',
      '<=',
      5,
      'x',
      ratio(many, few, ({ elapsedMs }) => elapsedMs),
    ),
    figure(
      'on disk after 1,000,000 deliveries against 200,000',
      '<=',
      1.5,
      'x',
      sizes && [sizes.many / sizes.some],
    ),
  ]
}
