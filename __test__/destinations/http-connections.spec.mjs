import assert from 'node:assert/strict'
import { once } from 'node:events'
import { constants } from 'node:http2'
import { createServer } from 'node:net'
import { after, before, test } from 'node:test'
import { createServer as createTlsServer, TLSSocket } from 'node:tls'

import { certificates } from '../support/servers/certificates.mjs'
import { deliverInChild, outcome } from '../support/servers/deliver.mjs'
import { http2Server, relay, respond } from '../support/servers/http2.mjs'
import { listen } from '../support/servers/listen.mjs'
import { secureServer } from '../support/servers/secure.mjs'
import { PATIENT } from '../support/patience.mjs'

const LOCAL = { egress: { allow: ['127.0.0.0/8'] } }
const ONE_BY_ONE = { http: { ...PATIENT, perHostConcurrency: 1 } }

/** One authority for all tests. */
let authority
const ends = []
before(async () => {
  authority = await certificates({ after: (end) => ends.push(end) })
})
after(() => Promise.all(ends.map((end) => end())))

const send = (calls, options = { http: PATIENT }) =>
  deliverInChild({ SSL_CERT_FILE: authority.ca }, { ...LOCAL, ...options }, calls)

const times = (count, call) =>
  Array.from({ length: count }, (_, n) => ({ method: 'POST', data: { n }, ...call }))

const allDelivered = (deliveries) => {
  assert.deepEqual(deliveries.map(outcome), Array(deliveries.length).fill('delivered 200'))
  for (const { attempts } of deliveries) assert.equal(attempts, 1)
}

test('what a server says it did not process goes again, also where interrupted calls fail', async (t) => {
  const { NGHTTP2_NO_ERROR, NGHTTP2_REFUSED_STREAM } = constants
  await t.test('GOAWAY with a lower last stream', async (t) => {
    const left = new WeakSet()
    const server = await http2Server(t, authority.valid, (stream) => {
      const { session, id } = stream
      if (id <= 5) return respond(stream)
      // Each connection serves three requests.
      if (session && !left.has(session)) session.goaway(NGHTTP2_NO_ERROR, 5)
      if (session) left.add(session)
    })
    const http = { ...PATIENT, onInterrupted: 'fail' }
    allDelivered(await send(times(12, { url: server.url }), { http }))
    assert.ok(server.state.sessions >= 4, `${server.state.sessions} connections`)
  })
  await t.test('REFUSED_STREAM', async (t) => {
    const server = await http2Server(t, authority.valid, (stream, number) =>
      number % 3 === 1 ? stream.close(NGHTTP2_REFUSED_STREAM) : respond(stream),
    )
    allDelivered(await send(times(6, { url: server.url })))
    assert.ok(server.state.streams >= 8, `${server.state.streams} streams`)
  })
})

test('a burst of first calls opens one connection', async (t) => {
  const server = await http2Server(t, authority.valid, (stream) => respond(stream))
  allDelivered(await send(times(64, { url: server.url })))
  assert.equal(server.seen.connections, 1)
})

test('the wait for a stream is not in the deadline', async (t) => {
  for (const maxConcurrentStreams of [1, 3]) {
    const options = { ...authority.valid, settings: { maxConcurrentStreams } }
    const server = await http2Server(t, options, (stream) => setTimeout(respond, 400, stream))
    const calls = times(maxConcurrentStreams * 6, { url: server.url, timeout: 1500 })
    allDelivered(await send(calls))
  }
})

test('a server that asks for HTTP/1.1 gets it, from then on', async (t) => {
  const options = { ...authority.valid, allowHTTP1: true }
  const server = await http2Server(t, options, (stream) =>
    stream.session.encrypted ? stream.close(constants.NGHTTP2_HTTP_1_1_REQUIRED) : undefined,
  )
  const versions = []
  server.server.on('request', (request, response) => {
    if (request.httpVersionMajor === 2) return
    versions.push(request.httpVersion)
    response.end('ok')
  })
  const deliveries = await send(times(3, { url: server.url }), ONE_BY_ONE)
  allDelivered(deliveries)
  assert.deepEqual(versions, Array(3).fill('1.1'))
  assert.equal(server.state.streams, 1)
})

