import assert from 'node:assert/strict'
import { test } from 'node:test'

import { deliver, openEngine, outcome } from '../support/servers/deliver.mjs'
import { echo } from '../support/servers/echo.mjs'
import { closedPort } from '../support/servers/listen.mjs'
import { PATIENT } from '../support/patience.mjs'

/** Sends the calls, each of which is refused with `code` before anything leaves. */
async function refused(engine, code, calls) {
  for (const [index, delivery] of (await deliver(engine, ...calls)).entries()) {
    const shown = JSON.stringify(calls[index]).slice(0, 200)
    assert.equal(outcome(delivery).split(' ').slice(0, 2).join(' '), `failed ${code}`, shown)
    assert.equal(delivery.response, undefined, shown)
  }
}

test('a header that could break the request fails the delivery', async (t) => {
  const server = await echo(t)
  const engine = await openEngine(t)
  const call = (headers) => ({ method: 'POST', url: server.url, data: 'x', headers })
  const values = [
    'a\r\nX-B: b',
    'a\nb',
    'a\rb',
    'a\0b',
    '\r\n\r\nGET / HTTP/1.1',
    'a\u0001',
    'a\u007f',
    'ž',
    '🐴',
  ]
  const names = ['X\r\nX-B', 'X\n', 'X\0', 'X: b\r\nX-B', 'X A', 'X:', 'é', 'X(', '"X"', '\u0000']
  const owned = [
    { 'Transfer-Encoding': 'chunked' },
    { 'transfer-encoding': 'identity' },
    { Host: 'other.example' },
    { HOST: [server.host, 'other.example'] },
    { Upgrade: 'h2c' },
    { Connection: 'X-A' },
    { Connection: ['close', 'Upgrade'] },
    { 'Proxy-Authorization': 'Basic eDp5' },
    { 'Proxy-Connection-X': 'x' },
  ]
  const calls = [
    ...values.flatMap((value) => [call({ 'X-A': value }), call({ 'X-A': ['ok', value] })]),
    ...values.map((value) => call({ Authorization: `Bearer ${value}` })),
    ...values.map((value) => call({ 'Content-Type': `text/plain; a=${value}` })),
    ...names.map((name) => call({ [name]: 'a' })),
    ...owned.map(call),
  ]
  await refused(engine, 'ERR_SEND_INVALID_HEADER', calls) // reaches ERR_SEND_INVALID_HEADER
  assert.equal(server.seen.connections, 0)
})

test('headers that the client writes itself are left out, with a warning', async (t) => {
  const server = await echo(t)
  const engine = await openEngine(t)
  const headers = {
    'Content-Length': '999',
    Host: server.host,
    Connection: 'close',
    TE: 'trailers',
  }
  const [delivery] = await deliver(engine, {
    method: 'POST',
    url: server.url,
    data: 'abc',
    headers,
  })
  assert.equal(outcome(delivery), 'delivered 200')
  for (const name of Object.keys(headers)) {
    assert.ok(
      delivery.warnings.some((text) => text.includes(name.toLowerCase())),
      name,
    )
  }
  const [{ lines, body }] = server.requests
  assert.equal(body.toString(), 'abc')
  const sent = (name) => lines.filter(([other]) => other === name).map(([, value]) => value)
  assert.deepEqual([sent('content-length'), sent('host'), sent('te')], [['3'], [server.host], []])
})

