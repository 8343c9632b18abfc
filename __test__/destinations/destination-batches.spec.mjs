// Batches of destinations that are written in JavaScript: each call has its own end and its own error.

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { until } from '../support/dead-letters.mjs'
import { nextEvent, openEngine } from '../support/engine.mjs'
import { PATIENT } from '../support/patience.mjs'
import { ends, send } from '../support/test-destination.mjs'

test('calls come together where a batch is asked for, each with its own end', async (t) => {
  const engine = await openEngine(t)
  /** @type {any[]} */
  const calls = []
  engine.destination('test', {
    batch: { maxCount: 4, intervalMs: 60_000 },
    retry: { initialMs: 1, attempts: 3 },
    deliver(items, { batchId }) {
      calls.push([batchId, items.map(({ argument }) => argument.n)])
      return items.map(({ argument: { n } }) => {
        if (n === 1) return { status: 'failed', error: 'one is none' }
        const again = calls.filter(([, numbers]) => numbers.includes(2)).length < 2
        return n === 2 && again ? 'retry' : 'delivered'
      })
    },
  })
  const log = await send(
    engine,
    [0, 1, 2, 3, 4].map((n) => ({ n })),
  )
  assert.deepEqual(ends(log), [
    ['delivered', 2, undefined],
    ['failed', 2, 'ERR_SEND_REFUSED'],
    ['delivered', 2, undefined],
    ['delivered', 2, undefined],
    ['delivered', 1, undefined],
  ])
  assert.deepEqual(
    calls.map(([, numbers]) => numbers).sort((one, other) => one[0] - other[0]),
    [[0, 1, 2, 3], [2], [4]],
  )
  const idOf = (/** @type {number} */ n) => calls.find(([, numbers]) => numbers[0] === n)[0]
  assert.equal(idOf(0), `test/${log[0].id}`)
  assert.equal(idOf(4), `test/${log[4].id}`)
  assert.deepEqual(/** @type {any} */ (log[3].response), {
    batch: { reason: 'maxCount', records: 4 },
    line: 4,
  })
})

/**
 * A batch of calls that end as they say at its first attempt; the second one does not end.
 *
 * @param {import('node:test').TestContext} t
 */
async function waitingBatch(t) {
  const engine = await openEngine(t)
  let attempts = 0
  engine.destination('test', {
    batch: { maxCount: 4 },
    deliver(items) {
      attempts++
      return attempts > 1 ? new Promise(() => {}) : items.map(({ argument }) => argument.end)
    },
  })
  const delayed = nextEvent(engine, 'batch', ({ status }) => status === 'delayed')
  const execution = engine.execution({ workflowId: 'p_test' })
  const { $send } = /** @type {any} */ (execution.step('step'))
  const retried = (/** @type {string} */ error) => ({ status: 'retry', error, afterMs: 9e6 })
  $send.test({ end: 'delivered' })
  $send.test({ end: retried('busy') })
  $send.test({ end: { status: 'failed', error: 'refused' } })
  $send.test({ end: retried('down') })
  await execution.complete()
  await delayed
  // The event comes before the log has it.
  const log = await until(async () => {
    const deliveries = (await engine.deliveries()).reverse()
    return deliveries[3].lastError && deliveries
  })
  return { engine, execution, log }
}

test('a call of a batch that waits shows its own last error, and no other', async (t) => {
  const { log } = await waitingBatch(t)
  assert.deepEqual(
    log.map(({ status, lastError, nextAttemptAt }) => [
      status,
      lastError?.message,
      nextAttemptAt !== undefined,
    ]),
    [
      ['batched', undefined, false],
      ['batched', 'busy', true],
      ['batched', 'refused', false],
      ['batched', 'down', true],
    ],
  )
})

test('a close that cuts a batch off leaves delivered what its function delivered', async (t) => {
  const { engine, execution } = await waitingBatch(t)
  const settled = execution.settled(PATIENT)
  const { delivered, pending } = await engine.close({ timeoutMs: 0 })
  const log = await settled
  assert.deepEqual(ends(log), [
    ['delivered', 1, undefined],
    ['failed', 1, 'ERR_SEND_INTERRUPTED'],
    ['failed', 1, 'ERR_SEND_REFUSED'],
    ['failed', 1, 'ERR_SEND_INTERRUPTED'],
  ])
  assert.deepEqual([delivered, pending], [1, 3])
})

test('a batch that gives up fails each call with its own error', async (t) => {
  const engine = await openEngine(t)
  engine.destination('test', {
    batch: { maxCount: 2 },
    retry: { initialMs: 1, attempts: 2 },
    deliver: (items) => items.map(({ argument }) => ({ status: 'retry', error: argument.error })),
  })
  const log = await send(engine, [{ error: 'busy' }, { error: 'down' }])
  assert.deepEqual(
    log.map(({ error }) => error?.message),
    ['busy', 'down'],
  )
})

test('a batch that gives up fails what has no end, and nothing else', async (t) => {
  const engine = await openEngine(t)
  engine.destination('test', {
    batch: { maxCount: 3 },
    retry: { initialMs: 1, attempts: 2 },
    deliver: (items) => items.map(({ argument }) => argument.end),
  })
  const log = await send(engine, [{ end: 'delivered' }, { end: 'retry' }, { end: 'failed' }])
  assert.deepEqual(ends(log), [
    ['delivered', 2, undefined],
    ['failed', 2, 'ERR_SEND_UNAVAILABLE'],
    ['failed', 2, 'ERR_SEND_REFUSED'],
  ])
})

test('a batch waits for the longest afterMs of its calls', async (t) => {
  const engine = await openEngine(t)
  engine.destination('test', {
    batch: { maxCount: 2 },
    deliver: (items) =>
      items.map(({ argument: { afterMs } }) => ({ status: 'retry', error: 'busy', afterMs })),
  })
  const delayed = nextEvent(engine, 'batch', ({ status }) => status === 'delayed')
  const execution = engine.execution({ workflowId: 'p_test' })
  const { $send } = /** @type {any} */ (execution.step('step'))
  for (const afterMs of [9e6, 1]) $send.test({ afterMs })
  await execution.complete()
  await delayed
  const [{ nextAttemptAt }] = await until(async () => {
    const deliveries = await engine.deliveries()
    return deliveries[0].lastError && deliveries
  })
  assert.ok(Date.parse(nextAttemptAt ?? '') > Date.now() + 8e6, nextAttemptAt)
})