test('of the calls over a connection that has gone deaf, one times out', async (t) => {
  const server = await http2Server(t, authority.valid, (stream, number) => {
    if (number === 2) return middle.goDeaf()
    respond(stream)
  })
  const middle = await relay(t, server.port)
  const calls = times(5, { url: middle.url })
  calls[1].timeout = 1000
  const deliveries = await send(calls, ONE_BY_ONE)
  const expected = Array(5).fill('delivered 200')
  expected[1] = 'failed ERR_SEND_TIMEOUT response' // reaches ERR_SEND_TIMEOUT
  assert.deepEqual(deliveries.map(outcome), expected)
  assert.equal(middle.seen.connections, 2)
})

test('a thousand header lines are read, and one more fails that call alone', async (t) => {
  const headers = (count) =>
    Object.fromEntries(Array.from({ length: count }, (_, n) => [`x-${n}`, 'v']))
  const two = await http2Server(t, authority.valid, (stream, number) =>
    respond(stream, headers(number === 2 ? 1001 : 999)),
  )
  const one = await secureServer(
    t,
    authority.valid,
    (request, response) => {
      // Date, Connection, Keep-Alive and Content-Length come with it.
      const count = request.headers['x-more'] ? 1001 : 990
      response.writeHead(200, headers(count)).end('ok')
    },
    { http1: true },
  )
  const more = { 'x-more': '1' }
  const calls = (url) =>
    [{ url }, { url, headers: more }, { url }].map((c) => ({ method: 'GET', ...c }))
  for (const url of [two.url, one.url]) {
    const [first, second, third] = (await send(calls(url), ONE_BY_ONE)).map(outcome)
    assert.deepEqual([first, third], Array(2).fill('delivered 200'))
    assert.equal(second, 'failed ERR_SEND_INVALID_RESPONSE response') // reaches ERR_SEND_INVALID_RESPONSE
  }
  assert.equal(two.state.sessions, 1)
})

test('interim responses without end fail their call alone', async (t) => {
  const server = await http2Server(t, authority.valid, (stream, number) => {
    if (number !== 2) return respond(stream)
    for (let i = 0; i < 200; i++) stream.additionalHeaders({ ':status': 103, link: '</a>' })
  })
  const deliveries = await send(times(3, { url: server.url }), ONE_BY_ONE)
  const failed = 'failed ERR_SEND_INVALID_RESPONSE response' // reaches ERR_SEND_INVALID_RESPONSE
  assert.deepEqual(deliveries.map(outcome), ['delivered 200', failed, 'delivered 200'])
  assert.match(deliveries[1].error.message, /interim responses included/)
  assert.equal(server.state.sessions, 1)
})

