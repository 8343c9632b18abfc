// Alerts: events, metrics and signed requests, once for each episode.

import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { test } from 'node:test'

import { Engine } from '../../js/index.mjs'
import { dataDirectory } from '../support/data-dir.mjs'
import { until } from '../support/dead-letters.mjs'
import { finish, openEngine, record } from '../support/engine.mjs'
import { PATIENT } from '../support/patience.mjs'
import { gate, receiver } from '../support/receiver.mjs'
import { serve } from '../support/serving.mjs'

const KEY = Buffer.alloc(32, 7)
const SECRET = `whsec_${KEY.toString('base64')}`

/** @param {import('../../index.d.ts').Engine} engine */
function alertsOf(engine) {
  /** @type {any[]} */
  const alerts = []
  engine.on('alert', (/** @type {any} */ alert) => alerts.push(alert))
  return alerts
}

/** @param {any[]} alerts */
const kinds = (alerts) => alerts.map(({ kind, percent }) => (percent ? `${kind} ${percent}` : kind))

/** @param {import('node:test').TestContext} t */
async function switched(t) {
  const state = { status: 503 }
  const server = await receiver(t, (_request, response) => {
    response.statusCode = state.status
    response.end()
  })
  return { ...server, state }
}

test('a host alerts at each percentage of its breaker, once', async (t) => {
  const { url, origin, state } = await switched(t)
  const breaker = { failures: 10, cooldownMs: 20 }
  const retry = { attempts: 12, initialMs: 1, maxMs: 1, jitter: 0, breaker }
  const engine = await openEngine(t, { http: { retry } })
  const alerts = alertsOf(engine)
  const headers = { authorization: 'Bearer very-secret' }
  const [failed] = await finish(record(engine, [{ url, headers }]))
  assert.equal(failed.status, 'failed')
  assert.deepEqual(kinds(alerts), ['breaker 50', 'breaker 70', 'breaker 90', 'breaker 100'])
  const [first] = alerts
  assert.deepEqual(
    [first.value, first.limit, first.destination, first.lane],
    [5, 5, 'http', origin],
  )
  assert.deepEqual([first.error.code, first.delivery.id], ['ERR_SEND_STATUS', failed.id])
  assert.match(first.message, /^5 attempts in a row failed at http:.*: 50 % of its circuit breaker/)
  assert.match(first.at, /^20\S+Z$/)
  assert.doesNotMatch(JSON.stringify(alerts), /very-secret/)
  // The host recovers for a moment and fails again: that is the same episode.
  state.status = 200
  await finish(record(engine, [{ url }]))
  state.status = 503
  await finish(record(engine, [{ url }]))
  assert.equal(alerts.length, 4)
})

test('after a calm while the next episode alerts again', async (t) => {
  const { url, state } = await switched(t)
  const breaker = { failures: 2, cooldownMs: 10 }
  const retry = { attempts: 3, initialMs: 1, maxMs: 1, jitter: 0, breaker }
  const { engine, ask } = await serve(
    t,
    {},
    { http: { retry }, alerts: { breaker: [100], calmMs: 40 } },
  )
  const alerts = alertsOf(engine)
  await finish(record(engine, [{ url }]))
  assert.deepEqual(kinds(alerts), ['breaker 100'])
  const metrics = async () => (await ask('/metrics')).text
  assert.match(await metrics(), /dollar_send_alerts_total\{kind="breaker"\} 1\n/)
  assert.match(await metrics(), /dollar_send_alerts_active\{kind="breaker"\} 1\n/)
  state.status = 200
  await finish(record(engine, [{ url }]))
  await until(async () =>
    /alerts_active\{kind="breaker"\} 0\n/.test(await metrics()) ? 1 : undefined,
  )
  state.status = 503
  await finish(record(engine, [{ url }]))
  assert.deepEqual(kinds(alerts), ['breaker 100', 'breaker 100'])
  assert.match(await metrics(), /dollar_send_alerts_total\{kind="breaker"\} 2\n/)
})

