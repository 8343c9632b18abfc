// HTTP/2 servers that flood their connection with frames that belong to no response: the call ends, and
// the connection with it.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { after, before, test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

import { runNode } from '../support/child.mjs'
import { PATIENCE_MS, PATIENT } from '../support/patience.mjs'
import { certificates } from '../support/servers/certificates.mjs'
import { deliver, openEngine, outcome } from '../support/servers/deliver.mjs'
import { BEFORE, flood, FLOODS_OF_SERVERS } from '../support/servers/floods.mjs'
import { framesServer, PING } from '../support/servers/frames.mjs'

/** One authority for all tests. */
let authority
const ends = []
before(async () => {
  authority = await certificates({ after: (end) => ends.push(end) })
})
after(() => Promise.all(ends.map((end) => end())))

const tls = () => ({ ca: readFileSync(authority.ca, 'utf8') })
const engineOf = (/** @type {any} */ t, http = {}) =>
  openEngine(t, { http: { ...PATIENT, tls: tls(), ...http } })
const call = (/** @type {string} */ url) => ({ method: 'POST', url, data: 'x' })

/** Resolves when a server has no connection left. @param {any} seen */
const allClosed = ({ open }) =>
  Promise.all(
    [...open].map((socket) => socket.closed || new Promise((end) => socket.once('close', end))),
  )

/** Floods that end otherwise: the protocol says how. */
const OTHER_ENDS = {
  RST_STREAM: 'failed ERR_SEND_CONNECTION response',
}
const REFUSED = 'failed ERR_SEND_INVALID_RESPONSE response' // reaches ERR_SEND_INVALID_RESPONSE

// The deadline is longer than any test: what ends these calls is that frames are counted.
for (const [name, bytes] of Object.entries(FLOODS_OF_SERVERS)) {
  test(`${name}, in place of a response`, async (t) => {
    const server = await framesServer(t, authority.valid, ({ socket }, stream) => {
      socket.write(BEFORE[name]?.(stream) ?? '')
      flood(socket, bytes(stream))
    })
    const [delivery] = await deliver(await engineOf(t), call(server.url))
    assert.equal(outcome(delivery), OTHER_ENDS[name] ?? REFUSED, delivery.error?.message)
    assert.equal(server.state.connections, 1)
    await allClosed(server.seen)
  })

  test(`${name}, after a response`, async (t) => {
    const server = await framesServer(t, authority.valid, (line, stream) => {
      line.respond(stream)
      line.socket.write(BEFORE[name]?.(stream) ?? '')
      flood(line.socket, bytes(stream))
    })
    await deliver(await engineOf(t), call(server.url))
    await allClosed(server.seen)
  })
}

test('a server that floods each connection from its beginning is called once', async (t) => {
  const bytes = FLOODS_OF_SERVERS.PING(0)
  const onConnection = (/** @type {any} */ { socket }) => flood(socket, bytes)
  const server = await framesServer(t, authority.valid, () => {}, onConnection)
  const [delivery] = await deliver(await engineOf(t), call(server.url))
  assert.equal(outcome(delivery), REFUSED)
  assert.match(
    String(delivery.error?.message),
    /^the HTTP\/2 connection to 127\.0\.0\.1 port \d+ was ended, because the server floods it/,
  )
  assert.equal(server.state.connections, 1)
})

test('a server that sends a few frames beside each response keeps its connection', async (t) => {
  const server = await framesServer(t, authority.valid, (line, stream) => {
    for (let n = 0; n < 50; n++) line.write(PING, 0, 0, Buffer.alloc(8))
    line.respond(stream)
  })
  const engine = await engineOf(t)
  for (let turn = 0; turn < 10; turn++) {
    const deliveries = await deliver(engine, ...Array(50).fill(call(server.url)))
    assert.deepEqual(new Set(deliveries.map(outcome)), new Set(['delivered 200']))
  }
  assert.equal(server.state.connections, 1)
})

test('floods take no CPU time once their calls are over', async (t) => {
  const engine = await engineOf(t, { timeoutMs: 1000 })
  const servers = await Promise.all(
    Object.entries(FLOODS_OF_SERVERS).map(([name, bytes]) =>
      framesServer(t, authority.valid, ({ socket }, stream) => {
        socket.write(BEFORE[name]?.(stream) ?? '')
        flood(socket, bytes(stream))
      }),
    ),
  )
  const begun = performance.now()
  const deliveries = await deliver(engine, ...servers.map(({ url }) => call(url)))
  assert.ok(performance.now() - begun < 1500, `${performance.now() - begun} ms`)
  for (const { status } of deliveries) assert.equal(status, 'failed')
  await Promise.all(servers.map(({ seen }) => allClosed(seen)))
  const before = process.cpuUsage()
  await pause(1000)
  const { user, system } = process.cpuUsage(before)
  assert.ok(user + system < 200_000, `${user + system} µs of a second`)
})

test('a flood takes little memory', async () => {
  const PROCESS = fileURLToPath(new URL('../support/memory-of-a-call.mjs', import.meta.url))
  const servers = /** @type {any[]} */ ([])
  const t = { after: (/** @type {any} */ end) => ends.push(end) }
  for (const [name, bytes] of Object.entries({
    warm: FLOODS_OF_SERVERS.PING,
    ...FLOODS_OF_SERVERS,
  })) {
    const server = await framesServer(t, authority.valid, ({ socket }, stream) => {
      socket.write(BEFORE[name]?.(stream) ?? '')
      flood(socket, bytes(stream))
    })
    const http = { timeoutMs: PATIENCE_MS, tls: tls() }
    const config = { method: 'GET', url: server.url }
    servers.push({ name, options: { http }, call: { destination: 'http', config } })
  }
  const { stdout, stderr, code } = await runNode([PROCESS, JSON.stringify(servers)])
  assert.equal(code, 0, stderr)
  const costs = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))
  assert.equal(costs.length, servers.length - 1)
  for (const { name, bytes } of costs) assert.ok(bytes <= 32 << 20, `${name}: ${bytes} bytes`)
})
