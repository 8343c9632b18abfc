// A real HTTP server that keeps every request as it was on the wire.

import { createServer } from 'node:http'
import { buffer } from 'node:stream/consumers'

import { listen } from './listen.mjs'

/**
 * @typedef {object} Received
 * @property {string} method
 * @property {string} target what stands in the request line
 * @property {import('node:http').IncomingHttpHeaders} headers
 * @property {[string, string][]} lines the header lines in their order, names in lower case
 * @property {Buffer} body
 */

/**
 * Listens until the test `t` ends.
 *
 * @param {{ after(fn: () => unknown): void }} t
 * @param {(request: Received, response: import('node:http').ServerResponse) => unknown} [answer]
 *   default: 200 with a short text
 * @param {string} [host]
 */
export async function echo(t, answer = (_, response) => response.end('ok'), host) {
  /** @type {Received[]} */
  const requests = []
  const server = createServer({ maxHeaderSize: 1 << 21 }, async (request, response) => {
    const received = {
      ...headOf(request),
      body: await buffer(request).catch(() => Buffer.alloc(0)),
    }
    requests.push(received)
    await answer(received, response)
  })
  server.maxHeadersCount = 0
  server.keepAliveTimeout = 60_000
  const seen = await listen(t, server, host)
  return { requests, seen, host: seen.host, url: `http://${seen.host}/hook` }
}

/** @param {import('node:http').IncomingMessage} request */
function headOf(request) {
  const names = request.rawHeaders.filter((_, index) => index % 2 === 0)
  return {
    method: request.method ?? '',
    target: request.url ?? '',
    headers: request.headers,
    lines: names.map((name, index) => [name.toLowerCase(), request.rawHeaders[index * 2 + 1]]),
  }
}