test('a URL that is none fails the delivery, and other schemes do', async (t) => {
  const engine = await openEngine(t)
  const urls = [
    '',
    ' ',
    '/hook',
    'example.com/hook',
    '//example.com/',
    'http://',
    'https://',
    'http:///',
    'http:example.com',
  ]
  urls.push(
    'http://[::1',
    'http://127.0.0.1:99999/',
    'http://127.0.0.1:x/',
    'http://a b/',
    'http://a%00b/',
    'http://exa<mple/',
  )
  urls.push('http://256.256.256.256/', 'http://1.2.3.4.5/', 'http://0x1ffffffff/', 'http://xn--a/')
  urls.push(
    'ftp://127.0.0.1/',
    'file:///etc/passwd',
    'data:text/plain,x',
    'javascript:1',
    'ws://127.0.0.1/',
    'mailto:a@b.example',
  )
  urls.push(
    'unix:/var/run/docker.sock',
    'gopher://127.0.0.1/',
    'blob:http://127.0.0.1/x',
    `http://127.0.0.1/${'a'.repeat(70_000)}`,
  )
  const calls = urls.map((url) => ({ method: 'GET', url }))
  await refused(engine, 'ERR_SEND_INVALID_URL', calls) // reaches ERR_SEND_INVALID_URL
})

/** Ways to write this machine. */
const LOCAL_HOSTS = `
  127.0.0.1 localhost LOCALHOST 0x7f.1 0x7f000001 2130706433 127.1 0177.0.0.1 017700000001
  127.0.0.1. ①②⑦.0.0.1 127。0。0。1 %31%32%37.0.0.1 0 0.0.0.0 127.255.255.254 [::1] [::]
  [::ffff:127.0.0.1] [::ffff:7f00:1] [::127.0.0.1] [::ffff:0:127.0.0.1] [64:ff9b::127.0.0.1]
  [64:ff9b:1::7f00:1] [2002:7f00:1::] [2001:0:7f00:1::]`

const SPECIAL_HOSTS = `
  169.254.169.254 [fd00:ec2::254] 168.63.129.16 100.100.100.200 100.64.0.1 10.0.0.1 172.16.0.1
  172.31.255.255 192.168.1.1 192.0.0.1 192.0.2.1 198.18.0.1 198.51.100.1 203.0.113.1 224.0.0.1
  240.0.0.1 255.255.255.255 [fe80::1] [fc00::1] [fec0::1] [ff02::1] [2001:db8::1] [100::1]`

test('without egress.allow, nothing that is not public is reached', async (t) => {
  const server = await echo(t)
  const { port } = server.seen
  const engine = await openEngine(t, { egress: { allow: [] } })
  const hosts = `${LOCAL_HOSTS} ${SPECIAL_HOSTS}`.trim().split(/\s+/)
  const schemes = (host) => ['http', 'https'].map((scheme) => `${scheme}://${host}:${port}/`)
  const urls = hosts.flatMap(schemes)
  urls.push(`http://user:password@127.0.0.1:${port}/`, `http://example.com@127.0.0.1:${port}/`)
  const calls = urls.map((url) => ({ method: 'POST', url, data: 'x' }))
  await refused(engine, 'ERR_SEND_EGRESS_DENIED', calls) // reaches ERR_SEND_EGRESS_DENIED
  // Not every system's resolver knows the name with its last dot.
  const [dotted] = await deliver(engine, { method: 'GET', url: `http://localhost.:${port}/` })
  assert.match(outcome(dotted), /^failed ERR_SEND_(EGRESS_DENIED|DNS) dns$/)
  assert.equal(server.seen.connections, 0)
})

test('egress.deny, egress.ports and egress.schemes are kept', async (t) => {
  const [server, other] = await Promise.all([echo(t), echo(t)])
  const open = (egress) => openEngine(t, { egress })
  const call = { method: 'GET', url: server.url }
  const denials = [
    { deny: ['127.0.0.1'] },
    { deny: ['127.0.0.0/8'] },
    { ports: [other.seen.port] },
    { schemes: ['https'] },
  ]
  for (const egress of denials) {
    await refused(await open(egress), 'ERR_SEND_EGRESS_DENIED', [call]) // reaches ERR_SEND_EGRESS_DENIED
  }
  assert.equal(server.seen.connections, 0)
  const [allowed] = await deliver(
    await open({ ports: [server.seen.port], schemes: ['http'] }),
    call,
  )
  assert.equal(outcome(allowed), 'delivered 200')
  const name = { method: 'GET', url: `http://localhost:${server.seen.port}/` }
  const [named] = await deliver(await open({ allow: ['localhost'] }), name)
  assert.equal(outcome(named), 'delivered 200')
  await refused(await open({ allow: ['localhost'] }), 'ERR_SEND_EGRESS_DENIED', [call]) // reaches ERR_SEND_EGRESS_DENIED
})

