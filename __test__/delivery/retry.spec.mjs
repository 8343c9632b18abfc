// Retries that were asked for, and the circuit breaker.

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { dataDirectory } from '../support/data-dir.mjs'
import { finish, nextEvent, openEngine, openStep } from '../support/engine.mjs'
import { PATIENT } from '../support/patience.mjs'
import { receiver } from '../support/receiver.mjs'

/**
 * A server that answers with these statuses, one request after another, and 200 after them.
 *
 * @param {import('node:test').TestContext} t
 * @param {number[]} statuses
 * @param {Record<string, string>} [headers]
 */
function answering(t, statuses, headers = {}) {
  const left = [...statuses]
  return receiver(t, (_request, response) => {
    const status = left.shift() ?? 200
    response.writeHead(status, status === 200 ? {} : headers).end('answer')
  })
}

/** @param {import('../support/receiver.mjs').Received[]} requests */
const keysOf = (requests) => requests.map(({ headers }) => headers['idempotency-key'])

const QUICK = { scheduleMs: [5, 10, 15] }

test('without retry there is one attempt and no key', async (t) => {
  const server = await answering(t, [503])
  const { $send, execution } = await openStep(t)
  $send.http({ method: 'GET', url: server.url })
  const [delivery] = await finish(execution)
  assert.deepEqual([delivery.status, delivery.attempts], ['failed', 1])
  assert.deepEqual(keysOf(server.requests), [undefined])
})

for (const where of ['in memory', 'on disk']) {
  test(`attempts follow the schedule, ${where}, with one key`, async (t) => {
    const server = await answering(t, [503, 500, 429])
    const options = where === 'on disk' ? { dataDir: dataDirectory(t) } : {}
    const { $send, execution, engine } = await openStep(t, { ...options, http: { retry: QUICK } })
    $send.http({ method: 'POST', url: server.url, data: { a: 1 } })
    await execution.complete()
    await engine.flush(PATIENT)
    const [delivery] = await execution.settled()
    assert.deepEqual(
      [delivery.status, delivery.attempts, delivery.error],
      ['delivered', 4, undefined],
    )
    assert.equal(delivery.warnings.length, 3)
    assert.match(delivery.warnings[1], /^attempt 2 failed: the server answered 500 .*; again at 20/)
    assert.deepEqual(keysOf(server.requests), Array(4).fill(delivery.id))
    assert.equal(new Set(server.requests.map(({ text }) => text)).size, 1)
    assert.equal(engine.stats().retrying, 0)
  })
}

test('the last attempt says that it was', async (t) => {
  const server = await answering(t, Array(10).fill(502))
  const { $send, execution } = await openStep(t, { http: { retry: { attempts: 3, initialMs: 2 } } })
  $send.http({ method: 'GET', url: server.url })
  const [delivery] = await finish(execution)
  assert.deepEqual([delivery.status, delivery.attempts], ['failed', 3])
  assert.equal(
    delivery.error?.message,
    'the server answered 502 Bad Gateway (attempt 3 of 3, the last)',
  )
  assert.equal(delivery.response?.status, 502)
})

test('a key of the call wins, and what another attempt cannot mend is final', async (t) => {
  const server = await answering(t, [503, 200, 404])
  const { $send, execution } = await openStep(t, { http: { retry: QUICK, perHostConcurrency: 1 } })
  $send.http({ method: 'GET', url: server.url, headers: { 'Idempotency-Key': 'mine' } })
  const [delivery] = await finish(execution)
  assert.equal(delivery.status, 'delivered')
  assert.deepEqual(keysOf(server.requests), ['mine', 'mine'])
  const { $send: other, execution: second } = await openStep(t, { http: { retry: QUICK } })
  other.http({ method: 'GET', url: server.url })
  other.http({ method: 'GET', url: 'http://10.0.0.1/' })
  const log = await finish(second)
  assert.deepEqual(
    log.map(({ attempts, error }) => [attempts, error?.code]),
    [
      [1, 'ERR_SEND_STATUS'],
      [1, 'ERR_SEND_EGRESS_DENIED'],
    ],
  )
})

test('a refused connection is tried again, and statuses can be chosen', async (t) => {
  const { $send, execution } = await openStep(t, {
    http: { retry: { ...QUICK, statuses: [404], breaker: { failures: 0 } } },
  })
  const server = await answering(t, [404, 503])
  $send.http({ method: 'GET', url: 'http://127.0.0.1:1/' })
  $send.http({ method: 'GET', url: server.url })
  const [refused, chosen] = await finish(execution)
  assert.deepEqual([refused.attempts, refused.error?.code], [4, 'ERR_SEND_CONNECT'])
  assert.deepEqual([chosen.attempts, chosen.response?.status], [2, 503])
})

test('each of the statuses by default is tried again', async (t) => {
  const again = [408, 425, 429, 500, 502, 503, 504, 507, 520, 525, 530]
  const final = [400, 404, 409, 501, 505, 519, 531]
  const server = await receiver(t, ({ path }, response) =>
    response.writeHead(Number(path.slice(1))).end(),
  )
  const { $send, execution } = await openStep(t, {
    http: { retry: { attempts: 2, initialMs: 1, breaker: { failures: 0 } } },
  })
  for (const status of [...again, ...final])
    $send.http({ method: 'GET', url: `${server.origin}/${status}` })
  const attempts = (await finish(execution)).map((delivery) => delivery.attempts)
  assert.deepEqual(attempts, [...again.map(() => 2), ...final.map(() => 1)])
})

