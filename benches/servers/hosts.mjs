// A thousand HTTPS hosts in one process, each of which closes its connection after one response. It
// tells how many handshakes there were, and how many of them resumed a session. Run as a child with an
// IPC channel, so that its work is not the candidate's.

import { readFileSync } from 'node:fs'
import { createServer } from 'node:https'

const counts = { handshakes: 0, resumed: 0 }

function listening({ key, cert }) {
  const server = createServer(
    { key: readFileSync(key), cert: readFileSync(cert) },
    (request, response) => {
      request.resume()
      response.writeHead(200, { connection: 'close' }).end('ok')
    },
  )
  server.on('secureConnection', (socket) => {
    counts.handshakes++
    if (socket.isSessionReused()) counts.resumed++
  })
  // Every address of 127.0.0.0/8 leads here.
  return new Promise((resolve) => server.listen(0, '0.0.0.0', () => resolve(server.address().port)))
}

process.on('message', () => process.send(counts))
// One server for each certificate.
process.send(await Promise.all(JSON.parse(process.argv[2]).map(listening)))
