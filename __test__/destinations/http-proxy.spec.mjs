import assert from 'node:assert/strict'
import { createServer } from 'node:https'
import { test } from 'node:test'

import { certificates } from '../support/servers/certificates.mjs'
import { deliver, deliverInChild, openEngine, outcome } from '../support/servers/deliver.mjs'
import { echo } from '../support/servers/echo.mjs'
import { closedPort, listen } from '../support/servers/listen.mjs'
import { httpProxy, socksProxy } from '../support/servers/proxies.mjs'
import { accepting } from '../support/servers/raw.mjs'
import { secureServer } from '../support/servers/secure.mjs'
import { PATIENT } from '../support/patience.mjs'

/** An address that is public, and that nothing here ever connects to: a proxy answers for it. */
const PUBLIC = '93.184.216.34'

/** All that an engine tells about its deliveries. */
async function shown(engine, deliveries) {
  return JSON.stringify([
    deliveries,
    await engine.deliveries(),
    await engine.executions(),
    engine.stats(),
  ])
}

test('an http proxy gets the whole URL, and its credentials are its alone', async (t) => {
  const [server, proxy] = await Promise.all([echo(t), httpProxy(t)])
  const engine = await openEngine(t, { egress: { proxy: `http://me:hunt%40er2@${proxy.host}` } })
  const call = { method: 'POST', url: `${server.url}?a=1`, data: { a: 1 } }
  const [delivery] = await deliver(engine, { ...call, auth: { username: 'u', password: 'p' } })
  assert.equal(outcome(delivery), 'delivered 200')
  const [{ method, target, headers }] = proxy.asked
  assert.deepEqual([method, target], ['POST', `${server.url}?a=1`])
  const basic = Buffer.from('me:hunt@er2').toString('base64')
  assert.equal(headers['proxy-authorization'], `Basic ${basic}`)
  assert.equal(headers.host, server.host)
  assert.equal(
    server.requests[0].headers.authorization,
    `Basic ${Buffer.from('u:p').toString('base64')}`,
  )
  assert.equal(server.requests[0].body.toString(), '{"a":1}')
  const text = await shown(engine, [delivery])
  for (const secret of [basic, 'hunt@er2', 'hunt%40er2']) assert.equal(text.includes(secret), false)
})

test('https goes through the proxy as a tunnel', async (t) => {
  const authority = await certificates(t)
  const [server, proxy] = await Promise.all([secureServer(t, authority.valid), httpProxy(t)])
  const [delivery] = await deliverInChild(
    { SSL_CERT_FILE: authority.ca },
    { egress: { proxy: `http://me:hunter2@${proxy.host}` } },
    [{ method: 'POST', url: server.url, data: 'x', headers: { Authorization: 'Bearer inside' } }],
  )
  assert.equal(outcome(delivery), 'delivered 200', delivery.error?.message)
  assert.equal(server.requests.length, 1)
  const [{ method, target, headers }] = proxy.asked
  assert.deepEqual([method, target], ['CONNECT', server.host])
  const basic = Buffer.from('me:hunter2').toString('base64')
  assert.equal(headers['proxy-authorization'], `Basic ${basic}`)
  assert.equal(headers.authorization, undefined, 'what is inside is not the proxy’s to see')
  assert.equal(server.requests[0].headers['proxy-authorization'], undefined)
})

test('a socks5 proxy gets the address, a socks5h proxy the name', async (t) => {
  const [server, proxy] = await Promise.all([echo(t), socksProxy(t)])
  const { port } = server.seen
  const calls = ['127.0.0.1', 'localhost'].map((host) => ({
    method: 'GET',
    url: `http://${host}:${port}/`,
  }))
  const allow = ['127.0.0.0/8', 'localhost']
  const expected = { socks5: ['IPv4', 'IPv4'], socks5h: ['IPv4', 'name'] }
  for (const [scheme, types] of Object.entries(expected)) {
    proxy.asked.length = 0
    const engine = await openEngine(t, { egress: { allow, proxy: `${scheme}://${proxy.host}` } })
    for (const call of calls) {
      const [delivery] = await deliver(engine, call)
      assert.equal(outcome(delivery), 'delivered 200', `${scheme}: ${delivery.error?.message}`)
    }
    assert.deepEqual(
      proxy.asked.map(({ type }) => type),
      types,
      scheme,
    )
    assert.ok(proxy.asked.every((asked) => asked.port === port))
  }
  assert.equal(server.requests.length, 4)
})

