// Clients of the server that flood a connection of HTTP/2, or reset their requests as fast as they can:
// the connection ends, and others are served meanwhile.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect as connectHttp2, constants } from 'node:http2'
import { connect } from 'node:net'
import { test } from 'node:test'

import { servedProcess } from '../support/served.mjs'
import { BEFORE, flood, FLOODS, uint32 } from '../support/servers/floods.mjs'
import {
  block,
  END_HEADERS,
  END_STREAM,
  frame,
  HEADERS,
  PREFACE,
  RST_STREAM,
  SETTINGS,
} from '../support/servers/frames.mjs'

const REQUEST = block(
  [':method', 'GET'],
  [':scheme', 'http'],
  [':path', '/pipelines/p_flooded/sse'],
  [':authority', '127.0.0.1'],
)
const request = (/** @type {number} */ stream) =>
  frame(HEADERS, END_HEADERS | END_STREAM, stream, REQUEST)

/** Requests that a connection of HTTP/2 may have at once. */
const STREAMS = 256
/** Milliseconds of CPU time that the server may spend on one hostile connection. */
const MAX_CPU_MS = 1500

/** A connection that has said hello. @param {any} t @param {number} port */
async function hello(t, port) {
  const socket = connect(port, '127.0.0.1')
  t.after(() => socket.destroy())
  socket.on('error', () => {}).resume()
  await once(socket, 'connect')
  socket.write(Buffer.concat([Buffer.from(PREFACE), frame(SETTINGS, 0, 0)]))
  return socket
}

/**
 * Has a connection do harm until it is closed, and others ask meanwhile.
 *
 * @param {any} t
 * @param {(socket: import('node:net').Socket) => void} harm
 */
async function assertEnded(t, harm) {
  const { port, url, cpuMs } = await servedProcess(t)
  assert.equal((await fetch(`${url}/healthz`)).status, 200)
  const socket = await hello(t, port)
  const before = await cpuMs()
  const closed = new Promise((resolve) => socket.once('close', resolve))
  harm(socket)
  assert.equal((await fetch(`${url}/healthz`)).status, 200)
  await closed
  const spent = (await cpuMs()) - before
  assert.ok(spent < MAX_CPU_MS, `${spent} ms`)
}

for (const [name, bytes] of Object.entries(FLOODS)) {
  test(name, (t) =>
    assertEnded(t, (socket) => {
      socket.write(name in BEFORE ? frame(HEADERS, 0, 1, REQUEST) : request(1))
      flood(socket, bytes(1))
    }),
  )
}

/** Writes these frames for one stream after another. */
function streams(/** @type {import('node:net').Socket} */ socket, /** @type {any} */ frames) {
  let stream = 1
  const next = () => {
    if (socket.destroyed) return
    const some = Array.from({ length: 1000 }, () => frames((stream += 2)))
    socket.write(Buffer.concat(some), () => setImmediate(next))
  }
  next()
}

test('requests that are reset at once', (t) =>
  assertEnded(t, (socket) =>
    streams(socket, (/** @type {number} */ stream) =>
      Buffer.concat([request(stream), frame(RST_STREAM, 0, stream, uint32(8))]),
    ),
  ))

test('requests that are not valid', (t) =>
  assertEnded(t, (socket) =>
    streams(socket, (/** @type {number} */ stream) =>
      frame(HEADERS, END_HEADERS | END_STREAM, stream, block(['x', 'y'])),
    ),
  ))

test('more requests than there may be at once', (t) =>
  assertEnded(t, (socket) => streams(socket, request)))

test('a client that makes many requests and cancels some keeps its connection', async (t) => {
  const { url } = await servedProcess(t)
  const session = connectHttp2(url)
  t.after(() => session.destroy())
  let answered = 0
  for (let turn = 0; turn < 40; turn++) {
    await Promise.all(
      Array.from({ length: STREAMS / 2 }, async (_, number) => {
        const isCancelled = number % 3 === 0
        const path = isCancelled ? '/pipelines/p_cancelled/sse' : '/healthz'
        const stream = session.request({ ':path': path })
        const [headers] = await once(stream, 'response')
        assert.equal(headers[':status'], 200)
        answered++
        if (isCancelled) stream.close(constants.NGHTTP2_CANCEL)
        else stream.resume()
        await once(stream, 'close')
      }),
    )
    await new Promise((resolve, reject) =>
      session.ping((error) => (error ? reject(error) : resolve(undefined))),
    )
  }
  assert.equal(answered, 40 * (STREAMS / 2))
})
