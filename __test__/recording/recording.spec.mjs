// What a `$send` call does before anything is sent: it records, warns and refuses.

import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { inspect } from 'node:util'
import { test } from 'node:test'

import { finish, nextEvent, openStep } from '../support/engine.mjs'
import { dataDirectory } from '../support/data-dir.mjs'
import { receiver } from '../support/receiver.mjs'

const { NAMES } = createRequire(import.meta.url)('../../js/destinations/built-in.cjs')
const NOWHERE = { method: 'POST', url: 'http://127.0.0.1:9/' }

test('a call answers undefined and sends nothing before the completion hook', async (t) => {
  const server = await receiver(t)
  const { $send, execution, engine } = await openStep(t)
  assert.equal($send.http({ method: 'POST', url: server.url, data: { a: 1 } }), undefined)
  assert.equal($send.email({ subject: 's' }), undefined)
  assert.equal($send.emit({ raw_event: {} }), undefined)
  // A delivery of another execution goes there and back; the recorded call has not moved.
  const other = engine.execution({ workflowId: 'p_other' })
  other.step('s').$send.http({ method: 'GET', url: `${server.origin}/other` })
  await finish(other)
  assert.deepEqual(
    server.requests.map(({ path }) => path),
    ['/other'],
  )
  const { recorded } = await execution.complete()
  assert.equal(recorded, 3)
  await server.received(2)
})

test('await, Promise.all and destructuring work', async (t) => {
  const server = await receiver(t)
  const { $send, $, execution } = await openStep(t)
  const { http } = $send
  await http({ method: 'POST', url: server.url, data: '1' })
  await Promise.all(
    [2, 3].map((n) => $.send.http({ method: 'POST', url: server.url, data: `${n}` })),
  )
  class Holder {
    constructor(dollar) {
      this.$ = dollar
    }
    send() {
      this.$.send.http({ method: 'POST', url: server.url, data: '4' })
    }
  }
  new Holder({ ...$, export() {} }).send()
  ;[{ method: 'POST', url: server.url, data: '5' }].forEach($send.http)
  const log = await finish(execution)
  assert.deepEqual(
    log.map(({ request }) => request.body),
    ['1', '2', '3', '4', '5'],
  )
  assert.deepEqual(
    log.map(({ index }) => index),
    [0, 1, 2, 3, 4],
  )
})

test('awaiting, printing and serialising $send itself is harmless', async (t) => {
  const { $send, $ } = await openStep(t)
  assert.equal(await $send, $send)
  assert.equal($.send, $send)
  assert.equal(JSON.stringify($send), '{}')
  assert.match(inspect($send), /http/)
  assert.deepEqual(Object.keys($send), NAMES)
  assert.equal(`${$send}`, '[object Object]')
})

test('an unknown method says which there are', async (t) => {
  const { $send } = await openStep(t)
  for (const name of ['slack', 'discord', 'snowflake', 'HTTP']) {
    assert.throws(() => $send[name]({ text: 'x' }), {
      name: 'TypeError',
      code: 'ERR_SEND_INVALID_ARGUMENT',
      message: `$send.${name} is not a destination. There are: ${NAMES.map((n) => `$send.${n}`).join(', ')}. engine.destination() adds others`,
    })
  }
})

test('nothing can be recorded after complete() or discard()', async (t) => {
  for (const end of ['complete', 'discard']) {
    const { $send, execution } = await openStep(t, { lateCalls: 'throw' })
    const ended = execution[end]()
    // reaches ERR_SEND_EXECUTION_COMPLETED
    const refused = { code: 'ERR_SEND_EXECUTION_COMPLETED', message: new RegExp(`already ${end}`) }
    assert.throws(() => $send.http(NOWHERE), refused)
    assert.throws(() => $send.http({ ...NOWHERE, data: new Blob(['x']) }), refused)
    assert.throws(() => $send.email({ subject: 's' }), refused)
    assert.throws(() => execution.step('late'), refused)
    assert.throws(() => execution.discard(), refused)
    await assert.rejects(async () => execution.complete(), refused)
    await assert.rejects(async () => execution.flush(), refused)
    await ended
    assert.throws(() => $send.http(NOWHERE), refused)
  }
})

