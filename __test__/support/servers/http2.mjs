// HTTP/2 servers whose streams a test answers, and a relay that can go deaf.

import { createSecureServer } from 'node:http2'
import { connect, createServer } from 'node:net'

import { listen } from './listen.mjs'

/**
 * Calls `onStream` for every stream. `sessions` counts the connections that chose HTTP/2.
 *
 * @param {{ after(fn: () => unknown): void }} t
 * @param {import('node:http2').SecureServerOptions} options
 * @param {(stream: import('node:http2').ServerHttp2Stream, number: number, headers: import('node:http2').IncomingHttpHeaders) => unknown} onStream
 */
export async function http2Server(t, options, onStream) {
  const server = createSecureServer(options)
  const state = { sessions: 0, streams: 0 }
  server.on('session', (session) => {
    state.sessions++
    session.on('error', () => {})
  })
  server.on('sessionError', () => {})
  server.on('tlsClientError', () => {})
  server.on('stream', (stream, headers) => {
    stream.on('error', () => {})
    stream.resume()
    onStream(stream, ++state.streams, headers)
  })
  const seen = await listen(t, server)
  return { server, state, seen, port: seen.port, url: `https://${seen.host}/hook` }
}

/**
 * Answers a stream with a 200, if it is still open.
 *
 * @param {import('node:http2').ServerHttp2Stream} stream
 * @param {import('node:http2').OutgoingHttpHeaders} [headers]
 */
export function respond(stream, headers = {}) {
  if (stream.destroyed) return
  stream.respond({ ':status': 200, ...headers })
  stream.end('ok')
}

/**
 * Passes connections on to `port`. `goDeaf` swallows what comes over those that are open.
 *
 * @param {{ after(fn: () => unknown): void }} t
 * @param {number} port
 */
export async function relay(t, port) {
  /** @type {Set<{ isDeaf: boolean }>} */
  const links = new Set()
  const server = createServer((near) => {
    const link = { isDeaf: false }
    links.add(link)
    const far = connect(port, '127.0.0.1')
    for (const [from, to] of [
      [near, far],
      [far, near],
    ]) {
      from.on('error', () => {})
      from.on('data', (chunk) => link.isDeaf || to.write(chunk))
      from.on('close', () => to.destroy())
    }
  })
  const seen = await listen(t, server)
  const goDeaf = () => links.forEach((link) => (link.isDeaf = true))
  return { seen, goDeaf, url: `https://${seen.host}/hook` }
}
