import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'

import { certificates } from '../support/servers/certificates.mjs'
import { deliverInChild, outcome } from '../support/servers/deliver.mjs'
import { echo } from '../support/servers/echo.mjs'
import { accepting } from '../support/servers/raw.mjs'
import { secureServer } from '../support/servers/secure.mjs'
import { PATIENT } from '../support/patience.mjs'

const OPTIONS = { egress: { allow: ['127.0.0.0/8', 'localhost'] } }

/** One authority for all tests. */
let authority
const ends = []
before(async () => {
  authority = await certificates({ after: (end) => ends.push(end) })
})
after(() => Promise.all(ends.map((end) => end())))

const trusting = (calls, options) =>
  deliverInChild({ SSL_CERT_FILE: authority.ca }, { ...OPTIONS, ...options }, calls)

test('https works with an authority of the machine’s, over HTTP/2 and HTTP/1.1', async (t) => {
  const [two, one] = await Promise.all([
    secureServer(t, authority.valid),
    secureServer(t, authority.valid, undefined, { http1: true }),
  ])
  const call = { method: 'POST', data: { a: 1 }, auth: { username: 'u', password: 'p' } }
  const urls = [two.url, one.url, two.url.replace('127.0.0.1', 'localhost')]
  const deliveries = await trusting(urls.map((url) => ({ ...call, url })))
  assert.deepEqual(deliveries.map(outcome), Array(3).fill('delivered 200'))
  const versions = deliveries.map(({ response }) => response.httpVersion)
  assert.deepEqual(versions, ['2.0', '1.1', '2.0'])
  for (const { response } of deliveries) {
    assert.equal(response.body, 'ok')
    assert.ok(response.timings.tlsMs > 0 && response.timings.connectMs >= 0)
  }
  for (const { headers, body } of [...two.requests, ...one.requests]) {
    assert.equal(body.toString(), '{"a":1}')
    assert.equal(headers.authorization, 'Basic dTpw')
    assert.equal(headers['content-length'], '7')
  }
})

test('a request over https is the one that cleartext HTTP sends', async (t) => {
  const [secure, plain] = await Promise.all([
    secureServer(t, authority.valid, undefined, { http1: true }),
    echo(t),
  ])
  const headers = { 'X-A': ['1', '2'], 'X-B': 'café', 'Content-Type': 'text/plain' }
  const calls = [
    { method: 'GET', headers: { 'User-Agent': null } },
    { method: 'POST', data: { a: 1 }, params: { b: [1] } },
    { method: 'PUT', data: '', headers },
    { method: 'DELETE' },
  ]
  const over = (url) => calls.map((call) => ({ ...call, url }))
  await trusting([...over(secure.url), ...over(plain.url)], { http: { perHostConcurrency: 1 } })
  const seen = ({ headers: { host, ...rest }, body }) => [host, rest, body.toString()].slice(1)
  assert.deepEqual(secure.requests.map(seen), plain.requests.map(seen))
  assert.equal(plain.requests.length, calls.length)
})

test('a certificate that does not hold is refused, before anything is sent', async (t) => {
  const { wrongHost, expired, selfSigned, valid } = authority
  const old = {
    ...valid,
    minVersion: 'TLSv1.1',
    maxVersion: 'TLSv1.1',
    ciphers: 'DEFAULT@SECLEVEL=0',
  }
  const servers = await Promise.all(
    [wrongHost, expired, selfSigned, old].map((pair) => secureServer(t, pair)),
  )
  const [plain, closing] = await Promise.all([echo(t), accepting(t, (socket) => socket.end())])
  const hosts = [...servers, plain, closing].map(({ host }) => host)
  const calls = hosts.map((host) => ({ method: 'POST', url: `https://${host}/`, data: 'x' }))
  const deliveries = await trusting(calls)
  for (const delivery of deliveries) assert.equal(outcome(delivery), 'failed ERR_SEND_TLS tls') // reaches ERR_SEND_TLS
  const reasons = [
    /not valid for name "127\.0\.0\.1": it is for /,
    /has expired|expired on/,
    /unknown issuer|marked as an authority/,
    /speaks no version of TLS from 1\.2 on/,
    /speaks HTTP or another protocol, not TLS, on this port/,
    /closed the connection during the TLS handshake/,
  ]
  for (const [index, reason] of reasons.entries()) {
    const { message } = deliveries[index].error
    assert.match(message, reason)
    assert.ok(message.includes(hosts[index].replace(':', ' port ')), message)
  }
  for (const { requests } of [...servers, plain]) assert.equal(requests.length, 0)
})

