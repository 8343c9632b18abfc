// HTTP/2 servers that break the protocol's rules, or end what they have begun. One odd response costs
// its own call, never those beside it on the same connection.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { after, before, test } from 'node:test'

import { certificates } from '../support/servers/certificates.mjs'
import { deliver, openEngine, outcome } from '../support/servers/deliver.mjs'
import {
  block,
  DATA,
  END_HEADERS,
  END_STREAM,
  framesServer,
  HEADERS,
  PUSH_PROMISE,
  RST_STREAM,
} from '../support/servers/frames.mjs'
import { PATIENT } from '../support/patience.mjs'

/** One authority for all tests. */
let authority
const ends = []
before(async () => {
  authority = await certificates({ after: (end) => ends.push(end) })
})
after(() => Promise.all(ends.map((end) => end())))

const RETRY = { attempts: 3, initialMs: 1, jitter: 0 }

const engineOf = (t, http = {}) =>
  openEngine(t, {
    http: { ...PATIENT, retry: RETRY, tls: { ca: readFileSync(authority.ca, 'utf8') }, ...http },
  })

const calls = (url, count) =>
  Array.from({ length: count }, (_, n) => ({ method: 'POST', url, data: { n } }))

/**
 * Sends three calls over one connection. When all are there, the second has the odd response and the
 * others are answered after it.
 */
async function besideOthers(t, odd) {
  const waiting = []
  const server = await framesServer(t, authority.valid, (line, stream) => {
    waiting.push(stream)
    if (waiting.length !== 3) return
    odd(line, waiting[1])
    for (const other of [waiting[0], waiting[2]]) line.respond(other, ['x-other', '1'])
  })
  const deliveries = await deliver(await engineOf(t), ...calls(server.url, 3))
  const isOther = ({ response }) => response?.headers['x-other'] === '1'
  const others = deliveries.filter(isOther)
  assert.deepEqual(others.map(outcome), Array(2).fill('delivered 200'))
  assert.deepEqual(
    { connections: 1, requests: 3 },
    { connections: server.state.connections, requests: server.state.requests },
  )
  return deliveries.find((delivery) => !isOther(delivery))
}

const INVALID = 'failed ERR_SEND_INVALID_RESPONSE response' // reaches ERR_SEND_INVALID_RESPONSE

test('a response with what HTTP/2 forbids is final', async (t) => {
  const status = [':status', '200']
  const responses = {
    connection: [status, ['connection', 'close']],
    upgrade: [status, ['upgrade', 'h2c']],
    'keep-alive': [status, ['keep-alive', 'timeout=5']],
    'transfer-encoding': [status, ['transfer-encoding', 'chunked']],
    'a late status': [['x-a', '1'], status],
    'two statuses': [status, status],
    'no status': [['x-a', '1']],
    'a length that is none': [status, ['content-length', 'x']],
  }
  for (const [name, fields] of Object.entries(responses)) {
    await t.test(name, async (t) => {
      const delivery = await besideOthers(t, ({ write }, stream) => {
        write(HEADERS, END_HEADERS, stream, block(...fields))
        write(DATA, END_STREAM, stream, Buffer.from('ok'))
      })
      assert.equal(outcome(delivery), INVALID)
      assert.equal(delivery.attempts, 1)
      assert.match(
        delivery.error.message,
        /the HTTP\/2 response of 127\.0\.0\.1 port \d+ is not valid/,
      )
    })
  }
})

test('more than 64 KiB or 1,000 lines of headers fail their call alone', async (t) => {
  const respond = ({ write }, stream, fields) => {
    const bytes = block([':status', '200'], ...fields)
    const pieces = Array.from({ length: Math.ceil(bytes.length / 16384) }, (_, n) =>
      bytes.subarray(n * 16384, (n + 1) * 16384),
    )
    for (const [n, piece] of pieces.entries()) {
      const flags = n === pieces.length - 1 ? END_HEADERS : 0
      write(n === 0 ? HEADERS : 9, flags, stream, piece)
    }
    write(DATA, END_STREAM, stream, Buffer.from('ok'))
  }
  const lines = (count, bytes) =>
    Array.from({ length: count }, (_, n) => [`x-${n}`, 'v'.repeat(bytes)])
  for (const [fields, isRead] of [
    [lines(1, 60_000), true],
    [lines(1000, 50), true],
    [lines(1001, 1), false],
    [lines(7, 10_000), false],
    [lines(70, 10_000), false],
  ]) {
    const delivery = await besideOthers(t, (line, stream) => respond(line, stream, fields))
    assert.equal(outcome(delivery), isRead ? 'delivered 200' : INVALID)
    if (!isRead) assert.match(delivery.error.message, /more than 64 KiB or 1,000 lines/)
  }
})

