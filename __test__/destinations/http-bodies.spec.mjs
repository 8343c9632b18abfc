import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as zlib from 'node:zlib'

import { certificates } from '../support/servers/certificates.mjs'
import { deliver, deliverInChild, openEngine, outcome } from '../support/servers/deliver.mjs'
import { raw } from '../support/servers/raw.mjs'
import { secureServer } from '../support/servers/secure.mjs'
import { PATIENT } from '../support/patience.mjs'

const OK = 'HTTP/1.1 200 OK\r\n'
const CHUNKED = `${OK}Transfer-Encoding: chunked\r\n\r\n`

/** A whole response with this body and these header lines. */
const answer = (body, headers = '', status = '200 OK') => {
  const bytes = Buffer.from(body)
  const head = `HTTP/1.1 ${status}\r\n${headers}Content-Length: ${bytes.length}\r\n\r\n`
  return Buffer.concat([Buffer.from(head, 'latin1'), bytes])
}
const coded = (coding, body) => answer(body, `Content-Encoding: ${coding}\r\n`)
const typed = (type, body) => answer(body, `Content-Type: ${type}\r\n`)

/** Runs the cases of a table at the same time, each a test of its own. */
async function each(t, cases, run) {
  await Promise.all(cases.map(([name, ...rest]) => t.test(name, (t) => run(t, ...rest))))
}

const half = (text) => (socket) => socket.end(text)
/** Writes, and resets the connection once the client has begun to read. */
const reset = (text) => (socket) =>
  socket.write(text, () => setImmediate(() => socket.resetAndDestroy()))
const whole = (bytes) => (socket) => socket.write(bytes)

test('coded bodies are read in every spelling', { concurrency: true }, async (t) => {
  const text = 'the same words, the same words'
  const { brotliCompressSync, deflateRawSync, deflateSync, gzipSync } = zlib
  const members = Buffer.concat([gzipSync('one '), gzipSync(''), gzipSync('two')])
  const cases = [
    ['gzip of several members', coded('gzip', members), 'one two'],
    ['x-gzip', coded('x-gzip', gzipSync(text)), text],
    ['upper case', coded('GZIP', gzipSync(text)), text],
    ['zlib', coded('deflate', deflateSync(text)), text],
    ['raw deflate', coded('deflate', deflateRawSync(text)), text],
    ['zlib under the name of gzip', coded('gzip', deflateSync(text)), text],
    ['two codings', coded('gzip, br', brotliCompressSync(gzipSync(text))), text],
    [
      'two lines',
      answer(
        brotliCompressSync(gzipSync(text)),
        'Content-Encoding: gzip\r\nContent-Encoding: br\r\n',
      ),
      text,
    ],
    ['identity', coded('identity', text), text],
    [
      'garbage after the end',
      coded('gzip', Buffer.concat([gzipSync(text), Buffer.from('more')])),
      text,
    ],
    [
      'zeros after the end',
      coded('gzip', Buffer.concat([gzipSync(text), Buffer.alloc(600)])),
      text,
    ],
    ['nothing at all', coded('br', ''), ''],
  ]
  const engine = await openEngine(t, { http: PATIENT })
  await each(t, cases, async (t, bytes, body) => {
    const server = await raw(t, whole(bytes))
    const [delivery] = await deliver(engine, { method: 'GET', url: server.url })
    assert.equal(outcome(delivery), 'delivered 200', delivery.error?.message)
    assert.deepEqual([delivery.response.body, delivery.response.truncated], [body, false])
    assert.deepEqual(delivery.warnings, [])
  })
})