test('a 2xx whose body is not ended as it should be is delivered, with a warning', async (t) => {
  await t.test('a TLS connection without close_notify', async (t) => {
    for (const version of ['HTTP/1.1', 'HTTP/1.0']) {
      const server = createServer(async (socket) => {
        const secure = new TLSSocket(socket, { isServer: true, ...authority.valid })
        secure.on('error', () => {})
        await once(secure, 'data')
        secure.write(`${version} 200 OK\r\nConnection: close\r\n\r\nok`, () => socket.end())
      })
      const { host } = await listen(t, server)
      const [delivery] = await send([{ method: 'GET', url: `https://${host}/` }])
      assert.equal(outcome(delivery), 'delivered 200')
      assert.deepEqual([delivery.response.body, delivery.response.truncated], ['ok', true])
      assert.match(delivery.warnings.join(), /broke before the response's body was over/)
    }
  })
  await t.test('a stream that is reset without an error', async (t) => {
    const server = await http2Server(t, authority.valid, (stream) => {
      stream.respond({ ':status': 200 })
      stream.write('half', () => setImmediate(() => stream.close(constants.NGHTTP2_NO_ERROR)))
    })
    const [delivery] = await send(times(1, { url: server.url }))
    assert.equal(outcome(delivery), 'delivered 200')
  })
})

test('a second connection resumes the session of the first', async (t) => {
  const resumed = []
  const options = { ...authority.valid, ALPNProtocols: ['http/1.1'] }
  const server = createTlsServer(options, (socket) => {
    resumed.push(socket.isSessionReused())
    socket.on('error', () => {})
    socket.once('data', () =>
      socket.end('HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok'),
    )
  })
  const { host } = await listen(t, server)
  const calls = times(3, { method: 'GET', url: `https://${host}/`, data: undefined })
  allDelivered(await send(calls, ONE_BY_ONE))
  assert.deepEqual(resumed, [false, true, true])
})

test('a body larger than the windows goes and comes over HTTP/2', async (t) => {
  const received = []
  const server = await http2Server(t, authority.valid, (stream) => {
    let bytes = 0
    stream.on('data', (chunk) => (bytes += chunk.length))
    stream.on('end', () => {
      received.push(bytes)
      stream.respond({ ':status': 200 })
      stream.end('y'.repeat(900_000))
    })
  })
  const data = 'x'.repeat(100_000)
  const deliveries = await send(times(1, { url: server.url, data }))
  allDelivered(deliveries)
  assert.deepEqual(received, [data.length])
  for (const { response } of deliveries) assert.equal(response.bodyBytes ?? 900_000, 900_000)
})

test('http.tls names authorities, client certificates and pins, and http.http2 turns HTTP/2 off', async (t) => {
  const { readFileSync } = await import('node:fs')
  const { X509Certificate, createHash } = await import('node:crypto')
  const ca = readFileSync(authority.ca, 'utf8')
  const { cert, key } = authority.valid
  const spki = new X509Certificate(cert).publicKey.export({ type: 'spki', format: 'der' })
  const pin = `sha256/${createHash('sha256').update(spki).digest('base64')}`
  const wrong = `sha256/${Buffer.alloc(32).toString('base64')}`
  const asking = { ...authority.valid, requestCert: true, rejectUnauthorized: true, ca }
  const server = await secureServer(t, authority.valid)
  const mutual = await secureServer(t, asking)
  const one = async (url, tls, http2) => {
    const http = { ...PATIENT, tls, ...(http2 && { http2 }) }
    const [delivery] = await deliverInChild({}, { ...LOCAL, http }, [{ method: 'GET', url }])
    return delivery
  }
  const trusted = await one(server.url, { ca })
  assert.deepEqual([outcome(trusted), trusted.response.httpVersion], ['delivered 200', '2.0'])
  const old = await one(server.url, { ca, pins: [wrong, pin] }, 'never')
  assert.deepEqual([outcome(old), old.response.httpVersion], ['delivered 200', '1.1'])
  const identified = await one(mutual.url, {
    hosts: { '127.0.0.1': { ca, cert: `${cert}`, key: `${key}` } },
  })
  assert.equal(outcome(identified), 'delivered 200')
  for (const [url, tls, reason] of [
    [server.url, undefined, /unknown issuer.*http\.tls\.ca/],
    [server.url, { ca, hosts: { '127.0.0.0/8': {} } }, /unknown issuer/],
    [server.url, { ca, pins: [wrong] }, /none of http\.tls\.pins/],
  ]) {
    const { error } = await one(url, tls)
    assert.equal(error.code, 'ERR_SEND_TLS')
    assert.match(error.message, reason)
  }
  const anonymous = await one(mutual.url, { ca })
  assert.equal(anonymous.status, 'failed')
})

test('unusable options of TLS are refused when the engine is opened', async () => {
  const { Engine } = await import('../../js/index.mjs')
  for (const [http, reason] of [
    [{ tls: { ca: 'x' } }, /http\.tls\.ca: holds no certificate/],
    [{ tls: { cert: `${authority.valid.cert}` } }, /http\.tls\.cert: needs http\.tls\.key/],
    [{ tls: { pins: ['x'] } }, /http\.tls\.pins/],
    [{ tls: { hosts: { '*': {} } } }, /http\.tls\.hosts/],
    [{ http2: 'always' }, /http\.http2/],
  ]) {
    await assert.rejects(Engine.open({ http }), {
      code: 'ERR_SEND_INVALID_OPTION',
      message: reason,
    })
  }
})

test('a call follows as many redirects as it says', async (t) => {
  const server = await secureServer(
    t,
    authority.valid,
    ({ url }, response) => {
      const left = Number(url.slice(1))
      if (left === 0) return response.end('ok')
      response.writeHead(307, { location: `/${left - 1}` }).end()
    },
    { http1: true },
  )
  const url = (hops) => `https://${server.host}/${hops}`
  const calls = [
    { url: url(7), maxRedirects: 7 },
    { url: url(1), maxRedirects: 0 },
    { url: url(2), maxRedirects: 1 },
    { url: url(1), maxRedirects: 1.5 },
  ]
  const deliveries = await send(calls.map((call) => ({ method: 'GET', ...call })))
  const [many, none, few, odd] = deliveries.map(outcome)
  assert.equal(many, 'delivered 200')
  assert.equal(none, 'failed ERR_SEND_STATUS 307') // reaches ERR_SEND_STATUS
  assert.match(few, /^failed ERR_SEND_TOO_MANY_REDIRECTS/) // reaches ERR_SEND_TOO_MANY_REDIRECTS
  assert.equal(odd, 'delivered 200')
})
