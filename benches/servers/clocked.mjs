// Fifty hosts in one process that note how old each call is when it arrives, and one that accepts
// connections and never answers. Run as a child with an IPC channel, so that its work is not the
// candidate's.

import { createServer as createHttpServer } from 'node:http'
import { createServer as createTcpServer } from 'node:net'

/** Of the calls of the measured stage, in milliseconds. */
let ages = []
let swallowed = 0

// Linux has all of 127.0.0.0/8 on the loopback interface: every host is an address of its own.
const fastHosts = Array.from({ length: 50 }, (_, index) => `127.0.1.${index + 1}`)
const BLACK_HOLE = '127.0.2.1'

function answer(request, response) {
  if (request.headers['x-stage'] === 'measured') {
    // Both processes read the same monotonic clock.
    ages.push(Number(process.hrtime.bigint() - BigInt(request.headers['x-recorded-at'])) / 1e6)
  }
  request.resume()
  response.end('ok')
}

function listening(server, host) {
  return new Promise((resolve, reject) => {
    server
      .once('error', reject)
      .listen(0, host, () => resolve(`http://${host}:${server.address().port}/hook`))
  })
}

function swallow(socket) {
  swallowed += 1
  socket.on('error', () => {}).resume()
}

const urls = await Promise.all(
  fastHosts.map((host) => listening(createHttpServer({ keepAliveTimeout: 120_000 }, answer), host)),
)
const blackHole = await listening(createTcpServer(swallow), BLACK_HOLE)

process.on('message', () => {
  process.send({ ages, swallowed })
  ages = []
  swallowed = 0
})
process.send({ urls, blackHole })