test(
  'a body that breaks off or cannot be read leaves its status',
  { concurrency: true },
  async (t) => {
    const text = 'x'.repeat(1000)
    const gzip = zlib.gzipSync(text)
    const zipped = (bytes) => coded('gzip', bytes)
    const broken = Buffer.concat([gzip.subarray(0, 12), Buffer.from('broken'), gzip.subarray(18)])
    const wrongSum = Buffer.concat([gzip.subarray(0, -8), Buffer.alloc(4), gzip.subarray(-4)])
    const lengthy = `${OK}Content-Length: 9\r\n\r\n`
    const cut = /broke before the response's body was over/
    const coding = /could not be decoded/
    const framing = /body is not valid HTTP/
    const cases = [
      ['reset after the headers', reset(lengthy), '', cut],
      ['reset in the body', reset(`${lengthy}half`), 'half', cut],
      ['reset in a body without a length', reset(`${OK}\r\nhalf`), 'half', cut],
      ['closed in the body', half(`${lengthy}half`), 'half', cut],
      ['closed between chunks', half(`${CHUNKED}4\r\nhalf\r\n`), 'half', cut],
      ['closed in a chunk', half(`${CHUNKED}9\r\nhalf`), 'half', cut],
      ['closed before the last line', half(`${CHUNKED}4\r\nhalf\r\n0\r\n`), 'half', cut],
      ['closed in a coded body', half(zipped(gzip).subarray(0, -4)), text, cut],
      ['gzip without its trailer', whole(zipped(gzip.subarray(0, -8))), text, coding],
      ['gzip that ends too early', whole(zipped(gzip.subarray(0, -12))), undefined, coding],
      ['gzip with a wrong checksum', whole(zipped(wrongSum)), text, coding],
      ['broken gzip', whole(zipped(broken)), undefined, coding],
      ['text that claims to be gzip', whole(zipped('no gzip at all')), 'no gzip at all', coding],
      ['text that claims to be brotli', whole(coded('br', 'no br at all')), undefined, coding],
      ['text that claims to be zstd', whole(coded('zstd', 'no zstd')), 'no zstd', coding],
      ['a chunk size that is no number', whole(`${CHUNKED}xyz\r\n`), '', framing],
      ['a chunk size without end', whole(`${CHUNKED}${'f'.repeat(40)}\r\n`), '', framing],
      ['a chunk longer than its size', whole(`${CHUNKED}2\r\nabcdef\r\n0\r\n\r\n`), 'ab', framing],
      ['a chunk extension without end', whole(`${CHUNKED}1;${'x'.repeat(1 << 20)}`), '', framing],
    ]
    const engine = await openEngine(t, {
      http: { ...PATIENT, retry: { attempts: 3, initialMs: 1 } },
    })
    await each(t, cases, async (t, respond, body, warning) => {
      const server = await raw(t, (socket) => void respond(socket))
      const [delivery] = await deliver(engine, { method: 'POST', url: server.url, data: 'x' })
      assert.equal(outcome(delivery), 'delivered 200', delivery.error?.message)
      assert.equal(delivery.response.truncated, true)
      if (body !== undefined) assert.equal(delivery.response.body, body)
      assert.equal(delivery.warnings.length, 1)
      assert.match(delivery.warnings[0], warning)
      assert.equal(server.heads.length, 1)
    })
  },
)

test('a status that is no success stays what it is, however its body ends', async (t) => {
  const server = await raw(t, half('HTTP/1.1 404 Gone Fishing\r\nContent-Length: 9\r\n\r\nhalf'))
  const engine = await openEngine(t, { http: { ...PATIENT, retry: { attempts: 3, initialMs: 1 } } })
  const [{ error, response, attempts }] = await deliver(engine, { method: 'GET', url: server.url })
  assert.deepEqual([error.code, attempts], ['ERR_SEND_STATUS', 1]) // reaches ERR_SEND_STATUS
  assert.equal(error.message, 'the server answered 404 Gone Fishing')
  assert.deepEqual([response.body, response.truncated], ['half', true])
})

test('a coding that is not known is named, and its body kept', async (t) => {
  const server = await raw(t, whole(coded('x-compress', 'text')))
  const engine = await openEngine(t, { http: PATIENT })
  const [{ response, warnings }] = await deliver(engine, { method: 'GET', url: server.url })
  assert.deepEqual([response.body, response.truncated], ['text', false])
  assert.match(warnings[0], /coding "x-compress" is not known/)
})

test('text is text in the log, whatever its charset', { concurrency: true }, async (t) => {
  const cafe = Buffer.from('café', 'latin1')
  const cases = [
    ['latin1 that is named', typed('text/plain; charset=iso-8859-1', cafe), 'café'],
    ['latin1 that is not named', typed('text/html', cafe), 'café'],
    ['latin1 that claims to be UTF-8', typed('application/json; charset=utf-8', cafe), 'café'],
    ['latin1 without a type', answer(cafe), 'café'],
    ['UTF-8', typed('text/plain', 'café'), 'café'],
    ['UTF-16', typed('text/plain; charset=utf-16le', Buffer.from('café', 'utf16le')), 'café'],
    [
      'Shift_JIS',
      typed('text/plain; charset=Shift_JIS', Buffer.from([0x83, 0x65, 0x83, 0x58])),
      'テス',
    ],
  ]
  const engine = await openEngine(t, { http: PATIENT })
  await each(t, cases, async (t, bytes, body) => {
    const server = await raw(t, whole(bytes))
    const [{ response }] = await deliver(engine, { method: 'GET', url: server.url })
    assert.deepEqual([response.body, response.bodyEncoding], [body, undefined])
  })
  await t.test('bytes that are no text', async (t) => {
    const server = await raw(t, whole(typed('image/png', Buffer.from([0x89, 0x50, 0, 255]))))
    const [{ response }] = await deliver(engine, { method: 'GET', url: server.url })
    assert.deepEqual([response.body, response.bodyEncoding], ['iVAA/w==', 'base64'])
  })
})

