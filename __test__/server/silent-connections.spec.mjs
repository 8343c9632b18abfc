// Clients of the server that connect and say nothing, or little: they cost next to nothing, and other
// clients are served.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'

import { until } from '../support/dead-letters.mjs'
import { connections, get, servedProcess } from '../support/served.mjs'

const STREAM = get('/pipelines/p_silent/sse')
const HEALTH = get('/healthz')

/** Milliseconds of the measurement. */
const PERIOD = 4000
/** Milliseconds between the bytes of a slow client. */
const BETWEEN_BYTES = 50
/** Requests by which the speed of this machine and of this build is known. */
const REQUESTS = 1000
/** Bytes of slow clients that may cost as much as a request: most of their cost is that of a packet. */
const BYTES_OF_REQUEST = 4

test('1,000 connections that are silent, slow or idle take next to no CPU time', async (t) => {
  const { port, url, cpuMs } = await servedProcess(t)
  await connections(t, port, 200)
  await connections(t, port, 100, HEALTH)
  await connections(t, port, 100, STREAM)
  const slow = await connections(t, port, 300, 'GET /')
  const slowAgain = await connections(t, port, 300, HEALTH)
  const requests = await spent(cpuMs, () => ask(t, port, REQUESTS))
  let bytes = 0
  const dripping = setInterval(() => {
    for (const socket of [...slow, ...slowAgain]) socket.write('x')
    bytes += slow.length + slowAgain.length
  }, BETWEEN_BYTES)
  t.after(() => clearInterval(dripping))
  const silence = await spent(cpuMs, () => pause(PERIOD))
  const allowed = ((requests / REQUESTS) * bytes) / BYTES_OF_REQUEST
  const parts = `${requests.toFixed(0)} ms for ${REQUESTS} requests, ${silence.toFixed(0)} ms for ${bytes} bytes`
  t.diagnostic(`${parts}: ${((100 * silence) / PERIOD).toFixed(2)} % of a core`)
  assert.ok(silence <= allowed, parts)
  const response = await fetch(`${url}/healthz`)
  assert.equal(response.status, 200)
})

/**
 * Milliseconds of CPU time that the server takes for something.
 *
 * @param {() => Promise<number>} cpuMs
 * @param {() => Promise<unknown>} work
 */
async function spent(cpuMs, work) {
  const before = await cpuMs()
  await work()
  return (await cpuMs()) - before
}

/** Makes requests, one after another. @param {any} t @param {number} port @param {number} count */
async function ask(t, port, count) {
  const [socket] = await connections(t, port, 1)
  for (let asked = 0; asked < count; asked++) {
    socket.write(HEALTH)
    await once(socket, 'data')
  }
}

test(
  'silent connections make room for others',
  { skip: process.platform === 'win32' },
  async (t) => {
    const { port, url } = await servedProcess(t, { limit: 'ulimit -n 512' })
    const following = await connections(t, port, 10, STREAM)
    const silent = await connections(t, port, 400)
    const idle = await connections(t, port, 100, HEALTH)
    const closed = () => silent.filter((socket) => socket.closed || socket.readableEnded).length
    // Half of 512 descriptors are for connections. Their ends arrive later.
    await until(() => (closed() >= 400 + 100 + 10 - 256 - 10 ? true : undefined))
    for (let turn = 0; turn < 20; turn++) {
      const response = await fetch(`${url}/healthz`, { headers: { connection: 'close' } })
      assert.equal(response.status, 200)
    }
    // Streams are requests: they stay, and so do the connections that were used last.
    assert.deepEqual(
      following.filter(({ closed }) => closed),
      [],
    )
    const last = /** @type {import('node:net').Socket} */ (idle.at(-1))
    last.write(HEALTH)
    await once(last, 'data')
  },
)
