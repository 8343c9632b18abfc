// Fifty hosts in one process that note how old each call is when it arrives, and one that accepts
// connections and never answers. Run as a child with an IPC channel, so that its work is not the
// candidate's. With a certificate, two files in JSON as the first argument, all of them speak TLS.

import { readFileSync } from 'node:fs'
import { createServer as createHttpServer } from 'node:http'
import { createServer as createHttpsServer } from 'node:https'
import { createServer as createTcpServer } from 'node:net'
import { createServer as createTlsServer } from 'node:tls'

/** Of the calls of the measured stage, in milliseconds. */
let ages = []
let swallowed = 0

// Linux has all of 127.0.0.0/8 on the loopback interface: every host is an address of its own.
const fastHosts = Array.from({ length: 50 }, (_, index) => `127.0.1.${index + 1}`)
const BLACK_HOLE = '127.0.2.1'

const certificate = process.argv[2] && readCertificate(JSON.parse(process.argv[2]))
const scheme = certificate ? 'https' : 'http'

function readCertificate({ key, cert }) {
  return { key: readFileSync(key), cert: readFileSync(cert) }
}

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
      .listen(0, host, () => resolve(`${scheme}://${host}:${server.address().port}/hook`))
  })
}

function swallow(socket) {
  swallowed += 1
  socket.on('error', () => {}).resume()
}

const urls = await Promise.all(
  fastHosts.map((host) => listening(createFastServer({ keepAliveTimeout: 120_000 }), host)),
)
const blackHole = await listening(createBlackHole(), BLACK_HOLE)

function createFastServer(options) {
  if (!certificate) return createHttpServer(options, answer)
  return createHttpsServer({ ...options, ...certificate }, answer)
}

function createBlackHole() {
  return certificate ? createTlsServer(certificate, swallow) : createTcpServer(swallow)
}

process.on('message', () => {
  process.send({ ages, swallowed })
  ages = []
  swallowed = 0
})
process.send({ urls, blackHole })
