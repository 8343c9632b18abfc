// Destinations that are written in JavaScript.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import { Worker } from 'node:worker_threads'

import { slack } from '../../examples/slack.mjs'
import { Engine, runStep } from '../../js/index.mjs'
import { dataDirectory } from '../support/data-dir.mjs'
import { finish, LOCAL, nextEvent, openEngine } from '../support/engine.mjs'
import { PATIENT } from '../support/patience.mjs'
import { receiver } from '../support/receiver.mjs'
import { ends, send } from '../support/test-destination.mjs'

test('$send.NAME is recorded, delivered by its function, and logged', async (t) => {
  const engine = await openEngine(t)
  /** @type {any[]} */
  const seen = []
  engine.destination('test', {
    async deliver(items, { batchId }) {
      seen.push(...items, batchId)
      return [{ status: 'delivered', response: { ts: 17 } }]
    },
  })
  const [delivery] = await send(engine, [{ channel: '#x', text: 'hi', at: new Date(0) }])
  const { id, recordedAt } = delivery
  const argument = { channel: '#x', text: 'hi', at: '1970-01-01T00:00:00.000Z' }
  assert.deepEqual(seen, [{ id, callId: id, workflowId: 'p_test', recordedAt, argument }, id])
  assert.deepEqual([delivery.destination, delivery.status], ['test', 'delivered'])
  assert.deepEqual(delivery.request, argument)
  assert.deepEqual(/** @type {any} */ (delivery.response).result, { ts: 17 })
  assert.equal((await engine.deliveries({ destination: 'test' })).length, 1)
})

for (const batch of [undefined, { maxCount: 1 }]) {
  test(`a replay has the id of its call, ${batch ? 'in a batch' : 'alone'}`, async (t) => {
    const engine = await openEngine(t)
    /** @type {any[]} */
    const seen = []
    engine.destination('test', {
      ...(batch && { batch }),
      async deliver(items) {
        seen.push(...items)
        return [seen.length === 1 ? 'failed' : 'delivered']
      },
    })
    const [dead] = await send(engine, [{ n: 1 }])
    assert.equal(dead.status, 'failed')
    await engine.replay({ ids: [dead.id] })
    await engine.flush(PATIENT)
    assert.equal(seen.length, 2)
    assert.deepEqual(
      seen.map(({ callId }) => callId),
      [dead.id, dead.id],
    )
    assert.notEqual(seen[1].id, dead.id)
  })
}

test('calls that wait for a destination that nothing registers are told of', async (t) => {
  const options = { dataDir: dataDirectory(t), egress: LOCAL }
  const first = await Engine.open(options)
  first.destination('test', { deliver: () => new Promise(() => {}) })
  const execution = first.execution({ workflowId: 'p_test' })
  const { $send } = /** @type {any} */ (execution.step('step'))
  $send.test({ n: 1 })
  await execution.complete()
  await first.close({ timeoutMs: 0 })

  const second = await openEngine(t, options)
  const warning = await nextEvent(second, 'warning')
  assert.equal(warning.code, 'NOT_CONFIGURED')
  assert.match(warning.message, /^calls of \$send\.test wait \(1 now\): nothing in this process/)
  second.destination('test', { deliver: (items) => items.map(() => 'delivered') })
  await second.flush(PATIENT)
  assert.equal((await second.deliveries())[0].status, 'delivered')
})

test('the example for Slack does what the service asks for', async (t) => {
  const answers = [
    { status: 429, headers: { 'retry-after': '0.01' } },
    { status: 200, body: { ok: true, channel: 'C1', ts: '17.0' } },
    { status: 200, body: { ok: false, error: 'channel_not_found' } },
  ]
  const service = await receiver(t, (_request, response) => {
    const { status, headers, body } = /** @type {any} */ (answers.shift())
    response.writeHead(status, headers).end(JSON.stringify(body))
  })
  const engine = await openEngine(t)
  const options = { ...slack({ token: 'xoxb-1', url: service.url }), retry: { initialMs: 1 } }
  engine.destination('slack', options)
  const step = `export default async () => { $send.slack({ channel: '#general', text: 'hi' }) }`
  const module = await import(`data:text/javascript,${encodeURIComponent(step)}`)
  const { execution } = await runStep(engine, module, { workflowId: 'p_slack' })
  const [first] = await execution.settled(PATIENT)
  assert.deepEqual(ends([first]), [['delivered', 2, undefined]])
  assert.deepEqual(/** @type {any} */ (first.response).result, { channel: 'C1', ts: '17.0' })
  const again = await runStep(engine, module, { workflowId: 'p_slack' })
  const [second] = await again.execution.settled(PATIENT)
  // reaches ERR_SEND_REFUSED
  assert.deepEqual(ends([second]), [['failed', 1, 'ERR_SEND_REFUSED']])
  assert.equal(second.error?.message, 'channel_not_found')
  const [{ text, headers }] = service.requests
  assert.equal(text, '{"channel":"#general","text":"hi"}')
  assert.equal(headers.authorization, 'Bearer xoxb-1')
})