test('Retry-After is waited for, up to a limit', async (t) => {
  const server = await receiver(t, ({ path }, response) => {
    const after = { '/1': '1', '/far': '3600', '/past': 'Wed, 21 Oct 2015 07:28:00 GMT' }[path]
    const again = server.requests.filter((request) => request.path === path).length > 1
    response.writeHead(again ? 200 : 503, after ? { 'retry-after': after } : {}).end()
  })
  const { $send, execution } = await openStep(t, {
    http: { retry: { ...QUICK, retryAfterMaxMs: 1000 } },
  })
  for (const path of ['/1', '/far', '/past'])
    $send.http({ method: 'GET', url: server.origin + path })
  const started = performance.now()
  const [one, far, past] = await finish(execution)
  assert.ok(performance.now() - started >= 950)
  assert.deepEqual([one.status, one.attempts], ['delivered', 2])
  assert.deepEqual([past.status, past.attempts], ['delivered', 2])
  assert.deepEqual([far.status, far.attempts], ['delivered', 2])
})

test('hosts and calls have their own', async (t) => {
  const server = await answering(t, Array(100).fill(503))
  const { $send, execution } = await openStep(t, {
    http: {
      retry: {
        attempts: 2,
        initialMs: 1,
        breaker: { failures: 0 },
        hosts: { localhost: { attempts: 4 } },
      },
    },
    egress: { allow: ['127.0.0.0/8', 'localhost'] },
  })
  const named = server.url.replace('127.0.0.1', 'localhost')
  const get = (/** @type {any} */ call) => $send.http({ method: 'GET', url: server.url, ...call })
  get({})
  get({ url: named })
  get({ retry: false })
  get({ retry: 3 })
  get({ retry: { scheduleMs: [1, 1, 1, 1] } })
  get({ retry: 'often' })
  get({ retry: { attemps: 3 } })
  // The careful way to the buffer keeps it too.
  get({ retry: 3, data: Buffer.from('x'), method: 'POST' })
  const log = await finish(execution)
  assert.deepEqual(
    log.map(({ attempts }) => attempts),
    [2, 4, 1, 3, 5, 2, 2, 3],
  )
  assert.match(log[5].warnings.join(), /`retry` is ignored/)
  assert.match(log[6].warnings.join(), /`retry` is ignored/)
})

test('nothing is attempted past its age', async (t) => {
  const server = await answering(t, Array(10).fill(503))
  const { $send, execution } = await openStep(t, {
    http: { retry: { scheduleMs: [1, 10_000], maxAgeMs: 5000 } },
  })
  $send.http({ method: 'GET', url: server.url })
  const [delivery] = await finish(execution)
  assert.equal(delivery.attempts, 2)
  assert.match(delivery.error?.message ?? '', /another one would be too late/)
})

test('the breaker opens, probes and closes, and no other host waits', async (t) => {
  let fails = true
  const bad = await receiver(t, (_request, response) => {
    response.statusCode = fails ? 503 : 200
    response.end()
  })
  const good = await receiver(t)
  const { $send, execution, engine } = await openStep(t, {
    http: {
      perHostConcurrency: 1,
      retry: {
        attempts: 50,
        initialMs: 1,
        factor: 1,
        breaker: { failures: 3, cooldownMs: 40 },
      },
    },
  })
  for (let n = 0; n < 20; n++) $send.http({ method: 'GET', url: bad.url })
  const lane = () => engine.stats().lanes.find((found) => found.lane === bad.origin)
  await execution.complete()
  await bad.received(3)
  const other = engine.execution({ workflowId: 'p_other' })
  other.step('s').$send.http({ method: 'GET', url: good.url })
  assert.equal((await finish(other))[0].status, 'delivered')
  while (lane()?.breaker !== 'open') await new Promise(setImmediate)
  const whileOpen = bad.requests.length
  assert.ok(whileOpen <= 6, `${whileOpen} requests reached a host that was left alone`)
  fails = false
  const log = await execution.settled(PATIENT)
  assert.ok(log.every(({ status }) => status === 'delivered'))
  assert.equal(lane(), undefined)
})

test('what waits for its time is interrupted by the close, or kept on disk', async (t) => {
  const server = await answering(t, [503])
  const retry = { scheduleMs: [60_000] }
  const { $send, execution, engine } = await openStep(t, { http: { retry } })
  $send.http({ method: 'GET', url: server.url })
  await execution.complete()
  while (engine.stats().retrying === 0) await new Promise(setImmediate)
  assert.deepEqual(await engine.close({ timeoutMs: 0 }), {
    delivered: 0,
    failed: 0,
    pending: 1,
    open: 0,
  })
  const [delivery] = await execution.settled()
  assert.equal(delivery.error?.code, 'ERR_SEND_INTERRUPTED')

  const dataDir = dataDirectory(t)
  const unwell = await answering(t, [503])
  const first = await openStep(t, { dataDir, http: { retry: { scheduleMs: [300] } } })
  first.$send.http({ method: 'GET', url: unwell.url })
  await first.execution.complete()
  while (first.engine.stats().retrying === 0) await new Promise(setImmediate)
  await first.engine.close({ timeoutMs: 0 })
  const second = await openEngine(t, { dataDir, http: { retry: { scheduleMs: [300] } } })
  const event = await nextEvent(second, 'delivery')
  assert.deepEqual([event.status, event.attempts], ['delivered', 2])
  assert.deepEqual(keysOf(unwell.requests), [event.id, event.id])
})
