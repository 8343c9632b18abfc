// The messages of calls that a destination in JavaScript does not deliver: they say what it threw or returned.

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { nextEvent, openEngine } from '../support/engine.mjs'
import { PATIENT } from '../support/patience.mjs'

const raise = (error) => () => {
  throw error
}
const circular = {}
circular.self = circular
const revoked = Proxy.revocable({}, {})
revoked.revoke()
const hostile = new Proxy({}, { get: raise(new Error('a trap')), has: raise(new Error('a trap')) })

const inner = new Error('connect ECONNREFUSED 127.0.0.1:9')

/** What a destination throws, and the message. */
const THROWN = [
  ['a text', 'no such channel', 'no such channel'],
  ['an error', new Error('no such channel'), 'no such channel'],
  [
    'an error with a cause',
    new TypeError('fetch failed', { cause: inner }),
    `fetch failed: ${inner.message}`,
  ],
  [
    'an error that repeats its cause',
    new Error(`lost: ${inner.message}`, { cause: inner }),
    `lost: ${inner.message}`,
  ],
  ['several errors', new AggregateError([inner, new Error('two')]), `${inner.message}; two`],
  ['an error without a message', new TypeError(), 'TypeError without a message'],
  [
    'an error with a code',
    Object.assign(new Error(), { code: 'EPIPE' }),
    'Error with the code EPIPE',
  ],
  ['an object', { code: 'E1', detail: { a: 1 } }, "deliver threw { code: 'E1', detail: [Object] }"],
  ['an object with an object as its message', { message: { a: 1 } }, 'deliver threw { a: 1 }'],
  ['a list', ['a', 1], "deliver threw [ 'a', 1 ]"],
  ['an empty text', '', 'deliver threw an empty text'],
  ['nothing', undefined, 'deliver threw undefined'],
  ['null', null, 'deliver threw null'],
  ['a symbol', Symbol('s'), 'deliver threw Symbol(s)'],
  ['a circle', circular, 'deliver threw <ref *1> { self: [Circular *1] }'],
  ['a proxy that throws', hostile, 'deliver threw a value that cannot be shown'],
  ['a proxy that is revoked', revoked.proxy, 'deliver threw a value that cannot be shown'],
  ['text with half a character', '\ud800', '\ufffd'],
]

const VALID = /returned|answered/
/** What it returns, and the message. */
const RETURNED = [
  ['failed alone', ['failed'], /^deliver returned 'failed' without an error$/],
  ['failed', [{ status: 'failed', error: null }], /^deliver returned 'failed' without an error$/],
  ['an object as the error', [{ status: 'failed', error: { code: 'X' } }], /^\{ code: 'X' \}$/],
  ['an empty error', [{ status: 'failed', error: new Error() }], /^Error without a message$/],
  ['another status', [{ status: 'ok' }], /\{ status: 'ok' \} for 1 items/, VALID],
  ['an object', { status: 'delivered' }, /\{ status: 'delivered' \} for 1 items/, VALID],
  ['a text', 'delivered', /'delivered' for 1 items/, VALID],
  [
    'a member that throws',
    [Object.defineProperty({}, 'status', { get: raise(inner) })],
    /^connect/,
  ],
  ['what is long', [{ text: 'x'.repeat(1e6) }], /x… 999900 more|x{50}/, VALID],
]

/** The message of a call of a destination with this function. */
async function messageOf(t, deliver) {
  const engine = await openEngine(t)
  engine.destination('test', { deliver })
  const execution = engine.execution({ workflowId: 'p_test' })
  execution.step('step').$send.test({ a: 1 })
  await execution.complete()
  const [{ status, error }] = await execution.settled(PATIENT)
  assert.equal(status, 'failed')
  assert.equal(error.code, 'ERR_SEND_REFUSED')
  assert.ok(error.message.length < 1000)
  return error.message
}

for (const [title, value, message] of THROWN) {
  test(`the message of a destination that throws ${title}`, async (t) => {
    assert.equal(await messageOf(t, raise(value)), message)
    const rejects = async () => Promise.reject(value)
    assert.equal(await messageOf(t, rejects), message)
  })
}

for (const [title, value, ...patterns] of RETURNED) {
  test(`the message of a destination that returns ${title}`, async (t) => {
    const message = await messageOf(t, () => value)
    for (const pattern of patterns) assert.match(message, pattern)
    assert.doesNotMatch(message, /\[object |says no more/)
  })
}

test('the error of a call that waits says why', async (t) => {
  const engine = await openEngine(t)
  engine.destination('test', {
    deliver: () => [{ status: 'retry', error: { a: 1 }, afterMs: 9e6 }],
  })
  const execution = engine.execution({ workflowId: 'p_test' })
  execution.step('step').$send.test({})
  await execution.complete()
  let delivery
  do [delivery] = await engine.deliveries()
  while (!delivery.lastError)
  assert.equal(delivery.lastError.message, '{ a: 1 }')
})

/** What a step throws, and the error of its execution. */
const STEPS = [
  [new TypeError('fetch failed', { cause: inner }), `fetch failed: ${inner.message}`],
  [new TypeError(), 'TypeError without a message'],
  [new AggregateError([inner]), inner.message],
  [{ code: 'E1' }, "The step threw { code: 'E1' }"],
  [hostile, /cannot be shown|\{\}/],
]

test('the error of an execution says what its step threw', async (t) => {
  const engine = await openEngine(t)
  for (const [thrown, message] of STEPS) {
    const ended = nextEvent(engine, 'execution')
    const run = engine.run({ workflowId: 'p_test' }, (execution) => {
      execution.step('step').$send.email({ subject: 's' })
      throw thrown
    })
    await run.catch(() => undefined)
    const { error } = await ended
    if (typeof message === 'string') assert.equal(error, message)
    else assert.match(error, message)
  }
})
