// Values of other realms and packages: sent as they are, or refused at the call.

import assert from 'node:assert/strict'
import { Readable } from 'node:stream'
import { test } from 'node:test'
import { inspect, isDeepStrictEqual } from 'node:util'
import vm from 'node:vm'

import { FormData as UndiciFormData } from 'undici'

import '../../js/global.mjs'
import { runInStep } from '../../js/global.mjs'
import { finish, openStep } from '../support/engine.mjs'
import { receiver } from '../support/receiver.mjs'

/** Sends a value as `data`. Resolves to the request's body and content type. */
async function sent(t, data) {
  const server = await receiver(t)
  const { execution, $send } = await openStep(t)
  $send.http({ method: 'POST', url: server.url, data })
  await finish(execution)
  const [{ text, headers }] = server.requests
  return { text, type: headers['content-type'] }
}

for (const [code, expected] of [
  ["({ m: new Map([['k', 1]]), s: new Set([1, 2]) })", '{"m":{"k":1},"s":[1,2]}'],
  ["[new Map([['a', new Set(['b'])]])]", '[{"a":["b"]}]'],
  ['new Uint8Array([104, 105])', 'hi'],
  ['new Uint8Array([104, 105]).buffer', 'hi'],
  ['new DataView(new Uint8Array([104, 105]).buffer)', 'hi'],
]) {
  test(`of another realm: ${code}`, async (t) => {
    assert.equal((await sent(t, vm.runInNewContext(code))).text, expected)
  })
}

test('a FormData of another package is sent as a form', async (t) => {
  const form = new UndiciFormData()
  form.append('field', 'value')
  form.append('file', new Blob(['content']), 'a.txt')
  const { text, type } = await sent(t, form)
  assert.match(type, /^multipart\/form-data; boundary=/)
  assert.match(text, /name="field"\r\n\r\nvalue/)
  assert.match(text, /filename="a.txt"[^]*content/)
})

test('a form with getBuffer() and getHeaders() is sent as its bytes', async (t) => {
  const form = {
    getBuffer: () => Buffer.from('--b--'),
    getHeaders: () => ({ 'content-type': 'multipart/form-data; boundary=b' }),
  }
  assert.deepEqual(await sent(t, form), {
    text: '--b--',
    type: 'multipart/form-data; boundary=b',
  })
})

test('what can only be read later is refused at the call', async (t) => {
  const { execution, $send } = await openStep(t)
  const streaming = {
    getHeaders: () => ({}),
    getBuffer() {
      throw new TypeError('a stream')
    },
  }
  for (const data of [Readable.from(['a']), new ReadableStream(), streaming]) {
    assert.throws(() => $send.http({ method: 'POST', url: 'http://127.0.0.1:1/', data }), {
      code: 'ERR_SEND_INVALID_ARGUMENT',
      message: /cannot be recorded/,
    })
  }
  execution.discard()
})

test('matchers, spies and inspectors find a plain object in $send', async (t) => {
  const { execution, step } = { ...(await openStep(t)), step: undefined }
  const own = execution.step('other')
  for (const $send of [own.$send, globalThis.$send]) {
    for (const name of ['then', 'toJSON', 'asymmetricMatch', '$$typeof', 'nodeType', '@@x@@']) {
      assert.equal($send[name], undefined, name)
    }
    assert.match(inspect($send), /http/)
    assert.equal(isDeepStrictEqual($send, {}), false)
    assert.equal(await Promise.resolve($send), $send)
    JSON.stringify({ $send, step })
  }
  assert.throws(() => own.$send.slack('x'), { message: /\$send\.slack is not a destination/ })
  const { http } = globalThis.$send
  t.after(() => (globalThis.$send.http = http))
  const calls = []
  globalThis.$send.http = (call) => calls.push(call)
  runInStep(own, () => globalThis.$send.http({ url: 5 }))
  assert.deepEqual(calls, [{ url: 5 }])
  assert.equal(typeof own.$send.http, 'function')
  execution.discard()
})
