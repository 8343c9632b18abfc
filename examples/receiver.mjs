// A receiver for the examples: prints every request and responds 200. `node examples/receiver.mjs [port]`

import { realpathSync } from 'node:fs'
import { createServer } from 'node:http'
import { text } from 'node:stream/consumers'
import { pathToFileURL } from 'node:url'

/**
 * Listens on 127.0.0.1.
 *
 * @param {number} port 0 takes a free port
 * @returns {Promise<{ url: string, close(): Promise<void> }>}
 */
export async function startReceiver(port) {
  const server = createServer(async (request, response) => {
    const body = await text(request)
    console.log(`receiver: ${request.method} ${request.url}${body && ` ${body}`}`)
    response.setHeader('content-type', 'application/json')
    response.end(JSON.stringify({ received: true, bytes: Buffer.byteLength(body) }))
  })
  await new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, '127.0.0.1', () => resolve(undefined))
  })
  const address = /** @type {import('node:net').AddressInfo} */ (server.address())
  return {
    url: `http://127.0.0.1:${address.port}/hook`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

// The path in argv may lead through a link, such as in pnpm's node_modules.
const program = process.argv[1] && pathToFileURL(realpathSync(process.argv[1])).href
if (import.meta.url === program) {
  const { url } = await startReceiver(Number(process.argv[2] ?? 8788))
  console.log(`receiver: listening, send to ${url} (Ctrl-C ends it)`)
}
