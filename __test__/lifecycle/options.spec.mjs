// The options of `Engine.open`: what is refused, and what the limits do.

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { Engine } from '../../js/index.mjs'
import { LOCAL, finish, openEngine, openStep } from '../support/engine.mjs'
import { PATIENT } from '../support/patience.mjs'
import { gate, receiver } from '../support/receiver.mjs'

const NOWHERE = { method: 'POST', url: 'http://127.0.0.1:9/' }

/** Opens with options that must be refused, and answers the message. */
async function refused(options) {
  const error = await Engine.open(options).then(
    (engine) => engine.close().then(() => assert.fail(`accepted ${JSON.stringify(options)}`)),
    (thrown) => thrown,
  )
  // reaches ERR_SEND_INVALID_OPTION
  assert.equal(error.code, 'ERR_SEND_INVALID_OPTION', error.message)
  assert.equal(error instanceof TypeError, true)
  return error.message
}

/** Bytes that a call takes beside its payload, as docs/reference/options.md says. */
const CALL_BYTES = 768

test('no options, undefined and an empty object are the defaults', async () => {
  for (const options of [[], [undefined], [{}], [{ http: undefined, egress: {} }]]) {
    const engine = await Engine.open(...options)
    assert.equal(engine instanceof Engine, true)
    assert.deepEqual(engine.egressAddresses(), [])
    await engine.close()
  }
})

test('options that are no object are refused', async () => {
  for (const options of [null, 5, 'text', true, [], () => 1, Symbol('s'), 1n]) {
    assert.match(await refused(options), /the options must be an object/)
  }
})

test('what is wrong is named by its path', async () => {
  for (const [options, expected] of [
    [{ htpp: {} }, 'unknown option htpp. Did you mean http?'],
    [{ http: { timeout: 5 } }, 'unknown option http.timeout. Did you mean http.timeoutMs?'],
    [{ http: { timeoutMs: '5' } }, 'http.timeoutMs: must be a number, not "5"'],
    [{ http: { timeoutMs: 0 } }, 'http.timeoutMs: 0 is not a whole number from 1'],
    [{ http: { timeoutMs: 1.5 } }, 'http.timeoutMs: 1.5 is not a whole number'],
    [{ http: { timeoutMs: NaN } }, 'http.timeoutMs: NaN is not a value for an option'],
    [{ http: { timeoutMs: Infinity } }, 'http.timeoutMs: Infinity is not a value'],
    [{ http: { timeoutMs: 5n } }, 'http.timeoutMs: 5 is not a value for an option'],
    [{ http: null }, 'http: null is not a value for an option'],
    [{ http: 5 }, 'http: must be an object, not 5'],
    [{ http: { userAgent: 'a\nb' } }, 'http.userAgent: is not a header value'],
    [{ http: { maxRedirects: -1 } }, 'http.maxRedirects: -1 is not a whole number from 0'],
    [{ concurrency: 0 }, 'concurrency: 0 is not a whole number from 1'],
    [{ http: { concurrency: 0 } }, 'http.concurrency: 0 is not a whole number from 1'],
    [{ strict: 'yes' }, 'strict: must be true or false, not "yes"'],
    [{ strict: () => true }, 'is not a value for an option'],
    [{ name: '' }, 'name: must not be empty'],
    [{ name: Symbol('s') }, 'name: Symbol(s) is not a value'],
    [{ maxPayloadBytes: -1 }, 'maxPayloadBytes: -1 is not a whole number'],
    [{ maxPendingBytes: 2 ** 40 }, 'maxPendingBytes: 1099511627776 is not a whole number'],
    [{ egress: { allow: '10.0.0.0/8' } }, 'egress.allow: must be a list, not "10.0.0.0/8"'],
    [{ egress: { allow: ['10.0.0.0/33'] } }, 'egress.allow[0]:'],
    [{ egress: { deny: ['ok.example', ''] } }, 'egress.deny[1]:'],
    [{ egress: { allow: [undefined] } }, 'egress.allow'],
    [
      { egress: { ports: [80, 70_000] } },
      'egress.ports[1]: must be a whole number from 0 to 65535, not 70000',
    ],
    [{ egress: { schemes: ['ftp'] } }, 'egress.schemes[0]:'],
    [{ egress: { proxy: 'ftp://proxy.example' } }, 'egress.proxy:'],
    [{ egress: { localAddress: 'localhost' } }, 'egress.localAddress:'],
    [{ log: { maxAgeDays: 0.5 } }, 'log.maxAgeDays: 0.5 is not a whole number'],
    [{ log: { redact: 'X-Own' } }, 'log.redact: must be a list, not "X-Own"'],
  ]) {
    const message = await refused(options)
    assert.ok(message.includes(expected), `${message} has no ${expected}`)
  }
})

