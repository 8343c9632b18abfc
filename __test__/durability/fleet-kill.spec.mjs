// Processes that share a journal in PostgreSQL are killed at random moments, again and again: what was
// promised is delivered, and the log shows each call once.

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { openEngine } from '../support/engine.mjs'
import { fleetDatabase, until } from '../support/fleet.mjs'
import { forwardedIn } from '../support/forwarded.mjs'
import { callsOf, killEach, seededRandom } from '../support/kill.mjs'
import { receiver } from '../support/receiver.mjs'

/** The lease of processes that are killed: the next ones need not wait for long. */
const KILLED = { leaseMs: 1000 }
/** That of nodes that finish: longer than a loaded machine makes one wait. */
const FINISHING = { leaseMs: 8000 }

const TERMINAL = ['delivered', 'failed', 'discarded']

/**
 * @param {import('node:test').TestContext} t
 * @param {{ kills: number, onInterrupted: 'resend' | 'fail' }} settings
 */
async function survive(t, { kills, onInterrupted }) {
  const database = await fleetDatabase(t)
  const server = await receiver(t)
  const settings = () => ({ journal: database.journal(KILLED), url: server.url, onInterrupted })
  const promised = await killEach(seededRandom(t), { script: 'killed.mjs', settings, kills })
  const journal = database.journal(FINISHING)
  const engine = await openEngine(t, { journal, http: { onInterrupted } })
  const deliveries = await until(async () => {
    const open = await database.rows('SELECT 1 FROM fleet.executions WHERE finished_at IS NULL')
    return open.length === 0 && engine.deliveries({ limit: 1_000_000 })
  })
  assert.ok(deliveries.every(({ status }) => TERMINAL.includes(status)))
  const places = deliveries.map(({ executionId, index }) => `${executionId}/${index}`)
  assert.equal(new Set(places).size, places.length)
  /** @type {Map<string, string[]>} */
  const arrived = new Map()
  for (const { text, headers } of server.requests) {
    const { executionId, call } = JSON.parse(text)
    const name = `${executionId}/${call}`
    arrived.set(name, [...(arrived.get(name) ?? []), String(headers['idempotency-key'])])
  }
  for (const name of arrived.keys()) assert.doesNotMatch(name, /\/99$/)
  return { promised, deliveries, arrived }
}

test('8 kills lose nothing that was promised, and repeat with the same key', async (t) => {
  const { promised, deliveries, arrived } = await survive(t, { kills: 8, onInterrupted: 'resend' })
  for (const call of callsOf(promised)) assert.ok(arrived.has(call), `${call} was lost`)
  assert.ok(deliveries.every(({ status }) => status !== 'failed'))
  let repeated = 0
  for (const keys of arrived.values()) {
    assert.equal(new Set(keys).size, 1)
    repeated += keys.length - 1
  }
  t.diagnostic(`${promised.size} promises, ${arrived.size} calls, ${repeated} repeated`)
})

test("with onInterrupted: 'fail' no call arrives twice", async (t) => {
  const { promised, deliveries, arrived } = await survive(t, { kills: 5, onInterrupted: 'fail' })
  for (const [name, keys] of arrived) assert.equal(keys.length, 1, name)
  const failed = deliveries.filter(({ status }) => status === 'failed')
  for (const { error } of failed) assert.equal(error?.code, 'ERR_SEND_INTERRUPTED')
  const missing = new Set(failed.map(({ executionId, index }) => `${executionId}/${index}`))
  for (const call of callsOf(promised))
    assert.ok(arrived.has(call) || missing.has(call), `${call} was lost`)
})

test('6 kills forward each dead letter exactly once', async (t) => {
  const database = await fleetDatabase(t)
  const server = await receiver(t, (request, response) => {
    response.statusCode = request.path === '/ok' ? 200 : 500
    response.end()
  })
  const settings = () => ({ journal: database.journal(KILLED), url: server.origin })
  const killing = { script: 'on-failed-killed.mjs', settings, kills: 6 }
  await killEach(seededRandom(t), killing)
  // Two nodes finish what the others left.
  const journal = database.journal(FINISHING)
  const engines = await Promise.all([1, 2].map(() => openEngine(t, { journal, onFailed: 'dead' })))
  for (const engine of engines) engine.destination('dead', { deliver() {} })
  await until(async () => {
    const open = await database.rows(`SELECT 1 FROM fleet.executions WHERE finished_at IS NULL
      UNION ALL SELECT 1 FROM fleet.forwards`)
    return open.length === 0
  })
  const all = await engines[0].deliveries({ limit: 1_000_000 })
  const failed = all.filter(({ status }) => status === 'failed').map(({ id }) => id)
  const forwarded = all
    .filter(({ destination }) => /** @type {string} */ (destination) === 'dead')
    .map(({ request }) => forwardedIn(request))
  t.diagnostic(`${failed.length} dead letters`)
  assert.ok(failed.length > 6)
  assert.deepEqual(forwarded.sort(), failed.sort(), 'each once, and nothing else')
})