test('dead letters alert by their rate, and the oldest call by its age', async (t) => {
  const { url } = await switched(t)
  const slow = await gate(t)
  const engine = await openEngine(t, {
    http: { timeoutMs: 60_000 },
    alerts: { oldestMs: 100, deadLetters: { count: 3, perMs: 60_000 } },
  })
  const alerts = alertsOf(engine)
  await finish(record(engine, [{ url }, { url }]))
  assert.deepEqual(kinds(alerts), [])
  const failed = await finish(record(engine, [{ url }, { url }, { url }, { url }]))
  assert.deepEqual(kinds(alerts), ['dead-letters'])
  assert.deepEqual([alerts[0].value, alerts[0].limit], [3, 3])
  assert.ok(failed.some(({ id }) => id === alerts[0].delivery.id))
  const waits = record(engine, [{ url: slow.url }])
  await waits.complete()
  await until(() => (alerts.length === 2 ? true : undefined))
  assert.equal(alerts[1].kind, 'oldest-waiting')
  assert.ok(alerts[1].value >= 100)
  assert.ok(['pending', 'in-flight'].includes(alerts[1].delivery.status))
  slow.open()
  const [delivery] = await waits.settled(PATIENT)
  assert.equal(alerts[1].delivery.id, delivery.id)
})

test('a journal that grows alerts', async (t) => {
  const engine = await openEngine(t, {
    dataDir: dataDirectory(t),
    alerts: { journalBytes: 1, calmMs: 40 },
  })
  const alerts = alertsOf(engine)
  await until(() => (alerts.length > 0 ? true : undefined))
  assert.deepEqual([alerts[0].kind, alerts[0].limit], ['journal-size', 1])
  assert.equal(alerts[0].delivery, undefined)
})

test('alerts.url gets signed requests, and its own failures raise nothing', async (t) => {
  const { url } = await switched(t)
  let status = 500
  const told = await receiver(t, (_request, response) => {
    response.statusCode = status
    response.end()
  })
  const engine = await openEngine(t, {
    onFailed: 'dead',
    alerts: { url: told.url, secret: SECRET, deadLetters: { count: 1, perMs: 1000 } },
  })
  let forwarded = 0
  engine.destination('dead', { deliver: (items) => void (forwarded += items.length) })
  const alerts = alertsOf(engine)
  const [failed] = await finish(record(engine, [{ url }]))
  await told.received(1)
  status = 200
  await until(() => (engine.stats().retrying === 1 ? true : undefined))
  await engine.retryNow({ status: 'pending' })
  const [, { headers, text }] = await told.received(2)
  const { [`webhook-id`]: id, 'webhook-timestamp': at } = headers
  const signature = createHmac('sha256', KEY).update(`${id}.${at}.${text}`).digest('base64')
  assert.equal(headers['webhook-signature'], `v1,${signature}`)
  assert.match(String(headers['content-type']), /^application\/json/)
  const alert = JSON.parse(text)
  assert.deepEqual([alert.kind, alert.delivery.id], ['dead-letters', failed.id])
  assert.deepEqual(alert, alerts[0])
  await engine.flush(PATIENT)
  assert.deepEqual([alerts.length, forwarded], [1, 1])
  const [sent] = await engine.deliveries({ workflowId: '$alerts' })
  assert.equal(sent.status, 'delivered')
  assert.doesNotMatch(JSON.stringify(sent), /whsec_/)
})

test('wrong limits are refused with their path', async () => {
  for (const [alerts, message] of /** @type {Array<[any, RegExp]>} */ ([
    [{ url: 'https://a.example' }, /alerts\.secret: is needed with url/],
    [{ url: 'a', secret: SECRET }, /alerts\.url: is not the URL of a web server/],
    [{ url: 'https://a.example', secret: 'whsec_YQ==' }, /alerts\.secret: must be whsec_/],
    [{ breaker: [0] }, /alerts\.breaker\[0\]: 0 is not a whole number from 1 to 100/],
    [{ breakers: [5] }, /alerts\.breakers\. Did you mean alerts\.breaker\?/],
    [{ deadLetters: 5 }, /alerts\.deadLetters: /],
    [[], /alerts: must be an object, not a list/],
  ])) {
    await assert.rejects(Engine.open({ alerts }), { code: 'ERR_SEND_INVALID_OPTION', message })
  }
})
