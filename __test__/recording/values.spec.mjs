// What becomes of a value on its way from a step to the wire.

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { finish, openStep } from '../support/engine.mjs'
import { receiver } from '../support/receiver.mjs'

/** Sends one body and answers what arrived. */
async function sent(t, config) {
  const server = await receiver(t)
  const { $send, execution } = await openStep(t)
  $send.http({ method: 'POST', url: server.url, ...config })
  const [delivery] = await finish(execution)
  assert.equal(delivery.status, 'delivered', delivery.error?.message)
  return { ...server.requests[0], delivery }
}

const BYTES = Uint8Array.from({ length: 1024 }, (_, index) => index & 0xff)

for (const [kind, data] of Object.entries({
  Buffer: Buffer.from(BYTES),
  Uint8Array: BYTES,
  ArrayBuffer: BYTES.buffer,
  SharedArrayBuffer: (() => {
    const shared = new SharedArrayBuffer(BYTES.length)
    new Uint8Array(shared).set(BYTES)
    return shared
  })(),
  Float32Array: new Float32Array(BYTES.buffer),
  DataView: new DataView(BYTES.buffer),
  Blob: new Blob([BYTES]),
})) {
  test(`a ${kind} arrives byte for byte`, async (t) => {
    const { body, headers, method } = await sent(t, { data, method: 'PUT' })
    assert.deepEqual(new Uint8Array(body), BYTES)
    assert.equal(headers['content-length'], '1024')
    assert.equal(method, 'PUT')
  })
}

test('a view of a part of a buffer sends that part', async (t) => {
  const { body } = await sent(t, { data: BYTES.subarray(10, 13) })
  assert.deepEqual([...body], [10, 11, 12])
})

test('an empty Buffer and a detached one are empty bodies', async (t) => {
  const detached = new Uint8Array(4)
  structuredClone(detached.buffer, { transfer: [detached.buffer] })
  for (const data of [Buffer.alloc(0), detached, new Blob([])]) {
    const { body, headers } = await sent(t, { data })
    assert.equal(body.length, 0)
    assert.equal(headers['content-length'], '0')
  }
})

test('a Blob brings its type, and the header of the call wins', async (t) => {
  const data = new Blob(['a,b'], { type: 'text/csv' })
  assert.equal((await sent(t, { data })).headers['content-type'], 'text/csv')
  const own = await sent(t, { data, headers: { 'Content-Type': 'text/tab' } })
  assert.equal(own.headers['content-type'], 'text/tab')
})

test('URLSearchParams are a form', async (t) => {
  const { text, headers } = await sent(t, { data: new URLSearchParams('a=1&b=ä&a=%20') })
  assert.equal(text, 'a=1&b=%C3%A4&a=+')
  assert.equal(headers['content-type'], 'application/x-www-form-urlencoded;charset=utf-8')
})

test('FormData with texts and files is multipart, byte for byte', async (t) => {
  const form = new FormData()
  form.append('text', 'ä\r\nb')
  form.append('file', new Blob([BYTES], { type: 'image/x-test' }), 'name "1".bin')
  form.append('text', 'second')
  const { body, headers, delivery } = await sent(t, { data: form })
  const parsed = await new Response(body, {
    headers: { 'content-type': headers['content-type'] },
  }).formData()
  assert.deepEqual(parsed.getAll('text'), ['ä\r\nb', 'second'])
  const file = parsed.get('file')
  assert.deepEqual([file.name, file.type], ['name "1".bin', 'image/x-test'])
  assert.deepEqual(new Uint8Array(await file.arrayBuffer()), BYTES)
  assert.equal(delivery.request.bodyBytes, body.length)
})