test('another authority’s certificate is refused, and so is every one without an authority', async (t) => {
  const server = await secureServer(t, authority.valid)
  const call = { method: 'GET', url: server.url }
  const [other] = await deliverInChild({}, OPTIONS, [call])
  assert.equal(outcome(other), 'failed ERR_SEND_TLS tls') // reaches ERR_SEND_TLS
  assert.match(other.error.message, /unknown issuer.*SSL_CERT_FILE/)
  const none = { SSL_CERT_FILE: authority.empty, SSL_CERT_DIR: '' }
  const [helpless] = await deliverInChild(none, OPTIONS, [call])
  assert.equal(outcome(helpless), 'failed ERR_SEND_TLS tls') // reaches ERR_SEND_TLS
  assert.match(helpless.error.message, /ca-certificates/)
  assert.equal(server.requests.length, 0)
})

test('https is not left for http without being asked to, and a redirect to a bad certificate is refused', async (t) => {
  const [bad, plain] = await Promise.all([secureServer(t, authority.wrongHost), echo(t)])
  const targets = { '/bad': bad.url, '/plain': plain.url }
  const server = await secureServer(t, authority.valid, ({ url }, response) =>
    response.writeHead(307, { location: targets[url] }).end(),
  )
  const headers = { Authorization: 'Bearer b' }
  const calls = Object.keys(targets).map((path) => ({
    method: 'GET',
    url: `https://${server.host}${path}`,
    headers,
  }))
  const [refused, followed] = await trusting(calls)
  assert.equal(refused.error?.code, 'ERR_SEND_TLS') // reaches ERR_SEND_TLS
  assert.equal(bad.requests.length, 0)
  assert.equal(outcome(followed), 'delivered 200')
  assert.equal(plain.requests[0].headers.authorization, undefined)
})

test('calls that follow one another share one HTTP/2 connection', async (t) => {
  const server = await secureServer(t, authority.valid)
  const calls = Array.from({ length: 20 }, () => ({ method: 'POST', url: server.url, data: 'x' }))
  const deliveries = await trusting(calls, { http: { perHostConcurrency: 1 } })
  assert.ok(deliveries.every(({ response }) => response?.httpVersion === '2.0'))
  assert.deepEqual([server.requests.length, server.seen.connections], [20, 1])
})

test('calls at the same time are delivered exactly once each over HTTP/2', async (t) => {
  const server = await secureServer(t, authority.valid)
  const calls = Array.from({ length: 100 }, (_, n) => ({
    method: 'POST',
    url: server.url,
    data: { n },
  }))
  const deliveries = await trusting(calls)
  assert.ok(deliveries.every(({ status }) => status === 'delivered'))
  const numbers = server.requests.map(({ body }) => JSON.parse(body.toString()).n)
  assert.deepEqual(
    numbers.sort((a, b) => a - b),
    calls.map(({ data }) => data.n),
  )
})

test('a stream or session that breaks fails the delivery, with one attempt', async (t) => {
  const codes = { '/cancel': 8, '/internal': 2, '/refused': 7, '/late': 2 }
  const server = await secureServer(t, authority.valid, ({ url }, response) => {
    if (url === '/destroy') return response.stream.session.destroy()
    if (url === '/silent') return
    if (url === '/late') response.write('half')
    setImmediate(() => response.stream.close(codes[url]))
  })
  const call = (path) => ({ method: 'POST', url: `https://${server.host}${path}`, data: 'x' })
  const calls = [...Object.keys(codes).map(call), { ...call('/silent'), timeout: 1000 }]
  const deliveries = await trusting(calls, { http: PATIENT })
  const [cancelled, internal, refused, late, silent] = deliveries.map(outcome)
  const broken = 'failed ERR_SEND_CONNECTION' // reaches ERR_SEND_CONNECTION
  assert.deepEqual([cancelled, internal, refused], Array(3).fill(`${broken} response`))
  assert.equal(late, 'delivered 200')
  assert.equal(silent, 'failed ERR_SEND_TIMEOUT response') // reaches ERR_SEND_TIMEOUT
  const [destroyed] = await trusting([call('/destroy')], { http: PATIENT })
  assert.equal(outcome(destroyed), `${broken} response`)
  const times = (path) => server.requests.filter((request) => request.path === path).length
  const once = ['/cancel', '/internal', '/late', '/silent', '/destroy']
  assert.deepEqual(once.map(times), Array(5).fill(1))
  // A refused stream was not processed: it goes again, up to a limit, and is one attempt.
  assert.equal(times('/refused'), 48)
  assert.equal(deliveries[2].attempts, 1)
})
