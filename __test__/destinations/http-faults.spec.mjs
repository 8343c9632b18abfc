import assert from 'node:assert/strict'
import { test } from 'node:test'

import { deliver, openEngine, outcome } from '../support/servers/deliver.mjs'
import { closedPort } from '../support/servers/listen.mjs'
import { accepting, raw } from '../support/servers/raw.mjs'
import { PATIENT } from '../support/patience.mjs'

/** Short, because what is waited for never comes; long enough for what comes before it. */
const TIMEOUT_MS = 1000

/** Runs the cases of a table at the same time, each a test of its own. */
async function each(t, cases, run) {
  await Promise.all(cases.map(([name, ...rest]) => t.test(name, (t) => run(t, ...rest))))
}

const OK = 'HTTP/1.1 200 OK\r\n'
const pour = (socket, bytes, beginning = '') => {
  socket.write(beginning)
  // Slow, and never done. Without the milliseconds, a fast machine comes to the number of pieces at which
  // a body is cut.
  const next = () => socket.write(bytes, () => setTimeout(() => socket.destroyed || next(), 1))
  next()
}

test('the default deadline is 5 s, for a server that never answers', async (t) => {
  const server = await raw(t, () => {})
  const engine = await openEngine(t)
  const begun = performance.now()
  const [delivery] = await deliver(engine, { method: 'POST', url: server.url, data: 'x' })
  const took = performance.now() - begun
  assert.equal(outcome(delivery), 'failed ERR_SEND_TIMEOUT response') // reaches ERR_SEND_TIMEOUT
  assert.ok(took >= 4990 && took < 20_000, `${took} ms`)
  const place = server.host.replace(':', ' port ')
  const message = `timed out after 5000 ms while waiting for the response of ${place}`
  assert.equal(delivery.error.message, message)
  assert.equal(server.heads.length, 1)
})

test(
  'whatever a server keeps us waiting with ends at the deadline, and names its phase',
  { concurrency: true },
  async (t) => {
    const big = { method: 'POST', data: 'x'.repeat(9 << 20) }
    const cases = [
      ['no answer', () => {}, 'response'],
      ['headers that never end', (socket) => pour(socket, 'X', `${OK}X-A: `), 'response'],
      ['a body that drips', (socket) => pour(socket, '.', `${OK}\r\n`), 'body 200'],
      [
        'a chunk that never ends',
        (socket) => socket.write(`${OK}Transfer-Encoding: chunked\r\n\r\n5\r\nabc`),
        'body 200',
      ],
      [
        'a body that never begins',
        (socket) => socket.write(`${OK}Content-Length: 5\r\n\r\n`),
        'body 200',
      ],
    ]
    const engine = await openEngine(t, { http: { timeoutMs: TIMEOUT_MS } })
    await each(t, cases, async (t, answer, phase) => {
      const server = await raw(t, (socket) => void answer(socket))
      const [delivery] = await deliver(engine, { method: 'POST', url: server.url, data: 'x' })
      assert.equal(outcome(delivery), `failed ERR_SEND_TIMEOUT ${phase}`) // reaches ERR_SEND_TIMEOUT
      assert.equal(server.heads.length, 1)
      if (delivery.response) assert.equal(delivery.response.truncated, true)
    })
    await t.test('a request that is never read', async (t) => {
      const server = await accepting(t, (socket) => socket.pause())
      const [delivery] = await deliver(engine, { ...big, url: server.url })
      assert.equal(outcome(delivery), 'failed ERR_SEND_TIMEOUT request') // reaches ERR_SEND_TIMEOUT
    })
    await t.test('a TLS handshake that is never answered', async (t) => {
      const server = await accepting(t, (socket) => socket.resume())
      const [delivery] = await deliver(engine, { method: 'GET', url: `https://${server.host}/` })
      assert.equal(outcome(delivery), 'failed ERR_SEND_TIMEOUT tls') // reaches ERR_SEND_TIMEOUT
    })
  },
)

