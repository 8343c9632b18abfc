// The attempts of a delivery, each with its phases.

import assert from 'node:assert/strict'
import { createServer } from 'node:net'
import { test } from 'node:test'

import { listen } from '../support/servers/listen.mjs'
import { dataDirectory } from '../support/data-dir.mjs'
import { openEngine } from '../support/engine.mjs'
import { PATIENT } from '../support/patience.mjs'
import { receiver } from '../support/receiver.mjs'
import { run, serve } from '../support/serving.mjs'

/** @param {any} delivery */
const numbersOf = ({ attemptLog = [] }) => attemptLog.map((/** @type {any} */ a) => a.attempt)

for (const where of ['in memory', 'on disk']) {
  test(`each attempt is kept with its phases, ${where}`, async (t) => {
    let requests = 0
    const server = await receiver(t, (_request, response) => {
      requests += 1
      response.statusCode = requests < 3 ? 503 : 200
      response.end('answer')
    })
    const data = where === 'on disk' ? { dataDir: dataDirectory(t) } : {}
    const http = { retry: { scheduleMs: [20, 30] } }
    const { engine, ask } = await serve(t, {}, { ...data, http })
    await run(engine, 'p_retried', ($send) => $send.http({ method: 'POST', url: server.url }))
    const { body } = await ask('/v1/deliveries')
    const [delivery] = await engine.deliveries()
    assert.deepEqual(body.data, [delivery])
    const [first, second, third] = delivery.attemptLog
    assert.deepEqual(numbersOf(delivery), [1, 2, 3])
    for (const [attempt, status] of [
      [first, 503],
      [second, 503],
      [third, 200],
    ]) {
      assert.equal(attempt.status, status)
      assert.ok(attempt.queueMs >= 0 && attempt.durationMs > 0)
      const { firstByteMs, bodyMs } = attempt.timings
      assert.ok(firstByteMs > 0 && bodyMs >= 0)
      assert.ok(firstByteMs + bodyMs <= attempt.durationMs + 0.02)
    }
    assert.ok(first.timings.connectMs > 0)
    assert.deepEqual([first.error.code, third.error], ['ERR_SEND_STATUS', undefined])
    assert.ok(Date.parse(second.startedAt) >= Date.parse(first.nextAttemptAt))
    assert.equal(third.nextAttemptAt, undefined)
  })
}

test('an only attempt is kept if it failed, also without a response', async (t) => {
  const silent = createServer((socket) => socket.on('error', () => {}).resume())
  const { port } = await listen(t, silent)
  const server = await receiver(t)
  const engine = await openEngine(t, { http: { timeoutMs: 300 } })
  const execution = engine.execution({ workflowId: 'p_silent' })
  const { $send } = execution.step('s')
  $send.http({ method: 'GET', url: `http://127.0.0.1:${port}/` })
  $send.http({ method: 'GET', url: server.url })
  await execution.complete()
  const [failed, delivered] = await execution.settled()
  assert.equal(delivered.attemptLog, undefined)
  const [attempt] = failed.attemptLog ?? []
  assert.deepEqual(numbersOf(failed), [1])
  assert.deepEqual([attempt.status, attempt.error.code], [undefined, 'ERR_SEND_TIMEOUT'])
  assert.equal(attempt.error.phase, 'response')
  assert.ok(attempt.durationMs >= 290 && attempt.timings.connectMs > 0)
})

test('the newest 20 attempts are kept, also while the process is another', async (t) => {
  const server = await receiver(t, (_request, response) => {
    response.statusCode = 500
    response.end()
  })
  const dataDir = dataDirectory(t)
  const retry = { scheduleMs: Array(24).fill(1), breaker: { failures: 0 } }
  const options = { dataDir, http: { retry: { ...retry, scheduleMs: [1, 1, 600_000] } } }
  const before = await openEngine(t, options)
  const execution = before.execution({ workflowId: 'p_many' })
  execution.step('s').$send.http({ method: 'GET', url: server.url })
  await execution.complete()
  const waiting = async (/** @type {any} */ engine) => {
    for (;;) {
      const [delivery] = await engine.deliveries()
      if (delivery?.attempts === 3 && delivery.nextAttemptAt) return delivery
      await new Promise((resolve) => setImmediate(resolve))
    }
  }
  const left = await waiting(before)
  await before.close({ timeoutMs: 0 })

  const after = await openEngine(t, { dataDir, http: { retry } })
  const found = await waiting(after)
  assert.deepEqual(found.attemptLog, left.attemptLog)
  assert.deepEqual(numbersOf(found), [1, 2, 3])
  await after.retryNow({ status: 'pending' })
  await after.flush(PATIENT)
  const [delivery] = await after.deliveries()
  assert.deepEqual([delivery.status, delivery.attempts], ['failed', 25])
  assert.deepEqual(
    numbersOf(delivery),
    Array.from({ length: 20 }, (_, index) => index + 6),
  )
})