test('PUSH_PROMISE, which was turned off, ends its connection', async (t) => {
  const server = await framesServer(t, authority.valid, ({ write, respond }, stream, number) => {
    if (number > 1) return respond(stream)
    const promised = Buffer.alloc(4)
    promised.writeUInt32BE(2)
    const fields = block(
      [':method', 'GET'],
      [':scheme', 'https'],
      [':authority', 'a'],
      [':path', '/'],
    )
    write(PUSH_PROMISE, END_HEADERS, stream, Buffer.concat([promised, fields]))
  })
  const engine = await engineOf(t, { retry: undefined })
  const [first] = await deliver(engine, ...calls(server.url, 1))
  assert.equal(outcome(first), INVALID)
  const [second] = await deliver(engine, ...calls(server.url, 1))
  assert.equal(outcome(second), 'delivered 200')
  assert.equal(server.state.connections, 2)
})

test('a name in upper case is not valid', async (t) => {
  const server = await framesServer(t, authority.valid, ({ respond }, stream) =>
    respond(stream, ['X-Upper', '1']),
  )
  const [delivery] = await deliver(await engineOf(t), ...calls(server.url, 1))
  assert.equal(outcome(delivery), INVALID)
  assert.deepEqual([delivery.attempts, server.state.requests], [1, 1])
})

test('empty DATA without end takes no thread and fails no other call', async (t) => {
  const delivery = await besideOthers(t, ({ write }, stream) => {
    write(HEADERS, END_HEADERS, stream, block([':status', '200']))
    for (let count = 0; count < 5000; count++) write(DATA, 0, stream)
    write(DATA, 0, stream, Buffer.from('o'))
    for (let count = 0; count < 5000; count++) write(DATA, 0, stream)
    write(DATA, END_STREAM, stream, Buffer.from('k'))
  })
  assert.equal(outcome(delivery), 'delivered 200')
  assert.equal(delivery.response.body, 'ok')
})

test('a stream that ends without an error in the middle of its body is truncated', async (t) => {
  const length = ['content-length', '10']
  for (const [code, ...more] of [[0], [0, length], [8], [8, length]]) {
    const delivery = await besideOthers(t, ({ write }, stream) => {
      write(HEADERS, END_HEADERS, stream, block([':status', '200'], ...more))
      write(DATA, 0, stream, Buffer.from('half'))
      write(RST_STREAM, 0, stream, Buffer.from([0, 0, 0, code]))
    })
    assert.equal(outcome(delivery), 'delivered 200')
    assert.deepEqual([delivery.response.body, delivery.response.truncated], ['half', true])
    assert.match(delivery.warnings.join(), /broke before the response's body was over/)
  }
})

test('a connection that answers no PING is left, and one that does is kept', async (t) => {
  for (const isMute of [true, false]) {
    const server = await framesServer(t, authority.valid, ({ respond }, stream, number) => {
      if (number !== 2) respond(stream)
    })
    server.state.isMute = isMute
    const engine = await engineOf(t, { retry: undefined })
    const [first] = await deliver(engine, ...calls(server.url, 1))
    assert.equal(outcome(first), 'delivered 200')
    // Silent for longer than a connection may be.
    const silent = { ...calls(server.url, 1)[0], timeout: 3000 }
    const [second] = await deliver(engine, silent)
    assert.equal(outcome(second), 'failed ERR_SEND_TIMEOUT response') // reaches ERR_SEND_TIMEOUT
    assert.ok(server.state.pings >= 1, 'a PING was sent')
    const [third] = await deliver(engine, ...calls(server.url, 1))
    assert.equal(outcome(third), 'delivered 200')
    assert.equal(server.state.connections, isMute ? 2 : 1)
  }
})