test('a warehouse needs a place, and numbers that make sense', async () => {
  const file = '/nowhere/x.duckdb'
  for (const [sql, message] of /** @type {Array<[any, RegExp]>} */ ([
    ['./x', /^Engine\.open\(\): sql: must be an object, not/],
    [[], /sql: must be an object/],
    [{}, /sql\.duckdb\.file: is needed without dataDir/],
    [{ duckdb: { file: '' } }, /sql\.duckdb\.file: must not be empty/],
    [{ duckdb: { path: file } }, /unknown option sql\.duckdb\.path\. Known: file/],
    [{ duckdb: { file, memoryBytes: 1 } }, /sql\.duckdb\.memoryBytes/],
    [{ duckdb: { file, threads: 0 } }, /sql\.duckdb\.threads/],
    [{ duckdb: { file }, retentionDays: -1 }, /sql\.retentionDays: -1 is not between 0 and 36525/],
    [{ duckdb: { file }, batch: { maxCount: 0 } }, /sql\.batch\.maxCount/],
    [{ duckdb: { file }, timeoutMs: 0 }, /sql\.timeoutMs/],
  ])) {
    assert.match(await refused({ sql }), message)
  }
})

test('options that refer to themselves are refused', async () => {
  const options = { http: {} }
  options.http.again = options
  assert.match(await refused(options), /nested too deeply/)
})

test('a refusal shows no credentials of a proxy', async () => {
  for (const proxy of [
    'http://u:hunter2@exa mple',
    'ftp://u:hunter2@h',
    'u:hunter2@h',
    'http://u:hunter2@',
  ]) {
    assert.doesNotMatch(await refused({ egress: { proxy } }), /hunter2/)
  }
})

test('the declared addresses are answered', async (t) => {
  const addresses = ['203.0.113.7', '2001:db8::/64']
  const engine = await openEngine(t, { egress: { addresses } })
  assert.deepEqual(engine.egressAddresses(), addresses)
  engine.egressAddresses().push('x')
  assert.deepEqual(engine.egressAddresses(), addresses)
})

test('changing the options later changes nothing', async (t) => {
  const options = { egress: { allow: [...LOCAL.allow] }, http: { logBodyBytes: 3 } }
  const { $send, execution } = await openStep(t, options)
  options.egress.allow.length = 0
  options.http.logBodyBytes = 100
  const server = await receiver(t)
  $send.http({ method: 'POST', url: server.url, data: 'abcdef' })
  const [{ status, request }] = await finish(execution)
  assert.equal(status, 'delivered')
  assert.deepEqual([request.body, request.truncated, request.bodyBytes], ['abc', true, 6])
})

test('loopback is denied unless it is allowed', async (t) => {
  const server = await receiver(t)
  const { $send, execution } = await openStep(t, { egress: {} })
  $send.http({ method: 'GET', url: server.url })
  const [{ status, error }] = await finish(execution)
  // reaches ERR_SEND_EGRESS_DENIED
  assert.deepEqual([status, error.code], ['failed', 'ERR_SEND_EGRESS_DENIED'])
  assert.equal(server.requests.length, 0)
})

test('a huge text is refused at the call', async (t) => {
  const { $send, engine } = await openStep(t)
  const text = 'x'.repeat(64 << 20)
  // reaches ERR_SEND_PAYLOAD_TOO_LARGE
  const refused = {
    name: 'RangeError',
    code: 'ERR_SEND_PAYLOAD_TOO_LARGE',
    message: /maxPayloadBytes/,
  }
  assert.throws(() => $send.http({ ...NOWHERE, data: text }), refused)
  assert.throws(() => $send.http({ ...NOWHERE, data: { text } }), refused)
  assert.throws(() => $send.http({ ...NOWHERE, data: Buffer.from(text) }), refused)
  assert.throws(() => $send.http({ ...NOWHERE, data: new Blob([text]) }), refused)
  assert.throws(() => $send.s3({ bucket: 'b', payload: text }), refused)
  assert.throws(() => $send.email({ text }), refused)
  assert.throws(() => $send.emit({ raw_event: { text } }), refused)
  assert.equal(engine.stats().pendingBytes, 0)
})

test('a form with a file over the limit is refused at the call', async (t) => {
  const { $send } = await openStep(t, { maxPayloadBytes: 1000 })
  const form = new FormData()
  form.append('file', new Blob(['x'.repeat(1001)]))
  const code = 'ERR_SEND_PAYLOAD_TOO_LARGE'
  assert.throws(() => $send.http({ ...NOWHERE, data: form }), { code })
})

test('a text that no string can hold is refused as too large', async (t) => {
  const { $send } = await openStep(t)
  const half = 'x'.repeat(2 ** 29 - 100)
  const code = 'ERR_SEND_PAYLOAD_TOO_LARGE'
  assert.throws(() => $send.http({ ...NOWHERE, data: [half, half] }), { code })
})

test('maxPayloadBytes counts bytes, exactly', async (t) => {
  for (const text of ['a', 'ä', '€', '𝒳']) {
    const config = { ...NOWHERE, data: text.repeat(50) }
    const bytes = Buffer.byteLength(JSON.stringify(config))
    const fits = await openStep(t, { maxPayloadBytes: bytes })
    fits.$send.http(config)
    assert.equal(fits.engine.stats().pendingBytes, bytes + CALL_BYTES)
    const tight = await openStep(t, { maxPayloadBytes: bytes - 1 })
    const code = 'ERR_SEND_PAYLOAD_TOO_LARGE'
    assert.throws(() => tight.$send.http(config), { name: 'RangeError', code })
    assert.equal(tight.engine.stats().pendingBytes, 0)
  }
})