test('a socks5 proxy gets user name and password, and nobody else does', async (t) => {
  const [server, proxy] = await Promise.all([echo(t), socksProxy(t, { users: { me: 'hunt@er2' } })])
  const open = (password) =>
    openEngine(t, { egress: { proxy: `socks5://me:${password}@${proxy.host}` } })
  const engine = await open('hunt%40er2')
  const call = { method: 'GET', url: server.url }
  const [delivery] = await deliver(engine, call)
  assert.equal(outcome(delivery), 'delivered 200', delivery.error?.message)
  const stranger = await open('wrong-one')
  const [refused] = await deliver(stranger, call)
  assert.equal(outcome(refused), 'failed ERR_SEND_CONNECT connect') // reaches ERR_SEND_CONNECT
  assert.deepEqual(proxy.logins, ['me:hunt@er2', 'me:wrong-one'])
  const text = (await shown(engine, [delivery])) + (await shown(stranger, [refused]))
  for (const secret of ['hunt@er2', 'hunt%40er2', 'wrong-one'])
    assert.equal(text.includes(secret), false)
})

test('a proxy never hears of a target that the policy denies', async (t) => {
  const [http, socks] = await Promise.all([httpProxy(t, { answer: 'ok' }), socksProxy(t)])
  const hosts = ['127.0.0.1', '10.0.0.1', '169.254.169.254', 'localhost', '[::1]', '2130706433']
  const urls = hosts.flatMap((host) => [`http://${host}/`, `https://${host}/`])
  const calls = urls.map((url) => ({ method: 'GET', url }))
  for (const proxy of [
    `http://${http.host}`,
    `socks5://${socks.host}`,
    `socks5h://${socks.host}`,
  ]) {
    const engine = await openEngine(t, { egress: { allow: [], proxy } })
    for (const [index, delivery] of (await deliver(engine, ...calls)).entries()) {
      assert.equal(delivery.error?.code, 'ERR_SEND_EGRESS_DENIED', `${proxy} ${urls[index]}`) // reaches ERR_SEND_EGRESS_DENIED
    }
  }
  assert.deepEqual([http.seen.connections, socks.seen.connections], [0, 0])
})

test('the proxy itself may be at a private address, and its redirects are checked too', async (t) => {
  const proxy = await httpProxy(t, { answer: 'from the proxy' })
  const engine = await openEngine(t, { egress: { allow: [], proxy: `http://${proxy.host}` } })
  const [delivery] = await deliver(engine, { method: 'GET', url: `http://${PUBLIC}/x` })
  assert.equal(outcome(delivery), 'delivered 200')
  assert.equal(delivery.response.body, 'from the proxy')
  const [direct] = await deliver(engine, { method: 'GET', url: `http://${proxy.host}/` })
  assert.equal(direct.error?.code, 'ERR_SEND_EGRESS_DENIED') // reaches ERR_SEND_EGRESS_DENIED
  assert.equal(proxy.asked.length, 1)
})

test('a name that does not resolve is refused before the proxy hears of it', async (t) => {
  const proxy = await httpProxy(t, { answer: 'ok' })
  const engine = await openEngine(t, { egress: { proxy: `http://${proxy.host}` } })
  const [delivery] = await deliver(engine, {
    method: 'GET',
    url: 'http://nope.invalid/',
    timeout: 2000,
  })
  assert.match(outcome(delivery), /^failed ERR_SEND_(DNS|TIMEOUT) dns$/) // reaches ERR_SEND_DNS
  assert.equal(proxy.seen.connections, 0)
})

test(
  'a proxy that is down, silent or unwilling fails the delivery',
  { concurrency: true },
  async (t) => {
    const silent = await accepting(t, (socket) => socket.resume())
    const [forbidding, refusing] = await Promise.all([
      httpProxy(t, { refusal: 407 }),
      socksProxy(t, { reply: 2 }),
    ])
    const down = `127.0.0.1:${await closedPort()}`
    const timeout = 'failed ERR_SEND_TIMEOUT' // reaches ERR_SEND_TIMEOUT
    const connect = 'failed ERR_SEND_CONNECT connect' // reaches ERR_SEND_CONNECT
    const cases = [
      [`http://${down}`, 'http', connect],
      [`http://${down}`, 'https', connect],
      [`socks5://${down}`, 'http', connect],
      [`http://${silent.host}`, 'http', `${timeout} response`],
      [`http://${silent.host}`, 'https', `${timeout} connect`],
      [`https://${silent.host}`, 'http', `${timeout} tls`],
      [`socks5://${silent.host}`, 'http', `${timeout} connect`],
      [`http://${forbidding.host}`, 'http', 'failed ERR_SEND_PROXY 407'], // reaches ERR_SEND_PROXY
      [`http://${forbidding.host}`, 'https', 'failed ERR_SEND_PROXY 407'],
      [`socks5://${refusing.host}`, 'http', connect],
      [`socks5h://${refusing.host}`, 'https', connect],
    ]
    await Promise.all(
      cases.map(([proxy, scheme, expected]) =>
        t.test(`${proxy.split(':')[0]} proxy, ${scheme} target: ${expected}`, async (t) => {
          const http = expected.startsWith(timeout) ? { timeoutMs: 1000 } : PATIENT
          const engine = await openEngine(t, { egress: { proxy }, http })
          const [delivery] = await deliver(engine, { method: 'GET', url: `${scheme}://${PUBLIC}/` })
          assert.equal(outcome(delivery), expected, delivery.error?.message)
        }),
      ),
    )
  },
)

