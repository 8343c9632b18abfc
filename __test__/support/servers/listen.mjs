// Listening on this machine until a test ends, and counting who connects.

/**
 * Listens on a free port of `host`. When the test `t` ends, the server and all its connections do.
 *
 * @param {{ after(fn: () => unknown): void }} t
 * @param {import('node:net').Server} server
 * @param {string} [host]
 */
export async function listen(t, server, host = '127.0.0.1') {
  /** @type {Set<import('node:net').Socket>} */
  const open = new Set()
  const seen = { port: 0, host: '', connections: 0, remoteAddresses: new Set(), open }
  server.on('connection', (socket) => {
    seen.connections++
    seen.remoteAddresses.add(socket.remoteAddress)
    open.add(socket)
    socket.on('close', () => open.delete(socket))
    socket.on('error', () => {})
  })
  await new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(0, host, () => resolve(undefined))
  })
  t.after(() => {
    server.close()
    for (const socket of open) socket.destroy()
  })
  seen.port = /** @type {import('node:net').AddressInfo} */ (server.address()).port
  seen.host = `${host}:${seen.port}`
  return seen
}

/** A port on which nothing listens: it was free a moment ago. */
export async function closedPort() {
  const { createServer } = await import('node:net')
  const server = createServer()
  await new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(undefined)))
  const { port } = /** @type {import('node:net').AddressInfo} */ (server.address())
  await new Promise((resolve) => server.close(resolve))
  return port
}