test('Maps, Sets, Dates and URLs are spelled out at any depth', async (t) => {
  const inner = new Map([['set', new Set([1, new Map([['deep', new Date(0)]])])]])
  const { text, headers } = await sent(t, {
    data: { map: new Map([['a', inner]]), url: new URL('http://x/'), empty: new Map(), none: {} },
  })
  assert.equal(headers['content-type'], 'application/json')
  assert.deepEqual(JSON.parse(text), {
    map: { a: { set: [1, { deep: '1970-01-01T00:00:00.000Z' }] } },
    url: 'http://x/',
    empty: {},
    none: {},
  })
})

test('data that is itself a Map or a Set is JSON', async (t) => {
  assert.equal((await sent(t, { data: new Map([['a', 1]]) })).text, '{"a":1}')
  assert.equal((await sent(t, { data: new Set(['a']) })).text, '["a"]')
})

test('what JSON leaves out is left out', async (t) => {
  const data = { a: undefined, b: () => 1, c: Symbol('c'), d: NaN, e: [undefined], [Symbol()]: 1 }
  assert.equal((await sent(t, { data })).text, '{"d":null,"e":[null]}')
})

test('a text that looks like an empty object stays as it is', async (t) => {
  assert.equal((await sent(t, { data: { a: '{}' } })).text, '{"a":"{}"}')
  assert.equal((await sent(t, { data: '{}' })).text, '{}')
})

test('a lone surrogate arrives as it would from Node', async (t) => {
  assert.equal((await sent(t, { data: 'a\ud800b' })).text, 'a\ufffdb')
  const { text, delivery } = await sent(t, { data: { 'k\udc00': 'a\ud800b' } })
  assert.deepEqual(JSON.parse(text), { 'k\udc00': 'a\ud800b' })
  assert.equal(typeof delivery.request.body, 'string')
})

test('text beyond the basic plane arrives unchanged', async (t) => {
  const data = { text: '€ 𝒳 \u2028 \0 \x7f ü'.repeat(100) }
  assert.deepEqual(JSON.parse((await sent(t, { data })).text), data)
})

test('toJSON decides, whatever it answers', async (t) => {
  const { text } = await sent(t, { data: { a: { toJSON: () => ({ b: 1 }) }, toJSON: undefined } })
  assert.equal(text, '{"a":{"b":1}}')
  assert.equal((await sent(t, { data: { toJSON: () => [1] } })).text, '[1]')
  assert.equal((await sent(t, { data: { toJSON: () => undefined } })).text, '')
})

test('a toJSON of the argument itself has no say', async (t) => {
  const { text } = await sent(t, { data: { a: 1 }, toJSON: () => ({ url: 'http://other/' }) })
  assert.equal(text, '{"a":1}')
})

test('inherited members and accessors of the argument count', async (t) => {
  const server = await receiver(t)
  const { $send, execution } = await openStep(t)
  class Request {
    method = 'POST'
    get url() {
      return server.url
    }
  }
  $send.http(Object.assign(Object.create(new Request()), { data: { a: 1 } }))
  await finish(execution)
  assert.equal(server.requests[0].text, '{"a":1}')
})

test('headers may be a Headers or a Map', async (t) => {
  for (const headers of [new Headers({ 'X-A': 'b' }), new Map([['X-A', 'b']])]) {
    assert.equal((await sent(t, { headers })).headers['x-a'], 'b')
  }
})

test('params may be an object, a Map or URLSearchParams', async (t) => {
  for (const params of [{ q: 'a b' }, new Map([['q', 'a b']]), new URLSearchParams({ q: 'a b' })]) {
    assert.equal((await sent(t, { params, method: 'GET' })).path, '/hook?q=a+b')
  }
})

test('the url may be a URL, whatever happens to it later', async (t) => {
  const server = await receiver(t)
  const { $send, execution } = await openStep(t)
  const url = new URL(server.url)
  $send.http({ method: 'GET', url })
  url.pathname = '/changed'
  await finish(execution)
  assert.equal(server.requests[0].path, '/hook')
})