test('the beginning of a body that did not end is in the log', async (t) => {
  const server = await raw(t, (socket) =>
    socket.write(`${OK}Content-Length: 9\r\nX-A: b\r\n\r\nhalf`),
  )
  const engine = await openEngine(t, { http: { timeoutMs: TIMEOUT_MS } })
  const [{ response }] = await deliver(engine, { method: 'GET', url: server.url })
  assert.deepEqual([response.body, response.bodyBytes, response.truncated], ['half', 4, true])
  assert.equal(response.headers['x-a'], 'b')
})

test(
  'a connection that breaks before the response fails the delivery, with one attempt',
  { concurrency: true },
  async (t) => {
    const cases = [
      ['reset before the headers', (socket) => socket.resetAndDestroy(), 'response'],
      ['closed before the headers', (socket) => socket.end(), 'response'],
      ['closed in the status line', (socket) => socket.end('HTTP/1.1 2'), 'response'],
      ['closed in the headers', (socket) => socket.end(`${OK}X-A: b\r\n`), 'response'],
    ]
    const engine = await openEngine(t, { http: PATIENT })
    await each(t, cases, async (t, answer, phase) => {
      const server = await raw(t, (socket) => void answer(socket))
      const [delivery] = await deliver(engine, { method: 'POST', url: server.url, data: 'x' })
      assert.equal(outcome(delivery), `failed ERR_SEND_CONNECTION ${phase}`) // reaches ERR_SEND_CONNECTION
      assert.deepEqual([server.heads.length, delivery.attempts], [1, 1])
      if (delivery.response) assert.equal(delivery.response.truncated, true)
    })
  },
)

test('what is not HTTP fails as an invalid response', { concurrency: true }, async (t) => {
  const cases = [
    ['another protocol', ['SSH-2.0-OpenSSH_9.6\r\n'], 'response'],
    ['bytes', [Buffer.from([0, 1, 2, 255, 13, 10, 13, 10])], 'response'],
    ['a page without a head', ['<html></html>\r\n\r\n'], 'response'],
    ['a status that is no number', ['HTTP/1.1 abc OK\r\n\r\n'], 'response'],
    ['a version that does not exist', ['HTTP/7.3 200 OK\r\n\r\n'], 'response'],
    ['a header without a colon', [`${OK}nonsense\r\n\r\n`], 'response'],
    ['NUL in a header', [`${OK}X-A: a\0b\r\n\r\n`], 'response'],
    ['10,000 headers', [OK, 'X-A: b\r\n'.repeat(10_000), '\r\n'], 'response'],
    ['a header of 1 MB', [OK, `X-A: ${'b'.repeat(1 << 20)}\r\n`, '\r\n'], 'response'],
    ['a length that is no number', [`${OK}Content-Length: five\r\n\r\nabcde`], 'response'],
    ['a negative length', [`${OK}Content-Length: -1\r\n\r\n`], 'response'],
    ['two lengths', [`${OK}Content-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef`], 'response'],
  ]
  const engine = await openEngine(t, {
    http: { ...PATIENT, retry: { attempts: 3, initialMs: 1, breaker: { failures: 0 } } },
  })
  await each(t, cases, async (t, parts, phase) => {
    const server = await raw(t, (socket) => parts.forEach((part) => socket.write(part)))
    const [delivery] = await deliver(engine, { method: 'POST', url: server.url, data: 'x' })
    assert.equal(outcome(delivery), `failed ERR_SEND_INVALID_RESPONSE ${phase}`) // reaches ERR_SEND_INVALID_RESPONSE
    // The server had the request: another one would be processed again.
    assert.equal(server.heads.length, 1)
  })
})

