// HTTP/2 servers that write frames as a test says, right or wrong.

import { createServer } from 'node:tls'

import { listen } from './listen.mjs'

export const [DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY] = [
  0, 1, 2, 3, 4, 5, 6, 7,
]
export const [WINDOW_UPDATE, CONTINUATION] = [8, 9]
export const [END_STREAM, ACK, END_HEADERS] = [1, 1, 4]

export const PREFACE = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'
const PREFACE_BYTES = PREFACE.length
const HEAD_BYTES = 9

/**
 * @typedef {object} Line
 * @property {import('node:tls').TLSSocket} socket
 * @property {(type: number, flags: number, stream: number, payload?: Uint8Array) => void} write
 * @property {(stream: number, ...fields: [string, string][]) => void} respond a 200 with `ok`
 */

/**
 * Calls `onRequest` for every request that has come to its end. `requests` counts them, `pings` the
 * PINGs, which are answered unless `isMute`.
 *
 * @param {{ after(fn: () => unknown): void }} t
 * @param {{ cert: string, key: string }} certificate
 * @param {(line: Line, stream: number, number: number) => unknown} onRequest
 * @param {(line: Line) => unknown} [onConnection]
 */
export async function framesServer(t, certificate, onRequest, onConnection) {
  const state = { requests: 0, pings: 0, isMute: false, connections: 0 }
  const server = createServer({ ...certificate, ALPNProtocols: ['h2'] }, (socket) => {
    state.connections++
    const line = lineOf(socket)
    let unread = Buffer.alloc(0)
    let skip = PREFACE_BYTES
    socket.on('error', () => {})
    line.write(SETTINGS, 0, 0)
    onConnection?.(line)
    socket.on('data', (chunk) => {
      unread = Buffer.concat([unread, chunk])
      if (unread.length < skip) return
      unread = unread.subarray(skip)
      skip = 0
      while (unread.length >= HEAD_BYTES) {
        const end = HEAD_BYTES + unread.readUIntBE(0, 3)
        if (unread.length < end) return
        const [type, flags, stream] = [unread[3], unread[4], unread.readUInt32BE(5)]
        const payload = unread.subarray(HEAD_BYTES, end)
        unread = unread.subarray(end)
        if (type === SETTINGS && !(flags & ACK)) line.write(SETTINGS, ACK, 0)
        if (type === PING && !(flags & ACK)) {
          state.pings++
          if (!state.isMute) line.write(PING, ACK, 0, payload)
        }
        const isEnd = (type === DATA || type === HEADERS) && flags & END_STREAM
        if (isEnd) onRequest(line, stream, ++state.requests)
      }
    })
  })
  server.on('tlsClientError', () => {})
  const seen = await listen(t, server)
  return { state, seen, url: `https://${seen.host}/hook` }
}

/**
 * @param {import('node:tls').TLSSocket} socket
 * @returns {Line}
 */
function lineOf(socket) {
  const write = (
    /** @type {number} */ type,
    /** @type {number} */ flags,
    /** @type {number} */ stream,
    payload = new Uint8Array(),
  ) => {
    socket.write(frame(type, flags, stream, payload))
  }
  return {
    socket,
    write,
    respond(stream, ...fields) {
      write(HEADERS, END_HEADERS, stream, block([':status', '200'], ...fields))
      write(DATA, END_STREAM, stream, Buffer.from('ok'))
    },
  }
}

/**
 * A frame (RFC 9113, 4.1).
 *
 * @param {number} type
 * @param {number} flags
 * @param {number} stream
 * @param {Uint8Array} [payload]
 */
export function frame(type, flags, stream, payload = new Uint8Array()) {
  const head = Buffer.alloc(HEAD_BYTES)
  head.writeUIntBE(payload.length, 0, 3)
  head.writeUInt8(type, 3)
  head.writeUInt8(flags, 4)
  head.writeUInt32BE(stream, 5)
  return Buffer.concat([head, payload])
}

/**
 * A header block without tables and Huffman codes (RFC 7541, 6.2.2).
 *
 * @param {...[string, string]} fields
 */
export function block(...fields) {
  const text = (/** @type {string} */ value) => {
    const bytes = Buffer.from(value, 'latin1')
    return Buffer.concat([integer(bytes.length), bytes])
  }
  return Buffer.concat(
    fields.flatMap(([name, value]) => [Buffer.from([0]), text(name), text(value)]),
  )
}

/** An integer with a prefix of 7 bits (RFC 7541, 5.1). @param {number} value */
function integer(value) {
  if (value < 127) return Buffer.from([value])
  const bytes = [127]
  for (let rest = value - 127; ; rest = Math.floor(rest / 128)) {
    if (rest < 128) return Buffer.from([...bytes, rest])
    bytes.push((rest % 128) + 128)
  }
}
