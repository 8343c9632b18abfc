// Losses of power: a workload runs once on a watched disk, and its directory is opened as it would be
// found after losses at many points of that run.

import assert from 'node:assert/strict'
import {
  chmodSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
} from 'node:fs'
import { appendFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { once } from 'node:events'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { json } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { gunzipSync } from 'node:zlib'

import { Engine } from '../../js/index.mjs'
import { randomOf } from '../support/random.mjs'
import { CrashDisk, markOf, readTrace } from './crash-disk.mjs'
import { optionsOf } from './crash-workload.mjs'
import { runOnDisk } from './disk.mjs'

/** Losses of power from one run of a workload. */
const LOSSES_OF_A_RUN = 100
const OLD = fileURLToPath(new URL('../../tests/fixtures/journal-1', import.meta.url))

/** The share of each workload. */
const WORKLOADS = /** @type {const} */ ([
  ...['mixed', 'mixed', 'mixed', 'mixed', 'retention', 'retention', 'migration', 'migration'],
  'checkpoint',
])

/**
 * Loses power `count` times. Returns the violations, each with the numbers that repeat it.
 *
 * @param {{ count: number, seed: number, workloads?: readonly typeof WORKLOADS[number][] }} settings
 */
export async function losePower({ count, seed, workloads = WORKLOADS }) {
  const violations = []
  const tally = { losses: 0, promises: 0 }
  const part = Math.min(LOSSES_OF_A_RUN, Math.ceil(count / workloads.length))
  for (let run = 0; tally.losses < count; run++) {
    const workload = workloads[run % workloads.length]
    const losses = Math.min(part, count - tally.losses)
    const found = await loseOneRun({ workload, losses, seed: seed + run })
    tally.losses += losses
    tally.promises += found.promises
    violations.push(...found.violations)
  }
  return { ...tally, violations }
}

/** @param {{ workload: typeof WORKLOADS[number], losses: number, seed: number }} settings */
async function loseOneRun({ workload, losses, seed }) {
  const parent = mkdtempSync(join(tmpdir(), 'dollar-send-crash-'))
  const [watched, initial, trace] = ['watched', 'initial', 'trace'].map((name) =>
    join(parent, name),
  )
  mkdirSync(initial)
  if (workload === 'migration') {
    cpSync(OLD, join(initial, 'data'), { recursive: true })
    chmodSync(join(initial, 'data/journal.key'), 0o600)
  }
  cpSync(initial, watched, { recursive: true })
  const server = await receiver((name) => appendFileSync(trace, markOf(`arrived ${name}`)))
  const violations = []
  let promises = 0
  try {
    const settings = { workload, dataDir: join(watched, 'data'), url: server.url, seed }
    const ended = await runOnDisk('crash-workload.mjs', settings, { watched, trace })
    assert.deepEqual([ended.code, ended.stderr], [0, ''], `workload ${workload}, seed ${seed}`)
    const operations = readTrace(trace)
    const random = randomOf(seed)
    const points = Array.from({ length: losses }, () => Math.floor(random() * operations.length))
    const disk = new CrashDisk(initial)
    /** @type {string[]} */
    const marks = []
    let at = 0
    for (const point of points.sort((a, b) => a - b)) {
      for (; at < point; at++) {
        if (operations[at].type === 'mark') marks.push(operations[at].data.toString())
        disk.follow(operations[at])
      }
      const lost = mkdtempSync(join(parent, 'lost-'))
      disk.loseTo(lost, random)
      try {
        await check(workload, join(lost, 'data'), marks, server)
      } catch (error) {
        const { code, message } = /** @type {any} */ (error)
        violations.push(`${workload}, seed ${seed}, operation ${point}: ${code} ${message}`)
      }
      rmSync(lost, { recursive: true })
    }
    promises = marks.filter((mark) => !mark.startsWith('arrived')).length
  } finally {
    server.close()
    rmSync(parent, { recursive: true, force: true })
  }
  return { violations, promises }
}

/**
 * Opens a directory after a loss, delivers what waits, and compares it with what was promised.
 *
 * @param {typeof WORKLOADS[number]} workload
 * @param {string} dataDir
 * @param {string[]} marks
 * @param {Awaited<ReturnType<typeof receiver>>} server
 */
export async function check(workload, dataDir, marks, server) {
  server.arrived.clear()
  const before = new Set(wordsOf(marks, 'arrived').map(([name]) => name))
  const engine = await Engine.open(optionsOf(workload, dataDir))
  try {
    await engine.flush({ timeoutMs: 30_000 })
    const deliveries = await engine.deliveries({ limit: 100_000 })
    assert.equal(new Set(deliveries.map(({ id }) => id)).size, deliveries.length, 'ids are unique')
    for (const { status, executionId } of deliveries)
      assert.match(status, /^(delivered|failed|discarded)$/, `a call of ${executionId}`)
    for (const [id] of wordsOf(marks, 'replayed'))
      assert.ok(
        deliveries.some((delivery) => delivery.id === id),
        `the replay ${id} was lost`,
      )
    const objects = count(recordsIn(join(dataDir, 's3')))
    for (const [name, times] of objects) assert.equal(times, 1, `${name} is in ${times} objects`)
    for (const [id, ...kinds] of wordsOf(marks, 'kept')) {
      for (const [call, kind] of kinds.entries()) {
        const name = `${id}/${call}`
        const there = { s3: objects, http: server.arrived }[kind]?.has(name)
        assert.ok(there || (kind === 'http' && before.has(name)), `${kind} ${name} was lost`)
      }
    }
  } finally {
    await engine.close({ timeoutMs: 0 })
  }
}

/**
 * @param {string[]} marks
 * @param {string} word
 */
const wordsOf = (marks, word) =>
  marks.map((mark) => mark.split(' ')).flatMap(([first, ...rest]) => (first === word ? [rest] : []))

/** @param {string} folder */
function recordsIn(folder) {
  /** @type {string[]} */
  let files = []
  try {
    files = readdirSync(folder, { recursive: true, encoding: 'utf8' })
  } catch {
    return []
  }
  return files
    .filter((name) => name.endsWith('.gz'))
    .flatMap((name) =>
      gunzipSync(readFileSync(join(folder, name)))
        .toString()
        .trim()
        .split('\n'),
    )
    .map((line) => JSON.parse(line))
    .map(({ id, call }) => `${id}/${call}`)
}

/** @param {string[]} names */
function count(names) {
  /** @type {Map<string, number>} */
  const times = new Map()
  for (const name of names) times.set(name, (times.get(name) ?? 0) + 1)
  return times
}

/** @param {(name: string) => void} note called before a request is answered */
export async function receiver(note) {
  /** @type {Set<string>} */
  const arrived = new Set()
  const server = createServer(async (request, response) => {
    const body = /** @type {any} */ (await json(request).catch(() => undefined))
    if (!body) return
    const name = `${body.id}/${body.call}`
    arrived.add(name)
    if (note) note(name)
    response.statusCode = request.url === '/bad' ? 500 : 200
    response.end()
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = /** @type {import('node:net').AddressInfo} */ (server.address())
  return {
    url: `http://127.0.0.1:${port}`,
    arrived,
    close() {
      server.closeAllConnections()
      server.close()
    },
  }
}
