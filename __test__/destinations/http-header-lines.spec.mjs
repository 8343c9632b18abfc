// Responses with more header lines than a parser has room for at first, however they are framed and cut.

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { deliver, openEngine, outcome } from '../support/servers/deliver.mjs'
import { raw } from '../support/servers/raw.mjs'

const lines = (count) => Array.from({ length: count }, (_, n) => `X-${n}: v${n}\r\n`).join('')
const OK = 'HTTP/1.1 200 OK\r\n'
const SIZED = 'Content-Length: 4\r\n\r\nbody'
const CHUNKED = 'Transfer-Encoding: chunked\r\n\r\n2\r\nbo\r\n2\r\ndy\r\n0\r\n\r\n'

/** Writes in pieces of so many bytes, each in a turn of its own. */
async function inPieces(socket, text, size) {
  socket.setNoDelay(true)
  for (let at = 0; at < text.length; at += size) {
    socket.write(text.slice(at, at + size))
    await new Promise((resolve) => setImmediate(resolve))
  }
}

const RESPONSES = {
  'with a length': `${OK}${lines(150)}${SIZED}`,
  'in chunks': `${OK}${lines(150)}${CHUNKED}`,
  'with its framing before a hundred others': `${OK}Content-Length: 4\r\n${lines(150)}\r\nbody`,
  'of HTTP/1.0': `HTTP/1.0 200 OK\r\n${lines(150)}${SIZED}`,
  'of HTTP/1.0, without a length': { text: `HTTP/1.0 200 OK\r\n${lines(150)}\r\nbody`, ends: true },
  'that ends with its connection': { text: `${OK}${lines(150)}\r\nbody`, ends: true },
  'after an interim response': `HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n${OK}${lines(150)}${SIZED}`,
  'after an interim response of as many': `HTTP/1.1 103 Early Hints\r\n${lines(150)}\r\n${OK}${lines(150)}${SIZED}`,
  'of a hundred': `${OK}${lines(99)}${SIZED}`,
  'of a hundred and one': `${OK}${lines(100)}${SIZED}`,
}

for (const [name, response] of Object.entries(RESPONSES)) {
  test(`many header lines: a response ${name}`, async (t) => {
    const { text, ends } = typeof response === 'string' ? { text: response } : response
    const engine = await openEngine(t, { http: { perHostConcurrency: 1, headerCase: 'as-given' } })
    for (const size of [text.length, 1000, 97]) {
      const server = await raw(t, async (socket) => {
        await inPieces(socket, text, size)
        if (ends) socket.end()
      })
      const headers = { 'X-Case': 'as given' }
      const call = { method: 'POST', url: server.url, headers }
      const deliveries = await deliver(engine, call, call, call)
      for (const delivery of deliveries) {
        assert.equal(outcome(delivery), 'delivered 200')
        assert.equal(delivery.response.body, 'body')
        assert.equal(delivery.response.headers['x-98'], 'v98')
      }
      assert.equal(server.heads.length, 3, 'each request is sent once')
      assert.ok(server.heads.every((head) => head.includes('X-Case: as given')))
    }
  })
}

test('many header lines: a response that has no body', async (t) => {
  const engine = await openEngine(t)
  const server = await raw(t, (socket, number) => {
    const status = number % 2 ? '200 OK\r\nContent-Length: 7' : '204 No Content'
    socket.write(`HTTP/1.1 ${status}\r\n${lines(150)}\r\n`)
  })
  const calls = [
    { method: 'HEAD', url: server.url },
    { method: 'POST', url: server.url },
  ]
  const outcomes = []
  for (const call of calls) outcomes.push(...(await deliver(engine, call)).map(outcome))
  assert.deepEqual(outcomes, ['delivered 200', 'delivered 204'])
})

test('many header lines: a response that comes before the request has ended', async (t) => {
  const engine = await openEngine(t)
  const server = await raw(t, (socket) => {
    socket.pause()
    socket.end(`HTTP/1.1 413 Payload Too Large\r\n${lines(150)}${SIZED}`)
  })
  const data = 'x'.repeat(4 << 20)
  const [delivery] = await deliver(engine, { method: 'POST', url: server.url, data })
  assert.equal(outcome(delivery), 'failed ERR_SEND_STATUS 413') // reaches ERR_SEND_STATUS
})

test('many header lines: one too many fails its call alone', async (t) => {
  const engine = await openEngine(t)
  const server = await raw(t, (socket, number) =>
    socket.write(`${OK}${lines(number === 1 ? 1000 : 999)}${SIZED}`),
  )
  const call = { method: 'POST', url: server.url }
  const [first] = await deliver(engine, call)
  const [second] = await deliver(engine, call)
  assert.equal(outcome(first), 'failed ERR_SEND_INVALID_RESPONSE response') // reaches ERR_SEND_INVALID_RESPONSE
  assert.match(first.error.message, /1,000 lines/)
  assert.equal(outcome(second), 'delivered 200')
})