/** All that an engine shows to anyone, as one text. */
async function everything(engine, events, deliveries) {
  const log = [await engine.deliveries({ limit: 1000 }), await engine.executions(), engine.stats()]
  return JSON.stringify([deliveries, log, events])
}

function eventsOf(engine) {
  const events = []
  for (const name of ['delivery', 'execution', 'warning'])
    engine.on(name, (event) => events.push(event))
  return events
}

/** URLs with a password, of which only the first leads to the server. */
async function passwords(host) {
  const closed = `user:hunter2@127.0.0.1:${await closedPort()}`
  const reachable = [`http://user:hunter2@${host}/?token=hunter2&api_key=hunter2&a=1#hunter2`]
  const failing = [`http://${closed}/`, 'http://user:hunter2@nope.invalid/']
  failing.push(
    'http://user:hunter2@10.0.0.1/?secret=hunter2',
    'http://user:hunter2@127.0.0.1:99999/',
  )
  failing.push(
    'user:hunter2@127.0.0.1/x',
    'user:/hunter2@127.0.0.1',
    'https:user:hunter2@127.0.0.1',
  )
  failing.push('ftp://user:hunter2@127.0.0.1/?token=hunter2', '//user:hunter2@127.0.0.1/')
  failing.push(
    'http://user:hunt@er2:hunter2@[/',
    'http://user:hunter2#x@[/',
    'http://user:hunter2?x@[/',
  )
  return [...reachable, ...failing]
}

test('user-info becomes basic auth, and neither it nor any other secret is shown', async (t) => {
  const server = await echo(t, (_, response) => {
    const location = 'http://user:hunter2@127.0.0.1/?token=hunter2'
    const headers = { 'set-cookie': 's=hunter2', 'x-api-key': 'hunter2', location }
    response.writeHead(201, headers).end('ok')
  })
  const engine = await openEngine(t, { http: PATIENT, log: { redact: ['X-Own'] } })
  const events = eventsOf(engine)
  const headers = { 'X-Own': 'hunter2', Cookie: 'a=hunter2', 'X-Auth-Token': 'hunter2' }
  const call = { method: 'GET', url: server.url }
  const calls = (await passwords(server.host)).map((url) => ({ method: 'GET', url, headers }))
  calls.push({ ...call, auth: { username: 'user', password: 'hunter2' } })
  calls.push({ ...call, headers: { Authorization: 'Bearer hunter2\n' } })
  calls.push({ ...call, params: { token: 'hunter2', password: ['hunter2'] } })
  const deliveries = await deliver(engine, ...calls)
  const basic = Buffer.from('user:hunter2').toString('base64')
  const sent = server.requests.find(({ target }) => target.includes('a=1'))
  assert.equal(sent.headers.authorization, `Basic ${basic}`)
  const text = await everything(engine, events, deliveries)
  for (const secret of ['hunter2', basic, 'hunt@er2', 'er2:']) {
    const at = text.indexOf(secret)
    assert.equal(at, -1, `…${text.slice(Math.max(0, at - 200), at + 20)}`)
  }
  assert.ok(events.length >= calls.length)
  assert.match(text, /a=1/)
})

test('a secret in a relative location is not shown', async (t) => {
  const server = await echo(t, (_, response) => {
    response
      .writeHead(201, {
        location: '/created?token=hunter2&a=1',
        'content-location': '/c?token=hunter2',
      })
      .end()
  })
  const engine = await openEngine(t)
  const headers = { Referer: '/from?token=hunter2' }
  const deliveries = await deliver(engine, { method: 'POST', url: server.url, headers })
  const text = await everything(engine, [], deliveries)
  assert.equal(text.includes('hunter2'), false, deliveries[0].response.headers.location)
  assert.match(text, /a=1/)
})
