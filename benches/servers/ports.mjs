import { createServer } from 'node:net'

/** Ports of 127.0.0.1 that were free a moment ago, all different. */
export async function freePorts(count) {
  const servers = await Promise.all(Array.from({ length: count }, listening))
  const ports = servers.map((server) => server.address().port)
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))))
  return ports
}

function listening() {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject).listen(0, '127.0.0.1', () => resolve(server))
  })
}
