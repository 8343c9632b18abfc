// A real HTTP server that keeps every request as it was on the wire.

import { createServer } from 'node:http'
import { createServer as createSecureServer } from 'node:https'
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
 * @param {{ cert: string, key: string }} [certificate] for HTTPS
 */
export async function echo(t, answer = (_, response) => response.end('ok'), host, certificate) {
  /** @type {Received[]} */
  const requests = []
  const receive = async (
    /** @type {import('node:http').IncomingMessage} */ request,
    /** @type {import('node:http').ServerResponse} */ response,
  ) => {
    const received = {
      ...headOf(request),
      body: await buffer(request).catch(() => Buffer.alloc(0)),
    }
    requests.push(received)
    await answer(received, response)
  }
  const options = { maxHeaderSize: 1 << 21 }
  const server = certificate
    ? createSecureServer({ ...options, ...certificate }, receive)
    : createServer(options, receive)
  server.maxHeadersCount = 0
  server.keepAliveTimeout = 60_000
  const seen = await listen(t, server, host)
  const scheme = certificate ? 'https' : 'http'
  return { server, requests, seen, host: seen.host, url: `${scheme}://${seen.host}/hook` }
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
