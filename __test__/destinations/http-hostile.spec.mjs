import assert from 'node:assert/strict'
import { test } from 'node:test'

import { deliver, openEngine, outcome } from '../support/servers/deliver.mjs'
import { echo } from '../support/servers/echo.mjs'
import { raw } from '../support/servers/raw.mjs'
import { PATIENT } from '../support/patience.mjs'

const OK = 'HTTP/1.1 200 OK\r\n'
const coded = (coding) => `${OK}Content-Encoding: ${coding}\r\n\r\n`
const chunked = (coding) => `${OK}Transfer-Encoding: chunked\r\nContent-Encoding: ${coding}\r\n\r\n`

const repeated = (bytes, count) => Buffer.concat(Array(count).fill(Buffer.from(bytes)))
/** Each byte as a chunk of its own. */
const single = (bytes) =>
  Buffer.concat([...bytes].map((byte) => Buffer.from([49, 13, 10, byte, 13, 10])))

/** Writes the same bytes again and again, as fast as they leave, until the client goes away. */
const pour = (socket, beginning, bytes) => {
  socket.on('error', () => {})
  socket.write(beginning)
  const next = () => socket.write(bytes, () => setImmediate(() => socket.destroyed || next()))
  next()
}

const EMPTY_BLOCK = [0, 0, 0, 255, 255]
const NAMED_GZIP = [0x1f, 0x8b, 8, 8, 0, 0, 0, 0, 0, 3]
const SKIPPED = Buffer.concat([
  Buffer.from([0x50, 0x2a, 0x4d, 0x18, 0, 0x40, 0, 0]),
  Buffer.alloc(0x4000),
])
const HINTS = 'HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n'

// The deadline is longer than any test: what ends these calls is that bytes are counted.
test(
  'answers without end are read to a limit, whatever they decode to',
  { concurrency: true },
  async (t) => {
    const cut = 'delivered 200'
    const refused = 'failed ERR_SEND_INVALID_RESPONSE response' // reaches ERR_SEND_INVALID_RESPONSE
    const cases = {
      'empty blocks of deflate': [coded('deflate'), repeated(EMPTY_BLOCK, 10_000), cut],
      'empty blocks in chunks of a byte': [
        chunked('deflate'),
        single(repeated(EMPTY_BLOCK, 2000)),
        cut,
      ],
      'a file name of gzip': [
        Buffer.concat([Buffer.from(coded('gzip')), Buffer.from(NAMED_GZIP)]),
        Buffer.alloc(1 << 16, 'n'),
        cut,
      ],
      'frames of zstd that are skipped': [coded('zstd'), SKIPPED, cut],
      'metadata of brotli': [
        Buffer.concat([Buffer.from(coded('br')), Buffer.from([0x0c])]),
        repeated([0x06], 10_000),
        cut,
      ],
      'chunks of a byte': [chunked('identity'), single(Buffer.alloc(10_000, 'x')), cut],
      'bytes of a plain body': [`${OK}\r\n`, Buffer.alloc(1 << 16, 'x'), cut],
      trailers: [`${chunked('identity')}0\r\n`, repeated('X-A: b\r\n', 5000), cut],
      '100 Continue': ['', repeated('HTTP/1.1 100 Continue\r\n\r\n', 3000), refused],
      '103 Early Hints': ['', repeated(HINTS, 3000), refused],
      'a header': [`${OK}X-A: `, Buffer.alloc(1 << 16, 'x'), refused],
      headers: [OK, repeated('X-A: b\r\n', 5000), refused],
    }
    const engine = await openEngine(t, { http: PATIENT })
    const honest = await echo(t)
    await Promise.all(
      Object.entries(cases).map(([name, [beginning, bytes, expected]]) =>
        t.test(name, async (t) => {
          const server = await raw(t, (socket) => pour(socket, beginning, bytes))
          const call = { method: 'POST', url: server.url, data: 'x' }
          const calls = deliver(engine, ...Array(4).fill(call))
          const [other] = await deliver(engine, { ...call, url: honest.url })
          assert.equal(other.status, 'delivered')
          for (const delivery of await calls) {
            assert.equal(outcome(delivery), expected, delivery.error?.message)
            if (delivery.response) assert.equal(delivery.response.truncated, true)
          }
        }),
      ),
    )
  },
)

test('a few interim responses are skipped', async (t) => {
  const server = await raw(t, (socket) =>
    socket.write(`${HINTS.repeat(20)}${OK}Content-Length: 2\r\n\r\nok`),
  )
  const engine = await openEngine(t, { http: PATIENT })
  const [delivery] = await deliver(engine, { method: 'GET', url: server.url })
  assert.equal(delivery.response?.body, 'ok', delivery.error?.message)
})

test('HTTP/1.0 is read with and without chunks, and its connection kept only if it says so', async (t) => {
  const head = 'HTTP/1.0 200 OK\r\n'
  const chunks = 'Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n'
  const cases = [
    ['chunked', `${head}${chunks}`, 2],
    ['chunked, kept', `${head}Connection: keep-alive\r\n${chunks}`, 1],
    ['with a length', `${head}Content-Length: 2\r\n\r\nok`, 2],
    ['with a length, kept', `${head}Connection: Keep-Alive\r\nContent-Length: 2\r\n\r\nok`, 1],
  ]
  const engine = await openEngine(t, { http: PATIENT })
  for (const [name, answer, connections] of cases) {
    const server = await raw(t, (socket) => socket.write(answer))
    for (let call = 0; call < 2; call++) {
      const [delivery] = await deliver(engine, { method: 'GET', url: server.url })
      assert.equal(delivery.response?.body, 'ok', `${name}: ${delivery.error?.message}`)
      assert.equal(delivery.response.httpVersion, '1.0', name)
    }
    assert.equal(server.seen.connections, connections, name)
  }
})
