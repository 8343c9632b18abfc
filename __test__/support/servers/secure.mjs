// HTTPS servers, for HTTP/1.1 and HTTP/2.

import { createSecureServer } from 'node:http2'
import { createServer } from 'node:https'
import { buffer } from 'node:stream/consumers'

import { listen } from './listen.mjs'

/**
 * Speaks HTTP/2 with who asks for it, otherwise HTTP/1.1; with `http1` only the latter.
 *
 * @param {{ after(fn: () => unknown): void }} t
 * @param {import('node:tls').TlsOptions} options key, certificate, and what else TLS has
 * @param {(request: any, response: any) => unknown} [answer]
 * @param {{ http1?: boolean }} [versions]
 */
export async function secureServer(t, options, answer = ok, { http1 = false } = {}) {
  /** @type {{ version: string, path: string, headers: any, body: Buffer }[]} */
  const requests = []
  const receive = async (/** @type {any} */ request, /** @type {any} */ response) => {
    const body = await buffer(request)
    const { httpVersion: version, url: path, headers } = request
    requests.push({ version, path, headers, body })
    await answer(request, response)
  }
  const server = http1
    ? createServer(options, receive)
    : createSecureServer({ ...options, allowHTTP1: true }, receive)
  server.on('tlsClientError', () => {})
  server.on('sessionError', () => {})
  const seen = await listen(t, server)
  return { requests, seen, host: seen.host, url: `https://${seen.host}/hook` }
}

/** @param {any} _ @param {any} response */
function ok(_, response) {
  response.end('ok')
}
