import assert from 'node:assert/strict'
import { test } from 'node:test'

import { deliver, openEngine, outcome } from '../support/servers/deliver.mjs'
import { echo } from '../support/servers/echo.mjs'

/** Answers `/STATUS?to=URL` with a redirect to there, and everything else with 200. */
function redirector(t, host) {
  return echo(
    t,
    ({ target }, response) => {
      const [, status, to] = /^\/(\d{3})\?to=(.*)$/.exec(target) ?? []
      if (!status) return response.end('arrived')
      response.writeHead(Number(status), { location: decodeURIComponent(to) }).end('moved')
    },
    host,
  )
}

const via = (server, status, to) => `http://${server.host}/${status}?to=${encodeURIComponent(to)}`

test('the status decides over method and body of what follows', async (t) => {
  const server = await redirector(t)
  const engine = await openEngine(t)
  const expected = {
    POST: { 301: 'GET', 302: 'GET', 303: 'GET', 307: 'POST', 308: 'POST' },
    PUT: { 301: 'PUT', 302: 'PUT', 303: 'GET', 307: 'PUT', 308: 'PUT' },
    GET: { 301: 'GET', 302: 'GET', 303: 'GET', 307: 'GET', 308: 'GET' },
    HEAD: { 301: 'HEAD', 302: 'HEAD', 303: 'HEAD', 307: 'HEAD', 308: 'HEAD' },
  }
  for (const [method, statuses] of Object.entries(expected)) {
    const data = method === 'POST' || method === 'PUT' ? { a: 1 } : undefined
    for (const [status, following] of Object.entries(statuses)) {
      const [delivery] = await deliver(engine, { method, url: via(server, status, '/end'), data })
      const [first, last] = server.requests.splice(0)
      const kept = data && following === method ? '{"a":1}' : ''
      assert.equal(outcome(delivery), 'delivered 200', `${method} ${status}`)
      assert.deepEqual([first.method, last.method, last.target], [method, following, '/end'])
      assert.equal(last.body.toString(), kept, `${method} ${status}`)
      assert.equal(last.headers['content-type'], kept ? 'application/json' : undefined)
      const url = `http://${server.host}/end`
      const hop = { status: Number(status), method: following, url }
      assert.deepEqual(delivery.response.redirects, [hop])
    }
  }
})

test('five redirects are followed, six are not', async (t) => {
  const server = await echo(t, ({ target }, response) => {
    const left = Number(target.slice(1))
    if (left === 0) return response.end('arrived')
    response.writeHead(302, { location: String(left - 1) }).end()
  })
  const engine = await openEngine(t)
  const [five] = await deliver(engine, { method: 'GET', url: `http://${server.host}/5` })
  assert.equal(outcome(five), 'delivered 200')
  assert.equal(five.response.redirects.length, 5)
  server.requests.length = 0
  const [six] = await deliver(engine, { method: 'GET', url: `http://${server.host}/6` })
  assert.equal(outcome(six), 'failed ERR_SEND_TOO_MANY_REDIRECTS 302') // reaches ERR_SEND_TOO_MANY_REDIRECTS
  assert.equal(server.requests.length, 6)
  assert.equal(six.response.redirects.length, 5)
})

test('a loop of redirects ends', async (t) => {
  const server = await echo(t, (_, response) =>
    response.writeHead(307, { location: '/hook' }).end(),
  )
  const engine = await openEngine(t, { http: { maxRedirects: 2 } })
  const [delivery] = await deliver(engine, { method: 'POST', url: server.url, data: 'x' })
  assert.equal(outcome(delivery), 'failed ERR_SEND_TOO_MANY_REDIRECTS 307') // reaches ERR_SEND_TOO_MANY_REDIRECTS
  assert.deepEqual(
    server.requests.map(({ body }) => body.toString()),
    ['x', 'x', 'x'],
  )
})

test('maxRedirects 0 leaves the redirect as the answer', async (t) => {
  const server = await redirector(t)
  const engine = await openEngine(t, { http: { maxRedirects: 0 } })
  const [delivery] = await deliver(engine, { method: 'GET', url: via(server, 302, '/end') })
  assert.equal(outcome(delivery), 'failed ERR_SEND_STATUS 302') // reaches ERR_SEND_STATUS
  assert.equal(delivery.response.headers.location, '/end')
  assert.equal(delivery.response.body, 'moved')
  assert.equal(server.requests.length, 1)
})

test('locations are relative to where the request went', async (t) => {
  const server = await redirector(t)
  const engine = await openEngine(t)
  const origin = `http://${server.host}`
  const targets = {
    'end?a=1#fragment': '/end?a=1',
    '../x/./y': '/x/y',
    '//127.0.0.1/': undefined,
    [`//${server.host}/end`]: '/end',
    [`${origin}/a b?c d`]: '/a%20b?c%20d',
    '?': '/302',
  }
  for (const [location, target] of Object.entries(targets)) {
    if (!target) continue
    const [delivery] = await deliver(engine, { method: 'GET', url: via(server, 302, location) })
    assert.equal(outcome(delivery), 'delivered 200', location)
    assert.equal(server.requests.at(-1).target, target, location)
  }
})

test('a redirect without a location is the answer', async (t) => {
  const server = await echo(t, (_, response) => response.writeHead(302).end('where?'))
  const engine = await openEngine(t)
  const [delivery] = await deliver(engine, { method: 'GET', url: server.url })
  assert.equal(outcome(delivery), 'failed ERR_SEND_STATUS 302') // reaches ERR_SEND_STATUS
  assert.equal(delivery.response.body, 'where?')
})