test('outcomes, throws, hangs and nonsense each have their end', async (t) => {
  const engine = await openEngine(t)
  engine.destination('test', {
    timeoutMs: 1000,
    retry: { attempts: 2, initialMs: 1 },
    /** @returns {any} */
    deliver([{ argument }]) {
      const { say, throws, hang } = argument
      if (throws) throw Object.assign(new Error(throws.message), throws)
      return hang ? new Promise(() => {}) : say
    },
  })
  const circular = { status: 'delivered' }
  const log = await send(engine, [
    {},
    { say: ['delivered'] },
    { say: ['failed'] },
    { say: [{ status: 'retry', error: 'later' }] },
    { throws: { message: 'down', retryable: true } },
    { throws: { message: 'wrong \ud800' } },
    { hang: true },
    { say: 5 },
    { say: [] },
    { say: ['lost'] },
    { say: [circular, circular] },
  ])
  // reaches ERR_SEND_UNAVAILABLE
  assert.deepEqual(ends(log), [
    ['delivered', 1, undefined],
    ['delivered', 1, undefined],
    ['failed', 1, 'ERR_SEND_REFUSED'],
    ['failed', 2, 'ERR_SEND_UNAVAILABLE'],
    ['failed', 2, 'ERR_SEND_UNAVAILABLE'],
    ['failed', 1, 'ERR_SEND_REFUSED'],
    ['failed', 2, 'ERR_SEND_TIMEOUT'],
    ['failed', 1, 'ERR_SEND_REFUSED'],
    ['failed', 1, 'ERR_SEND_REFUSED'],
    ['failed', 1, 'ERR_SEND_REFUSED'],
    ['failed', 1, 'ERR_SEND_REFUSED'],
  ])
  assert.match(log[4].error?.message ?? '', /^down \(attempt 2 of 2, the last\)/)
  assert.equal(log[5].error?.message, 'wrong \ufffd')
  assert.match(log[7].error?.message ?? '', /answered 5 for 1 items: it must answer/)
})

for (const batch of [undefined, { maxCount: 2 }]) {
  test(`what was completed waits through a restart for its destination${batch ? ', in batches' : ''}`, async (t) => {
    const dataDir = dataDirectory(t)
    const first = await Engine.open({ dataDir })
    first.destination('test', { batch, deliver: () => new Promise(() => {}) })
    const execution = first.execution({ workflowId: 'p_test', executionId: 'e_1' })
    const { $send } = /** @type {any} */ (execution.step('step'))
    for (const n of [1, 2, 3]) $send.test({ n })
    await execution.complete()
    await first.close({ timeoutMs: 0 })

    const engine = await openEngine(t, { dataDir })
    await assert.rejects(engine.flush({ timeoutMs: 50 }), { code: 'ERR_SEND_TIMEOUT' })
    /** @type {number[]} */
    const seen = []
    engine.destination('test', {
      batch,
      deliver: (items) => void seen.push(...items.map(({ argument }) => argument.n)),
    })
    await engine.flush(PATIENT)
    assert.deepEqual(seen.sort(), [1, 2, 3])
    const log = await engine.deliveries({ executionId: 'e_1' })
    assert.ok(log.every(({ status }) => status === 'delivered'))
  })
}

test('the thread that has the function may end: another one takes its place', async (t) => {
  const engine = await openEngine(t, { name: 'threads' })
  const worker = new Worker(
    `const { Engine } = require(${JSON.stringify(new URL('../../js/index.cjs', import.meta.url).pathname)})
     const { parentPort } = require('node:worker_threads')
     Engine.open({ name: 'threads' }).then((engine) => {
       engine.destination('test', { deliver: () => new Promise(() => parentPort.postMessage('called')) })
       globalThis.kept = engine
       const execution = engine.execution({ workflowId: 'p_test' })
       execution.step('s').$send.test({ n: 1 })
       execution.complete()
       setInterval(() => {}, 1000)
     })`,
    { eval: true },
  )
  await new Promise((resolve) => worker.once('message', resolve))
  assert.throws(() => engine.destination('test', { deliver() {} }), /there is a "test" already/)
  await worker.terminate()
  const delivered = nextEvent(engine, 'delivery')
  // The handle of a worker that ended is let go of when its environment is.
  for (;;) {
    try {
      engine.destination('test', { deliver: () => ['delivered'] })
      break
    } catch {
      await new Promise((resolve) => setImmediate(resolve))
    }
  }
  assert.equal((await delivered).status, 'delivered')
})