test('an answer of the proxy is named as such, with its status and page', async (t) => {
  const cases = [
    [
      407,
      'https',
      /^the proxy 127\.0\.0\.1 port \d+ answered 407 Refused: it asks for credentials/,
    ],
    [
      403,
      'https',
      /answered 403 Refused: it does not permit requests to 93\.184\.216\.34 port 443$/,
    ],
    [502, 'https', /answered 502 Refused: it did not reach 93\.184\.216\.34 port 443$/],
    [407, 'http', /^the proxy 127\.0\.0\.1 port \d+ answered 407 Proxy Authentication Required/],
  ]
  for (const [refusal, scheme, message] of cases) {
    const proxy = await httpProxy(t, { refusal })
    const egress = { proxy: `http://me:hunter2@${proxy.host}` }
    const engine = await openEngine(t, { egress, http: PATIENT })
    const [delivery] = await deliver(engine, { method: 'GET', url: `${scheme}://${PUBLIC}/` })
    const { error, response } = delivery
    assert.match(error.message, message)
    assert.deepEqual(
      [error.code, response.status, response.body, response.answeredBy],
      ['ERR_SEND_PROXY', refusal, 'refused', 'proxy'], // reaches ERR_SEND_PROXY
    )
    assert.equal((await shown(engine, [delivery])).includes('hunter2'), false)
  }
})

test('a proxy that is spoken to over TLS is named, too', async (t) => {
  const { ca, valid } = await certificates(t)
  const server = createServer(valid)
  server.on('connect', (_, socket) =>
    socket.end('HTTP/1.1 403 No\r\nContent-Length: 5\r\n\r\nnever'),
  )
  const { host } = await listen(t, server)
  const options = { egress: { proxy: `https://${host}` }, http: PATIENT }
  const calls = [{ method: 'GET', url: `https://${PUBLIC}/` }]
  const [{ error, response }] = await deliverInChild({ SSL_CERT_FILE: ca }, options, calls)
  assert.equal(error.code, 'ERR_SEND_PROXY', error.message) // reaches ERR_SEND_PROXY
  assert.deepEqual([response.status, response.body, response.answeredBy], [403, 'never', 'proxy'])
})

test('a status that the proxy may have made up names both', async (t) => {
  const proxy = await httpProxy(t, { refusal: 502 })
  const egress = { proxy: `http://${proxy.host}` }
  const engine = await openEngine(t, { egress, http: PATIENT })
  const [{ error }] = await deliver(engine, { method: 'GET', url: `http://${PUBLIC}/` })
  assert.equal(error.code, 'ERR_SEND_STATUS') // reaches ERR_SEND_STATUS
  assert.match(error.message, /^the server, or the proxy 127\.0\.0\.1 port \d+, answered 502/)
})

test('proxies of the environment are not used', async (t) => {
  const [server, proxy] = await Promise.all([echo(t), httpProxy(t)])
  const address = `http://${proxy.host}`
  const env = {
    HTTP_PROXY: address,
    http_proxy: address,
    ALL_PROXY: address,
    all_proxy: address,
    NO_PROXY: '',
  }
  const options = { egress: { allow: ['127.0.0.0/8'] } }
  const [delivery] = await deliverInChild(env, options, [{ method: 'GET', url: server.url }])
  assert.equal(outcome(delivery), 'delivered 200')
  assert.equal(proxy.seen.connections, 0)
})

test('hosts of egress.noProxy are reached without the proxy', async (t) => {
  const [server, proxy] = await Promise.all([echo(t), httpProxy(t, { answer: 'page' })])
  const options = { proxy: `http://${proxy.host}`, noProxy: ['127.0.0.0/8', '*.internal.test'] }
  const engine = await openEngine(t, { egress: options })
  const calls = [server.url, `http://${PUBLIC}/`].map((url) => ({ method: 'GET', url }))
  const [direct, proxied] = await deliver(engine, ...calls)
  assert.equal(outcome(direct), 'delivered 200')
  assert.deepEqual(
    proxy.asked.map(({ target }) => target),
    [`http://${PUBLIC}/`],
  )
  assert.equal(proxied.response.body, 'page')
  await assert.rejects(openEngine(t, { egress: { noProxy: ['a.test'] } }), /egress\.noProxy/)
  const unreadable = { proxy: options.proxy, noProxy: ['a b'] }
  await assert.rejects(openEngine(t, { egress: unreadable }), /egress\.noProxy\[0\]/)
})