test('the reason phrase and header values are those of the server', async (t) => {
  const phrase = 'Wrong JSON format: field x'
  const lines = Buffer.from('X-Name: caf\xe9\r\nX-Utf8: caf\xc3\xa9\r\n', 'latin1')
  const server = await raw(t, whole(answer('', lines.toString('latin1'), `422 ${phrase}`)))
  const engine = await openEngine(t, { http: PATIENT })
  const [{ response, error }] = await deliver(engine, { method: 'GET', url: server.url })
  assert.equal(response.statusText, phrase)
  assert.equal(error.message, `the server answered 422 ${phrase}`)
  assert.deepEqual([response.headers['x-name'], response.headers['x-utf8']], ['café', 'café'])
})

test('the log keeps a part of many headers, and says so', async (t) => {
  const lines = Array.from({ length: 60 }, (_, n) => `X-${n}: ${'v'.repeat(1000)}\r\n`).join('')
  const server = await raw(t, whole(answer('ok', lines, `404 ${'p'.repeat(5000)}`)))
  const engine = await openEngine(t, { http: PATIENT })
  const [{ response, error }] = await deliver(engine, { method: 'GET', url: server.url })
  const kept = Object.entries(response.headers).flat().join('')
  assert.equal(response.headersTruncated, true)
  assert.ok(kept.length > 30_000 && kept.length <= 32 << 10, `${kept.length}`)
  assert.ok(response.statusText.length <= 1024 && error.message.length < 300)
})

test('secrets in what a server sends are not in the log', async (t) => {
  const secret = 'hunter2'
  const lines = [
    `Location: /next?token=${secret}&a=1`,
    `Link: <https://u:${secret}@example.com/?page=2&sig=${secret}>; rel="next"`,
    `Refresh: 5; url=/x?next=%2Fy%3Fapi_key%3D${secret}`,
    `X-Session-Token: ${secret}`,
    `Set-Cookie: s=${secret}`,
  ]
  const server = await raw(t, (socket, number) =>
    socket.write(answer('', `${lines.join('\r\n')}\r\n`, number === 1 ? '302 Found' : '500 Oops')),
  )
  const engine = await openEngine(t, { http: PATIENT })
  const [delivery] = await deliver(engine, {
    method: 'GET',
    url: `${server.url}?code=${secret}`,
    params: { access_token: secret },
    headers: { 'X-Webhook-Signature': secret },
  })
  assert.equal(server.heads.length, 2)
  assert.equal(delivery.response.redirects[0].url.includes('a=1'), true)
  assert.equal(JSON.stringify([delivery, await engine.deliveries()]).includes(secret), false)
})

test('coded bodies are read over TLS as in the clear', async (t) => {
  const { ca, valid } = await certificates(t)
  const members = Buffer.concat([zlib.gzipSync('one '), zlib.gzipSync('two')])
  const bodies = { '/gzip': ['GZIP', members], '/deflate': ['deflate', zlib.deflateRawSync('raw')] }
  const answered = ({ url }, response) => {
    const [coding, bytes] = bodies[url]
    response.writeHead(200, { 'content-encoding': coding }).end(bytes)
  }
  const servers = await Promise.all(
    [false, true].map((http1) => secureServer(t, valid, answered, { http1 })),
  )
  const urls = servers.flatMap(({ host }) => Object.keys(bodies).map((path) => host + path))
  const options = { egress: { allow: ['127.0.0.0/8'] }, http: PATIENT }
  const calls = urls.map((url) => ({ method: 'GET', url: `https://${url}` }))
  const deliveries = await deliverInChild({ SSL_CERT_FILE: ca }, options, calls)
  assert.deepEqual(
    deliveries.map(({ response, error }) => response?.body ?? error?.message),
    ['one two', 'raw', 'one two', 'raw'],
  )
})