test('maxPayloadBytes counts the bytes of a binary body', async (t) => {
  const text = Buffer.byteLength(JSON.stringify(NOWHERE))
  const { $send } = await openStep(t, { maxPayloadBytes: text + 10 })
  $send.http({ ...NOWHERE, data: Buffer.alloc(10) })
  const code = 'ERR_SEND_PAYLOAD_TOO_LARGE'
  assert.throws(() => $send.http({ ...NOWHERE, data: Buffer.alloc(11) }), { code })
})

test('keys that nobody reads do not count', async (t) => {
  const { $send, engine } = await openStep(t, { maxPayloadBytes: 200 })
  $send.http({ ...NOWHERE, data: 'x', unknown: 'x'.repeat(1000) })
  assert.equal(engine.stats().recorded, 1)
})

test('maxPendingBytes refuses a call, and a flush makes room again', async (t) => {
  const server = await gate(t)
  const config = { method: 'POST', url: server.url, data: 'x'.repeat(1000) }
  const bytes = Buffer.byteLength(JSON.stringify(config)) + CALL_BYTES
  const { $send, execution, engine } = await openStep(t, { maxPendingBytes: 3 * bytes })
  for (let call = 0; call < 3; call++) $send.http(config)
  // reaches ERR_SEND_JOURNAL_FULL
  const full = {
    code: 'ERR_SEND_JOURNAL_FULL',
    message: /maxPendingBytes is \d+.*engine\.ready\(\)/,
  }
  assert.throws(() => $send.http(config), full)
  assert.equal(engine.stats().pendingBytes, 3 * bytes)
  await execution.flush()
  assert.throws(() => $send.http(config), full)
  server.open()
  await engine.flush(PATIENT)
  assert.equal(engine.stats().pendingBytes, 0)
  $send.http(config)
  assert.equal((await finish(execution)).length, 4)
  assert.equal(server.requests.length, 4)
})

test('discarding gives its memory back', async (t) => {
  const { $send, execution, engine } = await openStep(t)
  $send.http({ ...NOWHERE, data: 'x'.repeat(1000) })
  $send.http({ ...NOWHERE, data: new Blob(['x'.repeat(1000)]) })
  assert.equal(execution.discard(), 2)
  await execution.settled()
  assert.equal(engine.stats().pendingBytes, 0)
})

test('memory is given back when deliveries fail, bodies that came later included', async (t) => {
  const { $send, execution, engine } = await openStep(t)
  $send.http({ ...NOWHERE, data: new Blob(['x'.repeat(1000)]) })
  $send.http({ ...NOWHERE, data: Buffer.alloc(1000) })
  $send.http({ method: 'GET', url: 'http://exa mple/' })
  $send.sql({ table: 't', payload: 'x' })
  await finish(execution)
  const { pendingBytes, failed, pending, inFlight } = engine.stats()
  assert.deepEqual(
    { pendingBytes, failed, pending, inFlight },
    { pendingBytes: 0, failed: 4, pending: 0, inFlight: 0 },
  )
})

test('strict makes warnings errors', async (t) => {
  const { $send, execution } = await openStep(t, { strict: true })
  for (const [call, pattern] of [
    [() => $send.http({ ...NOWHERE, body: 'x' }), /^\$send\.http: `body` is ignored/],
    [() => $send.http({ method: 'GET', url: 'no url' }), /^\$send\.http: `url` does not parse/],
    [() => $send.email({ body: 'x' }), /^\$send\.email: `body` is ignored/],
    [() => $send.email({ include_collaborators: 1 }), /^\$send\.email: `include_collaborators`/],
    [
      () => $send.s3({ bucket: 'b', payload: new Blob([]) }),
      /^\$send\.s3: payload is a Blob, so it cannot be recorded/,
    ],
    [() => $send.emit({ raw_event: {}, more: 1 }), /^\$send\.emit: `more` is ignored/],
  ]) {
    assert.throws(call, { name: 'TypeError', code: 'ERR_SEND_INVALID_ARGUMENT', message: pattern })
  }
  $send.http({ ...NOWHERE, data: { a: 1 } })
  assert.equal((await execution.complete()).recorded, 1)
})

test('strict refuses a missing and a lower-case method too', async (t) => {
  const { $send } = await openStep(t, { strict: true })
  for (const method of [undefined, 'post']) {
    const code = 'ERR_SEND_INVALID_ARGUMENT'
    assert.throws(() => $send.http({ ...NOWHERE, method, data: 'x' }), { code, message: /method/ })
  }
})

test('engines do not share their limits', async (t) => {
  const full = await openStep(t, { maxPendingBytes: 0 })
  assert.throws(() => full.$send.email({}), { code: 'ERR_SEND_JOURNAL_FULL' })
  const engine = await openEngine(t)
  engine.execution({ workflowId: 'p' }).step('s').$send.email({})
  assert.equal(engine.stats().recorded, 1)
})
