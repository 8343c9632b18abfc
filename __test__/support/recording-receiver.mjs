// A real HTTP server on 127.0.0.1 that keeps what it receives.

import { createServer } from 'node:http'
import { text } from 'node:stream/consumers'

/**
 * Listens on a free port until the test `t` ends.
 *
 * @param {{ after(fn: () => unknown): void }} t
 * @param {(request: import('node:http').IncomingMessage, response: import('node:http').ServerResponse, body: string) => unknown} [answer]
 *   default: 200 with a JSON body
 */
export async function receive(t, answer = (_, response) => response.end('{"received":true}')) {
  /** @type {{ method?: string, path?: string, body: string }[]} */
  const requests = []
  const server = createServer(async (request, response) => {
    const body = await text(request)
    requests.push({ method: request.method, path: request.url, body })
    response.setHeader('content-type', 'application/json')
    await answer(request, response, body)
  })
  await new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(undefined)))
  t.after(() => {
    server.close()
    server.closeAllConnections()
  })
  const { port } = /** @type {import('node:net').AddressInfo} */ (server.address())
  return {
    url: `http://127.0.0.1:${port}/hook`,
    requests,
    /** The JSON bodies, sorted: deliveries of different steps may arrive in any order. */
    bodies: () =>
      requests
        .map(({ body }) => body)
        .sort()
        .map((body) => JSON.parse(body)),
  }
}