test('a call that is refused leaves nothing behind', async (t) => {
  const { $send, execution, engine } = await openStep(t, { maxPayloadBytes: 100 })
  assert.throws(() => $send.http({ url: 5 }))
  assert.throws(() => $send.http({ ...NOWHERE, data: 'x'.repeat(200) }))
  assert.equal(engine.stats().recorded, 0)
  assert.equal(engine.stats().pendingBytes, 0)
  assert.equal((await execution.complete()).recorded, 0)
})

test('keys without effect leave a warning in the log', async (t) => {
  const server = await receiver(t)
  const { $send, execution } = await openStep(t, { dataDir: dataDirectory(t) })
  for (const key of ['body', 'json', 'form', 'validateStatus']) {
    $send.http({ method: 'POST', url: server.url, [key]: 'x' })
  }
  const mail = ['body', 'to', 'cc', 'bcc', 'replyTo', 'from', 'headers', 'attachments']
  $send.email({ subject: 's', body: 'x' })
  for (const key of mail.slice(1)) $send.email({ subject: 's', [key]: 1n })
  $send.email({ include_collaborators: 'yes' })
  $send.emit({ raw_event: {}, extra: 1 })
  $send.emit({ a: 1 }, 5)
  const log = await finish(execution)
  const warned = log.map(({ warnings }) => /`(\w+)` is ignored/.exec(warnings.join())?.[1])
  const http = ['body', 'json', 'form', 'validateStatus']
  assert.deepEqual(warned, [...http, ...mail, 'include_collaborators', 'extra', undefined])
  assert.match(log.at(-1).warnings.join(), /the channel is ignored/)
})

test('a call without oddities has no warnings', async (t) => {
  const server = await receiver(t)
  const { $send, execution } = await openStep(t, { dataDir: dataDirectory(t) })
  $send.http({ method: 'POST', url: server.url, data: { a: 1 }, timeout: 3000, unknown: 1 })
  $send.http({ method: 'POST', url: server.url, body: undefined, auth: undefined, data: 'x' })
  $send.email({ subject: 's', include_collaborators: false })
  const log = await finish(execution)
  assert.deepEqual(
    log.map(({ warnings }) => warnings),
    [[], [], []],
  )
})

test('a timeout that is not one leaves a warning', async (t) => {
  const server = await receiver(t)
  const { $send, execution } = await openStep(t)
  for (const timeout of ['5', 0, 1e9, {}]) {
    $send.http({ method: 'GET', url: server.url, timeout })
    $send.http({ url: server.url, timeout })
  }
  for (const { warnings, status } of await finish(execution)) {
    assert.equal(status, 'delivered')
    assert.match(warnings.join(), /the timeout is ignored/)
  }
})

test('a url that does not parse is a failed delivery', async (t) => {
  const { $send, execution } = await openStep(t)
  for (const url of ['', 'example.com', 'http://exa mple/', 'ftp://example.com/', 'http:/x']) {
    $send.http({ method: 'GET', url })
  }
  for (const delivery of await finish(execution)) {
    assert.equal(delivery.status, 'failed')
    assert.equal(delivery.error.code, 'ERR_SEND_INVALID_URL')
  }
})

test('a header that cannot be sent is a failed delivery', async (t) => {
  const { $send, execution } = await openStep(t)
  $send.http({ method: 'GET', url: NOWHERE.url, headers: { 'x-a': 'secret\r\nx-b: c' } })
  const [{ status, error }] = await finish(execution)
  // reaches ERR_SEND_INVALID_HEADER
  assert.deepEqual([status, error.code], ['failed', 'ERR_SEND_INVALID_HEADER'])
  assert.doesNotMatch(error.message, /secret/)
})