test('a missing method is POST with data and GET without, and a lower-case one is raised', async (t) => {
  for (const [config, expected] of [
    [{ method: undefined, data: { a: 1 } }, 'POST'],
    [{ method: undefined, data: new Blob(['x']) }, 'POST'],
    [{ method: undefined }, 'GET'],
    [{ method: 'patch', data: 'x' }, 'PATCH'],
  ]) {
    const { method, delivery } = await sent(t, config)
    assert.equal(method, expected)
    assert.match(delivery.warnings.join(), /the method is/)
  }
})

test('later changes change nothing', async (t) => {
  const server = await receiver(t)
  const { $send, execution } = await openStep(t)
  const data = { list: [1], map: new Map([['a', 1]]) }
  const bytes = Buffer.from('before')
  const form = new FormData()
  form.append('a', 'before')
  const params = new URLSearchParams('a=before')
  const headers = { 'x-a': 'before' }
  $send.http({ method: 'POST', url: `${server.origin}/json`, data, headers })
  $send.http({ method: 'POST', url: `${server.origin}/bytes`, data: bytes })
  $send.http({ method: 'POST', url: `${server.origin}/form`, data: form })
  $send.http({ method: 'POST', url: `${server.origin}/params`, data: params, params })
  data.list.push(2)
  data.map.set('a', 2)
  headers['x-a'] = 'after'
  bytes.fill('!')
  form.set('a', 'after')
  params.set('a', 'after')
  await finish(execution)
  const of = (path) => server.requests.find((request) => request.path.startsWith(path))
  assert.equal(of('/json').text, '{"list":[1],"map":{"a":1}}')
  assert.equal(of('/json').headers['x-a'], 'before')
  assert.equal(of('/bytes').text, 'before')
  assert.match(of('/form').text, /before/)
  assert.equal(of('/params').path, '/params?a=before')
  assert.equal(of('/params').text, 'a=before')
})

test('cycles and BigInts are refused by their path', async (t) => {
  const { $send, execution } = await openStep(t)
  const cycle = { list: [{}] }
  cycle.list[0].back = cycle
  const inMap = new Map()
  inMap.set('self', inMap)
  const url = 'http://127.0.0.1:9/'
  for (const [path, call] of [
    ['data.list.0.back refers back', () => $send.http({ method: 'POST', url, data: cycle })],
    ['data.a.1 is a BigInt', () => $send.http({ method: 'POST', url, data: { a: [0, 1n] } })],
    ['data.a is a BigInt', () => $send.http({ method: 'POST', url, data: { a: Object(1n) } })],
    ['data.m.self refers back', () => $send.http({ method: 'POST', url, data: { m: inMap } })],
    ['data.m.k is a BigInt', () => $send.http({ url, data: { m: new Map([['k', 1n]]) } })],
    ['data.m.0 is a BigInt', () => $send.http({ url, data: { m: new Set([1n]) } })],
    ['headers.a is a BigInt', () => $send.http({ method: 'GET', url, headers: { a: 1n } })],
    ['params.a is a BigInt', () => $send.http({ method: 'GET', url, params: { a: 1n } })],
    ['payload.list.0.back refers', () => $send.s3({ bucket: 'b', payload: cycle })],
    ['payload.0 is a BigInt', () => $send.sql({ table: 't', payload: [1n] })],
    ['payload.a is a BigInt', () => $send.sse({ channel: 'c', payload: { a: 1n } })],
    ['raw_event.a is a BigInt', () => $send.emit({ raw_event: { a: 1n } })],
  ]) {
    const pattern = new RegExp(`^\\$send\\.\\w+: ${path.replaceAll('.', '\\.')}`)
    assert.throws(call, { name: 'TypeError', code: 'ERR_SEND_INVALID_ARGUMENT', message: pattern })
  }
  assert.equal((await execution.complete()).recorded, 0)
})

