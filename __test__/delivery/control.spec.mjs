// Pauses, attempts that are made now, and what the queues show of them.

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { codeOf, finish, nextEvent, openEngine, record } from '../support/engine.mjs'
import { dataDirectory } from '../support/data-dir.mjs'
import { PATIENT } from '../support/patience.mjs'
import { receiver } from '../support/receiver.mjs'
import { client, serve } from '../support/serving.mjs'

/** @param {import('../../index.d.ts').Engine} engine */
const totals = (engine) => {
  const { delivered, failed, pending } = engine.stats()
  return { delivered, failed, pending }
}

test('a paused host waits and others do not', async (t) => {
  const [held, free] = [await receiver(t), await receiver(t)]
  const engine = await openEngine(t)
  const host = new URL(held.url).host
  const [pause, ...rest] = await engine.pause({ host })
  assert.deepEqual([pause.host, rest], [host, []])
  assert.match(pause.since, /^\d{4}-.*Z$/)
  const waiting = record(engine, [{ url: held.url }, { url: held.url }])
  await waiting.complete()
  const [other] = await finish(record(engine, [{ url: free.url }]))
  assert.equal(other.status, 'delivered')
  assert.deepEqual([held.requests.length, free.requests.length], [0, 1])
  const { pauses } = engine.stats()
  assert.deepEqual(pauses, [pause])
  assert.deepEqual(await engine.resume({ host }), [])
  const settled = await waiting.settled(PATIENT)
  assert.deepEqual(
    settled.map(({ status }) => status),
    ['delivered', 'delivered'],
  )
})

test('a paused workflow waits in queues that it shares', async (t) => {
  const server = await receiver(t)
  const engine = await openEngine(t)
  await engine.pause({ workflowId: 'p_held' })
  const held = record(engine, [{ url: server.url }], 'p_held')
  await held.complete()
  await finish(record(engine, [{ url: server.url }], 'p_free'))
  assert.equal(server.requests.length, 1)
  const [waiting] = await engine.deliveries({ workflowId: 'p_held' })
  assert.equal(waiting.status, 'pending')
  assert.match(waiting.warnings.join(), /workflow p_held is paused since .*: it waits/)
  await engine.resume({ all: true })
  const [delivery] = await held.settled(PATIENT)
  assert.deepEqual([delivery.status, delivery.attempts], ['delivered', 1])
})

test('a pause outlives the process, and closing does not wait for what is paused', async (t) => {
  const server = await receiver(t)
  const dataDir = dataDirectory(t)
  const options = { dataDir, egress: { allow: ['127.0.0.0/8'] } }
  for (const target of [{ host: '127.0.0.1' }, { workflowId: 'p_test' }, { all: true }]) {
    const sent = server.requests.length
    const first = await openEngine(t, options)
    await first.pause(target)
    await record(first, [{ url: server.url }, { url: server.url }]).complete()
    assert.equal((await first.close(PATIENT)).pending, 2)

    const second = await openEngine(t, options)
    assert.equal(second.stats().pauses.length, 1)
    assert.equal((await second.close(PATIENT)).pending, 2)
    assert.equal(server.requests.length, sent)

    const third = await openEngine(t, options)
    assert.deepEqual(await third.resume(target), [])
    await third.flush(PATIENT)
    assert.deepEqual(totals(third), { delivered: 2, failed: 0, pending: 0 })
    assert.equal((await third.close(PATIENT)).pending, 0)
    assert.equal(server.requests.length, sent + 2)
  }
})

test('closing does not wait for paused calls that are in the journal alone', async (t) => {
  const server = await receiver(t)
  const options = { dataDir: dataDirectory(t), durability: /** @type {const} */ ('os') }
  const first = await openEngine(t, options)
  const { host } = new URL(server.url)
  await first.pause({ host })
  const EACH = 500
  // More than are in the queues at a time.
  const CALLS = 42 * EACH
  const urls = Array.from({ length: EACH }, () => ({ url: server.url }))
  for (let calls = 0; calls < CALLS; calls += EACH) await record(first, urls).complete()
  assert.equal((await first.close(PATIENT)).pending, CALLS)
  const second = await openEngine(t, options)
  const begun = performance.now()
  const { pending } = await second.close({ timeoutMs: 120_000 })
  assert.equal(pending, CALLS)
  assert.ok(performance.now() - begun < 60_000)
  assert.deepEqual(server.requests, [])
})

test('a paused destination stores no batches', async (t) => {
  const dataDir = dataDirectory(t)
  const engine = await openEngine(t, { dataDir, s3: { batch: { intervalMs: 1 } } })
  await engine.pause({ destination: 's3' })
  const execution = engine.execution({ workflowId: 'p_test' })
  const { $send } = execution.step('step')
  $send.s3({ bucket: 'b', prefix: 'x', payload: { a: 1 } })
  await execution.complete()
  assert.equal(engine.stats().pending, 1)
  await engine.resume({ destination: 's3' })
  const [delivery] = await execution.settled(PATIENT)
  assert.equal(delivery.status, 'delivered')
})