test('what is odd but readable is delivered', { concurrency: true }, async (t) => {
  const cases = [
    ['no phrase', ['HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok'], 'ok'],
    ['a phrase of its own', ['HTTP/1.1 200 Fine, thank you\r\nContent-Length: 2\r\n\r\nok'], 'ok'],
    ['no length', [`${OK}\r\nok`], 'ok'],
    ['HTTP/1.0', ['HTTP/1.0 200 OK\r\n\r\nok'], 'ok'],
    ['204 with a body', ['HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\nok'], ''],
    ['more than its length', [`${OK}Content-Length: 2\r\n\r\nokay`], 'ok'],
    ['90 headers', [OK, ...Array.from({ length: 90 }, (_, n) => `X-${n}: b\r\n`), '\r\nok'], 'ok'],
    ['a header of 60 KiB', [OK, `X-A: ${'b'.repeat(60 << 10)}\r\n`, '\r\nok'], 'ok'],
    ['bytes in a header', [OK, Buffer.from('X-A: caf\xe9\r\n', 'latin1'), '\r\nok'], 'ok'],
    ['an unknown coding', [`${OK}Content-Encoding: rot13\r\n\r\nok`], 'ok'],
    ['trailers', [`${OK}Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-T: t\r\n\r\n`], 'ok'],
  ]
  const engine = await openEngine(t, { http: PATIENT })
  await each(t, cases, async (t, parts, body) => {
    const server = await raw(t, (socket) => {
      parts.forEach((part) => socket.write(part))
      socket.end()
    })
    const [delivery] = await deliver(engine, { method: 'GET', url: server.url })
    assert.equal(delivery.status, 'delivered', delivery.error?.message)
    assert.equal(delivery.response.body, body)
  })
})

test('an answer that nobody asked for is not taken for the next one', async (t) => {
  const answer = (text) => `${OK}Content-Length: ${text.length}\r\n\r\n${text}`
  const server = await raw(t, (socket, number) => {
    socket.write(number === 1 ? answer('first') + answer('poison') : answer('second'))
  })
  const engine = await openEngine(t, { http: PATIENT })
  const [first] = await deliver(engine, { method: 'GET', url: server.url })
  const [second] = await deliver(engine, { method: 'GET', url: server.url })
  assert.deepEqual([first.response.body, second.response?.body], ['first', 'second'])
})

test('one attempt: neither 503 nor a reset is followed by another request', async (t) => {
  const unavailable =
    'HTTP/1.1 503 Service Unavailable\r\nRetry-After: 0\r\nContent-Length: 0\r\n\r\n'
  const busy = await raw(t, (socket) => socket.write(unavailable))
  // The connection is reused, which is when HTTP clients like to try again.
  const moody = await raw(t, (socket, number) => {
    if (number === 1) socket.write(`${OK}Content-Length: 0\r\n\r\n`)
    else socket.resetAndDestroy()
  })
  const engine = await openEngine(t, { http: PATIENT })
  const [refused] = await deliver(engine, { method: 'GET', url: busy.url })
  assert.equal(outcome(refused), 'failed ERR_SEND_STATUS 503') // reaches ERR_SEND_STATUS
  await deliver(engine, { method: 'GET', url: moody.url })
  const [reset] = await deliver(engine, { method: 'GET', url: moody.url })
  assert.equal(reset.error?.code, 'ERR_SEND_CONNECTION') // reaches ERR_SEND_CONNECTION
  assert.deepEqual([busy.heads.length, moody.heads.length, moody.seen.connections], [1, 2, 1])
  assert.deepEqual([refused.attempts, reset.attempts], [1, 1])
})

test('a connection that the server has closed is not used again', async (t) => {
  let closed
  const server = await raw(t, (socket) => {
    closed = new Promise((resolve) => socket.on('close', resolve))
    socket.end(`${OK}Content-Length: 2\r\n\r\nok`)
  })
  const engine = await openEngine(t, { http: PATIENT })
  for (let call = 0; call < 20; call++) {
    const [delivery] = await deliver(engine, { method: 'POST', url: server.url, data: 'x' })
    assert.equal(delivery.status, 'delivered', delivery.error?.message)
    await closed
  }
  assert.deepEqual([server.heads.length, server.seen.connections], [20, 20])
})

test('nobody listens, and nobody has the name', async (t) => {
  const engine = await openEngine(t)
  const [refused, unknown] = await deliver(
    engine,
    { method: 'GET', url: `http://127.0.0.1:${await closedPort()}/` },
    { method: 'GET', url: 'http://nope.invalid/', timeout: 2000 },
  )
  assert.equal(outcome(refused), 'failed ERR_SEND_CONNECT connect') // reaches ERR_SEND_CONNECT
  assert.match(refused.error.message, /^no connection to 127\.0\.0\.1 port \d+: it was refused/)
  // A machine whose name server does not answer either finds out at the deadline.
  assert.match(outcome(unknown), /^failed ERR_SEND_(DNS|TIMEOUT) dns$/) // reaches ERR_SEND_DNS
})