test('what is nested too deeply is refused, and what JSON can hold is not', async (t) => {
  const nested = (levels) => {
    let value = {}
    for (let level = 0; level < levels; level++) value = { a: value }
    return value
  }
  assert.equal((await sent(t, { data: nested(2000) })).text.length, 2000 * 6 + 2)
  const { $send } = await openStep(t)
  const url = 'http://127.0.0.1:9/'
  assert.throws(() => $send.http({ method: 'POST', url, data: nested(100_000) }), {
    code: 'ERR_SEND_INVALID_ARGUMENT',
    message: /data\.a\.a\.a.*nested too deeply/,
  })
})

test('cycles and BigInts in keys that nobody reads do not matter', async (t) => {
  const server = await receiver(t)
  const { $send, execution } = await openStep(t)
  const config = { method: 'POST', url: server.url, data: { a: 1 }, big: 1n, auth: undefined }
  config.self = config
  $send.http(config)
  const auth = { username: 'u', password: 'p' }
  auth.self = auth
  $send.http({ ...config, auth })
  $send.email({ subject: 's', self: config, n: 1n })
  $send.emit({ raw_event: { a: 1 }, n: 1n, self: config })
  const log = await finish(execution)
  assert.deepEqual(
    log.map(({ status }) => status),
    ['delivered', 'delivered', 'delivered', 'delivered'],
  )
  assert.deepEqual(log[3].request, { raw_event: { a: 1 } })
  assert.deepEqual(
    server.requests.map(({ text }) => text),
    ['{"a":1}', '{"a":1}'],
  )
})

test('getters and toJSON that throw pass their own error', async (t) => {
  const { $send, execution } = await openStep(t)
  const own = Object.assign(new TypeError('mine'), { code: 'OWN' })
  const trap = {
    get a() {
      throw own
    },
  }
  const url = 'http://127.0.0.1:9/'
  for (const call of [
    () => $send.http({ method: 'POST', url, data: { trap, later: 1n } }),
    () => $send.http({ method: 'POST', url, data: new Map([['trap', trap]]) }),
    () => $send.s3({ bucket: 'b', payload: { toJSON: () => trap.a } }),
    () => $send.http({ method: 'POST', get url() { throw own } }), // prettier-ignore
  ]) {
    assert.throws(call, (error) => error === own)
  }
  assert.equal((await execution.complete()).recorded, 0)
})

test('a Blob or a form where text has to be is refused by its path', async (t) => {
  const { $send, execution } = await openStep(t)
  for (const [call, message] of /** @type {const} */ ([
    [() => $send.sse({ channel: 'c', payload: new Blob(['x']) }), /\$send\.sse: payload is a Blob/],
    [
      () => $send.sql({ table: 't', payload: { form: new FormData() } }),
      /\$send\.sql: payload\.form is a form/,
    ],
  ])) {
    assert.throws(call, { code: 'ERR_SEND_INVALID_ARGUMENT', message })
  }
  assert.equal((await execution.complete()).recorded, 0)
})

test('bytes for the batching destinations are base64 text', async (t) => {
  const { $send, execution } = await openStep(t)
  $send.sse({ channel: 'b', payload: Buffer.from([0, 255]) })
  $send.sse({ channel: 'c', payload: new Uint8Array([1]).buffer })
  $send.sql({ table: 't', payload: new URLSearchParams('a=1') })
  const log = await finish(execution)
  assert.deepEqual(
    log.map(({ request }) => request.payload),
    ['AP8=', 'AQ==', 'a=1'],
  )
})

test('a Blob that can no longer be read is a failed delivery', async (t) => {
  const { $send, execution } = await openStep(t)
  class Broken extends Blob {
    async arrayBuffer() {
      throw new Error('gone')
    }
  }
  $send.http({ method: 'POST', url: 'http://127.0.0.1:9/', data: new Broken(['x']) })
  const [delivery] = await finish(execution)
  assert.equal(delivery.status, 'failed')
  assert.equal(delivery.error.code, 'ERR_SEND_INVALID_ARGUMENT')
  assert.match(delivery.error.message, /could not be read: gone/)
})