test('a delivery that waits for its next attempt is attempted now', async (t) => {
  let status = 500
  const server = await receiver(t, (_request, response) => {
    response.statusCode = status
    response.end()
  })
  const retry = { scheduleMs: [3_600_000], breaker: { failures: 1, cooldownMs: 3_600_000 } }
  const { engine, post } = await serve(t, {}, { http: { retry } })
  const execution = record(engine, [{ url: server.url }])
  await execution.complete()
  while (engine.stats().retrying === 0) await new Promise(setImmediate)
  assert.equal(engine.stats().lanes[0].breaker, 'open')
  assert.equal(await engine.retryNow({ errorCode: 'ERR_SEND_TIMEOUT' }), 0)
  assert.equal(await engine.retryNow({ host: 'example.com' }), 0)
  status = 200
  const retried = await post('/v1/queues/retry-now', { error_code: 'ERR_SEND_STATUS' })
  assert.deepEqual(retried.body, { data: { retried: 1 } })
  const [delivery] = await execution.settled(PATIENT)
  assert.deepEqual([delivery.status, delivery.attempts], ['delivered', 2])
  assert.equal(await engine.retryNow({ status: 'pending' }), 0)
})

test('a batch that could not be stored is shown, and stored now', async (t) => {
  let status = 500
  const server = await receiver(t, (_request, response) => {
    response.statusCode = status
    response.end()
  })
  const s3 = {
    ...{ endpoint: server.origin, region: 'eu-west-1', allowHttp: true, forcePathStyle: true },
    ...{ accessKeyId: 'a', secretAccessKey: 'b' },
    batch: { intervalMs: 1 },
  }
  const engine = await openEngine(t, { s3 })
  const execution = engine.execution({ workflowId: 'p_test' })
  execution.step('step').$send.s3({ bucket: 'b', prefix: 'x', payload: { a: 1 } })
  const delayed = nextEvent(engine, 'batch', (event) => event.status === 'delayed')
  await execution.complete()
  await delayed
  while (engine.stats().delayedBatches.length === 0) await new Promise(setImmediate)
  const [batch] = engine.stats().delayedBatches
  assert.deepEqual([batch.destination, batch.records], ['s3', 1])
  assert.ok(batch.attempts >= 1 && batch.error.length > 0 && batch.name.startsWith('b/x'))
  assert.match(batch.nextAttemptAt, /Z$/)
  status = 200
  await engine.retryNow({ destination: 's3' })
  const [delivery] = await execution.settled(PATIENT)
  assert.equal(delivery.status, 'delivered')
  assert.deepEqual(engine.stats().delayedBatches, [])
})

test('queues are paused and resumed by REST', async (t) => {
  const server = await receiver(t)
  const { engine, url, post } = await serve(t)
  const host = new URL(server.url).host
  const paused = await post('/v1/queues/pause', { host })
  assert.equal(paused.status, 200)
  assert.equal(paused.body.data.pauses[0].host, host)
  const execution = record(engine, [{ url: server.url }])
  await execution.complete()
  while (engine.stats().lanes[0]?.waiting !== 1) await new Promise(setImmediate)
  const { body } = await client(url).ask('/v1/queues')
  assert.deepEqual(body.data.queues, [
    {
      ...{ destination: 'http', lane: server.origin, inFlight: 0, waiting: 1 },
      ...{ breaker: 'closed', paused: true },
    },
  ])
  assert.deepEqual(body.data.pauses, paused.body.data.pauses)
  const resumed = await post(`/v1/queues/resume?host=${host}`)
  assert.deepEqual(resumed.body, { data: { pauses: [] } })
  await execution.settled(PATIENT)
  for (const wrong of [{}, { host, all: true }, { host: '' }, { hosts: 'a' }]) {
    assert.equal((await post('/v1/queues/pause', wrong)).status, 400)
    assert.equal((await post('/v1/queues/resume', wrong)).status, 400)
  }
  for (const wrong of [{}, { status: 'failed' }, { ids: ['x'] }])
    assert.equal((await post('/v1/queues/retry-now', wrong)).status, 400)
})

test('wrong targets are refused', async (t) => {
  const engine = await openEngine(t)
  /** @type {any[]} */
  const targets = [undefined, {}, { all: false }, { host: 'a', all: true }, { host: '' }]
  for (const target of targets) {
    const [code] = await codeOf(engine.pause(target))
    assert.equal(code, 'ERR_SEND_INVALID_ARGUMENT')
  }
  const [, message] = await codeOf(engine.pause(/** @type {any} */ ({ hots: 'a' })))
  assert.match(message, /engine\.pause\(\): unknown option hots\. Did you mean host\?/)
  const [code, reason] = await codeOf(engine.retryNow({}))
  assert.equal(code, 'ERR_SEND_INVALID_ARGUMENT')
  assert.match(reason, /engine\.retryNow\(\).*status: 'pending'/)
})

test('a host that asks for time gets it, for all of its calls', async (t) => {
  /** @type {number[]} */
  const times = []
  const busy = await receiver(t, (_request, response) => {
    times.push(performance.now())
    if (times.length === 1) response.writeHead(429, { 'retry-after': '1' })
    response.end()
  })
  const free = await receiver(t)
  const http = { perHostConcurrency: 1, retry: { scheduleMs: [1] } }
  const engine = await openEngine(t, { http })
  const execution = record(engine, [{ url: busy.url }, { url: busy.url }, { url: free.url }])
  await execution.complete()
  await free.received(1)
  const settled = await execution.settled(PATIENT)
  assert.deepEqual(
    settled.map(({ status, attempts }) => [status, attempts]),
    [
      ['delivered', 2],
      ['delivered', 1],
      ['delivered', 1],
    ],
  )
  assert.equal(times.length, 3)
  assert.ok(times[1] - times[0] > 900, `${times[1] - times[0]} ms`)
  assert.equal(engine.stats().lanes.length, 0)
})