test('what cannot be meant is refused', async (t) => {
  const engine = /** @type {any} */ (await openEngine(t))
  const deliver = () => {}
  for (const [name, options, pattern] of [
    [5, { deliver }, /the name must be a text/],
    ['http', { deliver }, /"http" is the name of a destination that is built in/],
    ['', { deliver }, /none that a method has/],
    ['__proto__', { deliver }, /none that a method has/],
    ['a-b', { deliver }, /none that a method has/],
    ['ok', undefined, /the second argument must be/],
    ['ok', {}, /deliver must be a function/],
    ['ok', { deliver, retries: 1 }, /unknown option retries/],
    ['ok', { deliver, timeoutMs: 0 }, /timeoutMs: 0 is not a whole number/],
    ['ok', { deliver, batch: { maxCount: 0 } }, /batch\.maxCount: 0 is not/],
    ['ok', { deliver, batch: { max: 1 } }, /unknown option batch\.max\. Did you mean batch\.max/],
    ['ok', { deliver, retry: { hosts: {} } }, /retry: hosts, statuses and errors/],
    ['ok', { deliver, retry: { attempts: 0 } }, /retry\.attempts: 0 is not/],
  ]) {
    assert.throws(() => engine.destination(name, options), {
      code: 'ERR_SEND_INVALID_ARGUMENT',
      message: pattern,
    })
  }
  /** @type {unknown[]} */
  const items = []
  engine.destination('test', { deliver: (given) => void items.push(...given) })
  const execution = engine.execution({ workflowId: 'p' })
  const { $send } = execution.step('s')
  for (const argument of [undefined, () => {}, Symbol('s'), new Date(NaN).toJSON]) {
    assert.throws(() => $send.test(argument), { code: 'ERR_SEND_INVALID_ARGUMENT' })
  }
  assert.throws(() => $send.tset({}), /There are: .*\$send\.emit, \$send\.test\./)
  assert.throws(() => $send.test({ big: 1n }), { code: 'ERR_SEND_INVALID_ARGUMENT' })
  const message = /toJSON\(\) of the argument returns nothing that JSON holds/
  assert.throws(() => $send.test({ toJSON: () => undefined }), {
    code: 'ERR_SEND_INVALID_ARGUMENT',
    message,
  })
  for (const argument of [
    'text',
    5,
    null,
    false,
    ['list'],
    new Date(0),
    { map: new Map([['a', 1]]) },
  ])
    $send.test(argument)
  const log = await finish(execution)
  assert.deepEqual(log.at(-1)?.request, { map: { a: 1 } })
  const expected = ['text', 5, null, false, ['list'], '1970-01-01T00:00:00.000Z', { map: { a: 1 } }]
  assert.deepEqual(
    items.map((/** @type {any} */ { argument }) => argument),
    expected,
  )
  await engine.close()
  assert.throws(() => engine.destination('late', { deliver }), { code: 'ERR_SEND_CLOSED' })
})

test('a step that began before its destination does not have it', async (t) => {
  const engine = await openEngine(t, { egress: LOCAL })
  const execution = engine.execution({ workflowId: 'p' })
  const { $send } = /** @type {any} */ (execution.step('s'))
  engine.destination('test', { deliver: () => undefined })
  assert.throws(() => $send.test({}), /\$send\.test is not a destination/)
  execution.discard()
})

test('the signal is aborted at timeoutMs, and when the engine has closed', async (t) => {
  const engine = await openEngine(t)
  /** @type {AbortSignal[]} */
  const signals = []
  engine.destination('test', {
    timeoutMs: 50,
    retry: false,
    async deliver([{ argument }], { signal }) {
      signals.push(signal)
      // A client that gets the signal throws its reason.
      if (argument.waits)
        await new Promise((_, reject) => (signal.onabort = () => reject(signal.reason)))
    },
  })
  assert.deepEqual(ends(await send(engine, [{ waits: true }])), [['failed', 1, 'ERR_SEND_TIMEOUT']])
  if (!signals[0].aborted) await once(signals[0], 'abort')
  assert.equal(signals[0].reason.name, 'TimeoutError')
  assert.match(signals[0].reason.message, /^deliver of test was not done within 50 ms/)
  assert.deepEqual(ends(await send(engine, [{ waits: false }])), [['delivered', 1, undefined]])

  /** @type {(signal: AbortSignal) => void} */
  let begin = () => {}
  const begun = new Promise((resolve) => (begin = resolve))
  engine.destination('slow', {
    deliver: (_, { signal }) => {
      begin(signal)
      return new Promise(() => {})
    },
  })
  const execution = engine.execution({ workflowId: 'p_test' })
  const { $send } = /** @type {any} */ (execution.step('step'))
  $send.slow({})
  await execution.complete()
  const settled = execution.settled(PATIENT)
  const signal = await begun
  assert.equal(signal.aborted, false)
  await engine.close({ timeoutMs: 0 })
  assert.deepEqual(ends(await settled), [['failed', 1, 'ERR_SEND_INTERRUPTED']])
  assert.equal(signal.reason.name, 'AbortError')
  assert.equal(signals[1].aborted, false, 'what has ended is not aborted')
})