test('credentials stay with their origin', async (t) => {
  const [server, other] = await Promise.all([redirector(t), echo(t)])
  const engine = await openEngine(t, { log: { redact: ['X-Mine'] } })
  const secrets = { 'X-Api-Key': 'k', 'My-Token': 't', 'X-Hub-Signature': 's', 'X-Mine': 'm' }
  const headers = { Cookie: 'c=1', 'X-Own': 'own', ...secrets }
  const bearer = { ...headers, Authorization: 'Bearer b' }
  const auth = { username: 'u', password: 'p' }
  for (const config of [{ headers: bearer }, { headers, auth }, { headers, userInfo: 'u:p@' }]) {
    for (const [to, kept] of [
      ['/end', true],
      [`http://${server.host}/end`, true],
      [other.url, false],
      [`http://x:y@${other.host}/hook`, false],
    ]) {
      const { userInfo = '', ...rest } = config
      const url = via(server, 307, to).replace('//', `//${userInfo}`)
      const [delivery] = await deliver(engine, { method: 'POST', url, data: 'x', ...rest })
      assert.equal(outcome(delivery), 'delivered 200')
      const last = (kept ? server : other).requests.at(-1)
      assert.equal(last.headers.authorization !== undefined, kept, to)
      assert.equal(last.headers.cookie, kept ? 'c=1' : undefined, to)
      for (const name of Object.keys(secrets))
        assert.equal(last.headers[name.toLowerCase()] !== undefined, kept, `${name} ${to}`)
      assert.equal(last.headers['x-own'], 'own')
      assert.equal(last.headers.host, kept ? server.host : other.host)
    }
  }
})

test('credentials that were dropped on the way do not come back', async (t) => {
  const server = await redirector(t)
  const other = await echo(t, (_, response) =>
    response.writeHead(307, { location: `http://${server.host}/end` }).end(),
  )
  const engine = await openEngine(t)
  const headers = { Authorization: 'Bearer b', Cookie: 'c=1' }
  const [delivery] = await deliver(engine, {
    method: 'GET',
    url: via(server, 302, other.url),
    headers,
  })
  assert.equal(outcome(delivery), 'delivered 200')
  const last = server.requests.at(-1)
  assert.deepEqual(
    [last.target, last.headers.authorization, last.headers.cookie],
    ['/end', undefined, undefined],
  )
})

test('a redirect to where nothing may go is refused, and nothing reaches it', async (t) => {
  const [server, denied] = await Promise.all([redirector(t), echo(t, undefined, '127.0.0.2')])
  const engine = await openEngine(t, { egress: { deny: ['127.0.0.2', 'denied.example'] } })
  const { port } = denied.seen
  const locations = [denied.url, `http://[::ffff:127.0.0.2]:${port}/`, `http://2130706434:${port}/`]
  locations.push(
    'http://169.254.169.254/latest/meta-data/',
    'http://10.0.0.1/',
    'http://denied.example/',
  )
  const calls = locations.map((to) => ({
    method: 'POST',
    url: via(server, 307, to),
    data: 'secret',
  }))
  for (const [index, delivery] of (await deliver(engine, ...calls)).entries()) {
    assert.equal(delivery.error?.code, 'ERR_SEND_EGRESS_DENIED', locations[index]) // reaches ERR_SEND_EGRESS_DENIED
  }
  assert.equal(denied.seen.connections, 0)
})

test('a redirect that ends in nothing leaves its trace in the log', async (t) => {
  const server = await redirector(t)
  const engine = await openEngine(t)
  const [delivery] = await deliver(engine, {
    method: 'GET',
    url: via(server, 302, 'http://10.0.0.1/in'),
  })
  assert.equal(outcome(delivery), 'failed ERR_SEND_EGRESS_DENIED 302') // reaches ERR_SEND_EGRESS_DENIED
  assert.equal(delivery.response.headers.location, 'http://10.0.0.1/in')
})

test('a redirect to something else than http fails, with its response kept', async (t) => {
  const server = await redirector(t)
  const engine = await openEngine(t)
  const locations = [
    'file:///etc/passwd',
    'ftp://127.0.0.1/',
    'javascript:alert(1)',
    'http://',
    'http://127.0.0.1:99999/',
  ]
  locations.push('data:text/plain,x', 'ws://127.0.0.1/', 'unix:/var/run/docker.sock')
  const calls = locations.map((to) => ({ method: 'GET', url: via(server, 302, to) }))
  for (const [index, delivery] of (await deliver(engine, ...calls)).entries()) {
    assert.equal(outcome(delivery), 'failed ERR_SEND_INVALID_URL 302', locations[index]) // reaches ERR_SEND_INVALID_URL
  }
})

test('redirects share one deadline', async (t) => {
  const server = await echo(t, ({ target }, response) => {
    if (target === '/hook') response.writeHead(302, { location: '/silent' }).end()
  })
  const engine = await openEngine(t, { http: { timeoutMs: 1000 } })
  const [delivery] = await deliver(engine, { method: 'GET', url: server.url })
  assert.equal(delivery.error?.code, 'ERR_SEND_TIMEOUT') // reaches ERR_SEND_TIMEOUT
  assert.equal(delivery.error.phase, 'response')
  assert.equal(server.requests.length, 2)
})
