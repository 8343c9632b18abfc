// A process is killed at random moments, again and again, over one data directory: what was promised
// is delivered, and nothing else.

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { dataDirectory } from '../support/data-dir.mjs'
import { openEngine } from '../support/engine.mjs'
import { callsOf, killEach, seededRandom } from '../support/kill.mjs'
import { PATIENT } from '../support/patience.mjs'
import { receiver } from '../support/receiver.mjs'

/**
 * Kills as often as told, then lets one more engine deliver what is left.
 *
 * @param {import('node:test').TestContext} t
 * @param {{ kills: number, onInterrupted: 'resend' | 'fail' }} settings
 */
async function survive(t, { kills, onInterrupted }) {
  const server = await receiver(t)
  const dataDir = dataDirectory(t)
  const settings = () => ({ dataDir, url: server.url, onInterrupted })
  const promised = await killEach(seededRandom(t), { script: 'killed.mjs', settings, kills })
  const log = { maxExecutionsPerWorkflow: 1_000_000 }
  const engine = await openEngine(t, { dataDir, log, http: { onInterrupted } })
  await engine.flush(PATIENT)
  const deliveries = await engine.deliveries({ limit: 1_000_000 })
  return { promised, deliveries, requests: server.requests }
}

/** @param {Awaited<ReturnType<typeof survive>>} outcome */
function arrivals({ requests }) {
  /** @type {Map<string, import('../support/receiver.mjs').Received[]>} */
  const calls = new Map()
  for (const request of requests) {
    const { executionId, call } = JSON.parse(request.text)
    const name = `${executionId}/${call}`
    calls.set(name, [...(calls.get(name) ?? []), request])
  }
  return calls
}

/** @param {Awaited<ReturnType<typeof survive>>} outcome */
function checkLog({ deliveries }) {
  // What was recorded and never handed over is discarded, where the process came to notice it.
  const terminal = ['delivered', 'failed', 'discarded']
  assert.deepEqual(
    deliveries.filter(({ status }) => !terminal.includes(status)),
    [],
  )
  assert.equal(new Set(deliveries.map(({ id }) => id)).size, deliveries.length)
  const places = deliveries.map(({ executionId, index }) => `${executionId}/${index}`)
  assert.equal(new Set(places).size, places.length)
}

/** @param {Awaited<ReturnType<typeof survive>>} outcome */
function checkNothingUnpromised(outcome) {
  for (const name of arrivals(outcome).keys()) assert.doesNotMatch(name, /\/99$/)
  const logged = new Set(outcome.deliveries.map(({ executionId }) => executionId))
  for (const name of arrivals(outcome).keys()) {
    // A hand-over may be on disk although the process died before it could say so; what the log does
    // not know was never handed over.
    assert.ok(logged.has(name.split('/')[0]), `${name} was delivered and is in no log`)
  }
}

test('200 kills lose nothing that was promised, and repeat with the same key', async (t) => {
  const outcome = await survive(t, { kills: 200, onInterrupted: 'resend' })
  checkLog(outcome)
  checkNothingUnpromised(outcome)
  const arrived = arrivals(outcome)
  for (const call of callsOf(outcome.promised)) assert.ok(arrived.has(call), `${call} was lost`)
  assert.ok(outcome.deliveries.every(({ status }) => status !== 'failed'))
  let repeated = 0
  for (const requests of arrived.values()) {
    const keys = requests.map(({ headers }) => headers['idempotency-key'])
    repeated += keys.length - 1
    for (const key of keys) assert.equal(key, keys[0])
    assert.ok(outcome.deliveries.some(({ id }) => id === keys[0]))
  }
  t.diagnostic(`${outcome.promised.size} promises, ${arrived.size} calls, ${repeated} repeated`)
})

test("with onInterrupted: 'fail' no call arrives twice", async (t) => {
  const outcome = await survive(t, { kills: 40, onInterrupted: 'fail' })
  checkLog(outcome)
  checkNothingUnpromised(outcome)
  const arrived = arrivals(outcome)
  for (const [name, requests] of arrived) assert.equal(requests.length, 1, name)
  const failed = outcome.deliveries.filter(({ status }) => status === 'failed')
  for (const { error } of failed) assert.equal(error?.code, 'ERR_SEND_INTERRUPTED')
  const missing = new Set(failed.map(({ executionId, index }) => `${executionId}/${index}`))
  for (const call of callsOf(outcome.promised))
    assert.ok(arrived.has(call) || missing.has(call), `${call} was lost`)
  t.diagnostic(`${arrived.size} calls, ${failed.length} with an unknown outcome`)
})
