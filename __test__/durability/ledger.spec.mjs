// The ledger: numbered calls of which some fail, a process that is killed again and again, and replays
// from three sides at once. Each call is delivered once, or listed as unresolved.
//
// The long form: npm run test:long -- ledger

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

import { dataDirectory } from '../support/data-dir.mjs'
import { openEngine } from '../support/engine.mjs'
import { seededRandom } from '../support/kill.mjs'
import { PATIENT } from '../support/patience.mjs'
import { receiver } from '../support/receiver.mjs'

const CALLS = Number(process.env.LEDGER_CALLS ?? 2000)
const FAILING = 0.05
/** One in so many is always refused: it stays unresolved, however often it is replayed. */
const HOPELESS = 50
/** Kills after everything is recorded. */
const KILLS = 6
const CONCURRENCY = 8
/** Milliseconds that a process lives on, at most. */
const MOST_MILLISECONDS = 400
const SCRIPT = fileURLToPath(new URL('../support/ledger-killed.mjs', import.meta.url))
const MAIN = fileURLToPath(new URL('../../js/cli/main.mjs', import.meta.url))

/**
 * Runs a process for a random time and kills it, with replays by REST and by the command meanwhile.
 *
 * @param {{ dataDir: string, url: string, from: number, to: number }} settings
 * @param {number} milliseconds
 * @returns {Promise<number>} the calls that are promised
 */
async function runAndKill(settings, milliseconds) {
  const stdio = /** @type {const} */ (['ignore', 'pipe', 'inherit'])
  const child = spawn(process.execPath, [SCRIPT, JSON.stringify(settings)], { stdio })
  const closed = once(child, 'close')
  const gone = new AbortController()
  void closed.then(() => gone.abort())
  let promised = settings.from
  /** @type {Promise<unknown>[]} */
  const others = []
  for await (const line of createInterface(child.stdout)) {
    const [word, value] = line.split(' ')
    if (word === 'kept') promised = Number(value)
    if (word === 'open') {
      others.push(replayByRest(value, gone.signal), replayByCommand(value))
      setTimeout(() => child.kill('SIGKILL'), milliseconds)
    }
  }
  const [, signal] = await closed
  assert.equal(signal, 'SIGKILL')
  await Promise.all(others)
  return promised
}

/**
 * Replays until the server is gone. Node 20's `fetch` sometimes never notices, so the signal tells it.
 *
 * @param {string} url
 * @param {AbortSignal} signal
 */
async function replayByRest(url, signal) {
  const init = {
    method: 'POST',
    signal,
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ status: 'failed', wait: false }),
  }
  for (;;) {
    const response = await fetch(`${url}/v1/replays`, init).catch(() => undefined)
    if (!response) return
    assert.ok([202, 503].includes(response.status), String(response.status))
    await response.text().catch(() => '')
  }
}

/** @param {string} url */
async function replayByCommand(url) {
  const child = spawn(process.execPath, [MAIN, 'replay', '--url', url, '--yes', '--json'], {
    stdio: 'ignore',
  })
  await once(child, 'close')
}

/**
 * A receiver that fails a share of the requests, and counts what it accepted.
 *
 * @param {import('node:test').TestContext} t
 * @param {() => number} random
 */
async function ledgerOf(t, random) {
  const state = { failing: FAILING }
  /** @type {Map<number, { keys: Set<unknown>, accepted: number }>} */
  const arrivals = new Map()
  const server = await receiver(t, ({ text, headers }, response) => {
    const { n } = JSON.parse(text)
    const arrival = arrivals.get(n) ?? { keys: new Set(), accepted: 0 }
    arrivals.set(n, arrival)
    arrival.keys.add(headers['idempotency-key'])
    const isRefused = n % HOPELESS === 0 || random() < state.failing
    response.statusCode = isRefused ? 500 : 200
    if (response.statusCode === 200) arrival.accepted++
    response.end()
  })
  return { url: server.url, state, arrivals }
}

test(`${CALLS} calls are each delivered once, or listed as unresolved`, async (t) => {
  const random = seededRandom(t)
  const { url, state, arrivals } = await ledgerOf(t, random)
  const dataDir = dataDirectory(t)
  let [from, lives] = [0, 0]
  for (let kills = 0; from < CALLS || kills < KILLS; lives++) {
    if (from === CALLS) kills++
    const milliseconds = Math.floor(random() * MOST_MILLISECONDS)
    from = await runAndKill({ dataDir, url, from, to: CALLS }, milliseconds)
  }
  // Half of what is left cannot be delivered.
  state.failing = 0.5
  const engine = await openEngine(t, {
    dataDir,
    http: { perHostConcurrency: CONCURRENCY },
    log: { maxExecutionsPerWorkflow: 1_000_000 },
  })
  await engine.flush(PATIENT)
  const { replayed } = await engine.replay({ status: 'failed' })
  await engine.flush(PATIENT)

  const deliveries = await engine.deliveries({ limit: 1_000_000 })
  /** @type {Map<string, any[]>} */
  const calls = new Map()
  const roots = new Map()
  for (const delivery of deliveries.reverse()) {
    const root = delivery.replayOf ? roots.get(delivery.replayOf) : delivery.id
    roots.set(delivery.id, root)
    calls.set(root, [...(calls.get(root) ?? []), delivery])
  }
  const known = [...calls.values()]
  const deliveredIn = (/** @type {any[]} */ chain) =>
    chain.filter(({ status }) => status === 'delivered').length
  const numbers = known.map(([first]) => JSON.parse(/** @type {any} */ (first.request).body).n)
  // An execution that was cut off before its promise may be there, and is recorded again then.
  const expected = new Set(Array.from({ length: CALLS }, (_, n) => n))
  assert.deepEqual(new Set(numbers), expected, 'no call is lost')
  assert.deepEqual(
    known.filter((chain) => deliveredIn(chain) > 1),
    [],
    'none is delivered twice',
  )
  const unresolved = known.filter((chain) => deliveredIn(chain) === 0)
  const dead = await engine.replay({ status: 'failed' }, { dryRun: true })
  assert.equal(dead.count, unresolved.length, 'the rest is listed')
  assert.ok(
    unresolved.length >= Math.ceil(CALLS / HOPELESS),
    'what is always refused is unresolved',
  )
  const delivered = known.length - unresolved.length
  t.diagnostic(
    `${lives} lives, ${deliveries.length} deliveries of ${known.length} calls; at the end ` +
      `${replayed.length} were replayed and ${unresolved.length} are unresolved`,
  )

  const runs = await engine.executions({ limit: 1_000_000 })
  const sum = (/** @type {'delivered' | 'failed' | 'total' | 'pending'} */ member) =>
    runs.reduce((all, run) => all + run[member], 0)
  assert.deepEqual(
    [sum('delivered'), sum('failed'), sum('pending'), sum('total')],
    [delivered, unresolved.length, 0, known.length],
    'Dest.',
  )
  checkRepetitions(numbers, arrivals)
})

/**
 * Checks that what was received again had the key of its delivery.
 *
 * @param {number[]} numbers of the calls in the log
 * @param {Map<number, { keys: Set<unknown>, accepted: number }>} arrivals
 */
function checkRepetitions(numbers, arrivals) {
  const perNumber = new Map()
  for (const n of numbers) perNumber.set(n, (perNumber.get(n) ?? 0) + 1)
  for (const [n, { keys }] of arrivals) {
    assert.ok(keys.size <= perNumber.get(n), `${n} has ${keys.size} keys`)
  }
}