test('secrets never reach the log, an event or an error', async (t) => {
  const server = await receiver(t, (_request, response) => {
    response.setHeader('set-cookie', 'session=hunter2')
    response.setHeader('x-auth-token', 'hunter2')
    response.end('ok')
  })
  const { $send, execution, engine } = await openStep(t, { log: { redact: ['X-Own'] } })
  const events = []
  for (const topic of ['delivery', 'execution', 'warning']) engine.on(topic, (e) => events.push(e))
  const { host } = new URL(server.origin)
  const get = (config) => $send.http({ method: 'GET', url: server.url, ...config })
  get({ url: `http://user:hunter2@${host}/a?access_token=hunter2&q=1` })
  get({ auth: { username: 'user', password: 'hunter2' } })
  get({ params: { api_key: 'hunter2' } })
  for (const name of ['Authorization', 'Cookie', 'X-Api-Key', 'x-my-token', 'X-Secret', 'X-OWN']) {
    get({ headers: { [name]: 'hunter2' } })
  }
  get({ url: 'http://user:hunter2@127.0.0.1:9/' })
  get({ url: 'http://user:hunter2@exa mple/?token=hunter2' })
  get({ url: 'user:hunter2@example.com' })
  get({ url: 'http://user:hunter2@10.0.0.1/' })
  const recorded = await engine.deliveries()
  const ended = nextEvent(engine, 'execution')
  const log = await finish(execution)
  await ended
  assert.ok(events.length > 10)
  const secret = new RegExp(`hunter2|${btoa('user:hunter2')}`)
  for (const shown of [...recorded, ...log, ...(await engine.deliveries()), ...events]) {
    assert.doesNotMatch(JSON.stringify(shown), secret)
  }
  assert.match(JSON.stringify(log[1]), /\[redacted\]/)
  // The receiver gets what the log does not show.
  const first = server.requests.find(({ path }) => path === '/a?access_token=hunter2&q=1')
  assert.equal(first?.headers.authorization, `Basic ${btoa('user:hunter2')}`)
})

test('calls of many steps keep one order', async (t) => {
  const { execution } = await openStep(t)
  const one = execution.step('one').$send
  const two = execution.step('two').$send
  for (let call = 0; call < 6; call++) (call % 2 ? two : one).email({ subject: `${call}` })
  const log = await finish(execution)
  assert.deepEqual(
    log.map(({ step }) => step),
    ['one', 'two', 'one', 'two', 'one', 'two'],
  )
  assert.deepEqual(
    log.map(({ request }) => request.subject),
    ['0', '1', '2', '3', '4', '5'],
  )
})

test('a step needs a name', async (t) => {
  const { execution } = await openStep(t)
  for (const name of [undefined, '', 5, null, {}]) {
    assert.throws(() => execution.step(name), { code: 'ERR_SEND_INVALID_ARGUMENT' })
  }
  const step = execution.step('ä/$')
  assert.equal(step.name, 'ä/$')
})

test('both forms of emit are taken, and the channel is a text or has a name', async (t) => {
  const { $send, execution } = await openStep(t)
  $send.emit({ raw_event: { a: 1 } })
  $send.emit({ a: 1 }, 'channel')
  $send.emit({ raw_event: { a: 1 } }, { name: 'named' })
  $send.emit({ raw_event: 'text', a: 1 })
  $send.emit([1])
  $send.emit({ raw_event: { a: 1 }, event: { b: 1 } })
  const log = await finish(execution)
  assert.deepEqual(
    log.map(({ request }) => request),
    [
      { raw_event: { a: 1 } },
      { event: { a: 1 }, channel: 'channel' },
      { raw_event: { a: 1 }, channel: 'named' },
      { event: { raw_event: 'text', a: 1 } },
      { event: [1] },
      { event: { raw_event: { a: 1 }, event: { b: 1 } } },
    ],
  )
})

test('a recorded call with odd text is shown whole', async (t) => {
  const { $send, execution, engine } = await openStep(t, { http: { logBodyBytes: 200 } })
  $send.sse({ channel: 'c', payload: 'a\ud800b' })
  $send.sse({ channel: 'c', payload: 'x'.repeat(500) })
  const show = (log) => log.map(({ request }) => request)
  const before = show(await engine.deliveries()).reverse()
  const after = show(await finish(execution))
  assert.deepEqual(before, after)
  assert.deepEqual(after[0], { channel: 'c', payload: 'a\ud800b' })
  assert.equal(after[1].truncated, true)
  assert.equal(
    after[1].bodyBytes,
    Buffer.byteLength(JSON.stringify({ channel: 'c', payload: 'x'.repeat(500) })),
  )
})
