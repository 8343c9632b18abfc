// Proxies that do what they are asked, and keep what they were asked for.

import { createServer as createHttpServer, request as httpRequest } from 'node:http'
import { connect, createServer as createTcpServer } from 'node:net'

import { listen } from './listen.mjs'

/**
 * An HTTP proxy for absolute-form requests and CONNECT. `refusal` is a status it answers all with.
 *
 * @param {{ after(fn: () => unknown): void }} t
 * @param {{ refusal?: number, answer?: string }} [options] `answer`: a body it answers itself
 */
export async function httpProxy(t, { refusal, answer } = {}) {
  /** @type {{ method?: string, target?: string, headers: import('node:http').IncomingHttpHeaders }[]} */
  const asked = []
  const server = createHttpServer((request, response) => {
    asked.push({ method: request.method, target: request.url, headers: request.headers })
    if (refusal) return response.writeHead(refusal).end('refused')
    if (answer !== undefined) return response.end(answer)
    const headers = { ...request.headers }
    delete headers['proxy-authorization']
    const onward = httpRequest(String(request.url), { method: request.method, headers })
    onward.on('response', (back) => {
      response.writeHead(back.statusCode ?? 502, back.headers)
      back.pipe(response)
    })
    onward.on('error', () => response.writeHead(502).end('unreachable'))
    request.pipe(onward)
  })
  server.on('connect', (request, socket) => {
    asked.push({ method: request.method, target: request.url, headers: request.headers })
    if (refusal)
      return socket.end(`HTTP/1.1 ${refusal} Refused\r\nContent-Length: 7\r\n\r\nrefused`)
    tunnel(String(request.url), socket, () => socket.write('HTTP/1.1 200 Connected\r\n\r\n'))
  })
  const seen = await listen(t, server)
  return { asked, seen, host: seen.host }
}

/** @param {string} authority @param {import('node:stream').Duplex} socket @param {() => void} opened */
function tunnel(authority, socket, opened) {
  const { hostname, port } = new URL(`http://${authority}`)
  const onward = connect(Number(port), hostname, () => {
    opened()
    onward.pipe(socket)
    socket.pipe(onward)
  })
  onward.on('error', () => socket.destroy())
  socket.on('error', () => onward.destroy())
  socket.on('close', () => onward.destroy())
}

/**
 * A SOCKS5 proxy (RFC 1928), with user name and password (RFC 1929) when `users` are given.
 *
 * @param {{ after(fn: () => unknown): void }} t
 * @param {{ users?: Record<string, string>, reply?: number }} [options] `reply`: a code it refuses with
 */
export async function socksProxy(t, { users, reply = 0 } = {}) {
  /** @type {{ type: 'IPv4' | 'name' | 'IPv6', address: string, port: number }[]} */
  const asked = []
  const logins = /** @type {string[]} */ ([])
  const seen = await listen(
    t,
    createTcpServer(async (socket) => {
      const read = reader(socket)
      const [, methods] = await read(2)
      await read(methods)
      socket.write(Buffer.from([5, users ? 2 : 0]))
      if (users && !(await login(read, socket, users, logins))) return
      const [, , , type] = await read(4)
      const target = await destination(read, type)
      asked.push(target)
      socket.write(Buffer.from([5, reply, 0, 1, 0, 0, 0, 0, 0, 0]))
      if (reply !== 0) return socket.end()
      const onward = connect(target.port, target.address)
      onward.on('error', () => socket.destroy())
      socket.on('close', () => onward.destroy())
      onward.pipe(socket)
      read.pipe(onward)
    }),
  )
  return { asked, logins, seen, host: seen.host }
}

/**
 * @param {(length: number) => Promise<Buffer>} read
 * @param {import('node:net').Socket} socket
 * @param {Record<string, string>} users
 * @param {string[]} logins
 */
async function login(read, socket, users, logins) {
  const [, nameLength] = await read(2)
  const name = (await read(nameLength)).toString()
  const [passwordLength] = await read(1)
  const password = (await read(passwordLength)).toString()
  logins.push(`${name}:${password}`)
  const known = users[name] === password
  socket.write(Buffer.from([1, known ? 0 : 1]))
  if (!known) socket.end()
  return known
}

/** @param {(length: number) => Promise<Buffer>} read @param {number} kind */
async function destination(read, kind) {
  const type = /** @type {const} */ ({ 1: 'IPv4', 3: 'name', 4: 'IPv6' })[kind] ?? 'IPv4'
  const length = type === 'name' ? (await read(1))[0] : type === 'IPv4' ? 4 : 16
  const bytes = await read(length)
  const address = type === 'IPv4' ? [...bytes].join('.') : bytes.toString()
  return { type, address, port: (await read(2)).readUInt16BE() }
}

/** Reads exact lengths of a socket, then leaves the rest to a pipe. @param {import('node:net').Socket} socket */
function reader(socket) {
  let buffered = Buffer.alloc(0)
  let wake = () => {}
  const collect = (/** @type {Buffer} */ chunk) => {
    buffered = Buffer.concat([buffered, chunk])
    wake()
  }
  socket.on('data', collect)
  const read = async (/** @type {number} */ length) => {
    while (buffered.length < length)
      await new Promise((resolve) => (wake = () => resolve(undefined)))
    const bytes = buffered.subarray(0, length)
    buffered = buffered.subarray(length)
    return bytes
  }
  read.pipe = (/** @type {import('node:net').Socket} */ onward) => {
    socket.off('data', collect)
    if (buffered.length > 0) onward.write(buffered)
    socket.pipe(onward)
  }
  return read
}
