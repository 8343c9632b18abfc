// Real servers on 127.0.0.1, each on a free port, that end with the test.

import { once } from 'node:events'
import { createServer as createHttpServer } from 'node:http'
import { createServer as createTcpServer } from 'node:net'
import { buffer } from 'node:stream/consumers'

/** @typedef {{ after(fn: () => unknown): void }} Test */
/** @typedef {{ method: string, path: string, headers: import('node:http').IncomingHttpHeaders, body: Buffer, text: string }} Received */

/**
 * An HTTP server that keeps what it receives.
 *
 * @param {Test} t
 * @param {(request: Received, response: import('node:http').ServerResponse) => unknown} [answer]
 *   default: 200 and `ok`
 */
export async function receiver(t, answer = (_request, response) => response.end('ok')) {
  /** @type {Received[]} */
  const requests = []
  /** @type {Set<() => void>} */
  const watchers = new Set()
  const server = createHttpServer(async (message, response) => {
    const body = await buffer(message).catch(() => undefined)
    if (!body) return
    const { method = '', url: path = '', headers } = message
    const request = { method, path, headers, body, text: body.toString() }
    requests.push(request)
    for (const watch of watchers) watch()
    await answer(request, response)
  })
  const origin = `http://127.0.0.1:${await listen(t, server)}`
  t.after(() => server.closeAllConnections())
  return {
    origin,
    url: `${origin}/hook`,
    requests,
    /** Resolves when this many requests have been read. */
    received: (/** @type {number} */ count) =>
      new Promise((resolve) => {
        const watch = () => {
          if (requests.length < count) return
          watchers.delete(watch)
          resolve(requests)
        }
        watchers.add(watch)
        watch()
      }),
  }
}

/**
 * A server that accepts connections, reads, and never answers. It keeps the sockets, so that a test
 * can await what a client does to them.
 *
 * @param {Test} t
 */
export async function blackHole(t) {
  /** @type {import('node:net').Socket[]} */
  const sockets = []
  const server = createTcpServer((socket) => {
    socket.on('error', () => {})
    sockets.push(socket)
    socket.once('data', () => server.emit('request', socket))
    socket.resume()
  })
  const origin = `http://127.0.0.1:${await listen(t, server)}`
  t.after(() => sockets.forEach((socket) => socket.destroy()))
  return {
    origin,
    url: `${origin}/hole`,
    sockets,
    /** Resolves when this many requests have begun to arrive from now on. */
    requests: async (/** @type {number} */ count) => {
      for (let seen = 0; seen < count; seen++) await once(server, 'request')
    },
  }
}

/**
 * A server that answers only when the test says so.
 *
 * @param {Test} t
 */
export async function gate(t) {
  const opened = Promise.withResolvers?.() ?? deferred()
  const server = await receiver(t, async (_request, response) => {
    await opened.promise
    response.end('ok')
  })
  t.after(() => opened.resolve(undefined))
  return { ...server, open: () => opened.resolve(undefined) }
}

/** `Promise.withResolvers` of Node 22. */
export function deferred() {
  /** @type {any} */
  const result = {}
  result.promise = new Promise((resolve, reject) => Object.assign(result, { resolve, reject }))
  return result
}

/**
 * @param {Test} t
 * @param {import('node:net').Server} server
 */
async function listen(t, server) {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => server.close())
  return /** @type {import('node:net').AddressInfo} */ (server.address()).port
}
