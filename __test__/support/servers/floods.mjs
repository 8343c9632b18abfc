// HTTP/2 peers that send frames which move nothing, without an end and as fast as they are read.

import {
  ACK,
  block,
  CONTINUATION,
  DATA,
  END_HEADERS,
  frame,
  GOAWAY,
  HEADERS,
  PING,
  PRIORITY,
  RST_STREAM,
  SETTINGS,
  WINDOW_UPDATE,
} from './frames.mjs'

/** Bytes that are written at once. */
const AT_ONCE = 256 << 10

const EARLY_HINTS = block([':status', '103'], ['link', '</a>'])
const PRIORITY_OF = Buffer.from([0, 0, 0, 0, 16])
const TABLE_SIZE = Buffer.concat([Buffer.from([0, 1]), uint32(4096)])
const UNKNOWN = 0x99

/**
 * Frames that either side may send, again and again; `stream` is one that is open.
 *
 * @type {Record<string, (stream: number) => Buffer>}
 */
export const FLOODS = {
  PING: () => frame(PING, 0, 0, Buffer.alloc(8)),
  'PING acknowledgements': () => frame(PING, ACK, 0, Buffer.alloc(8)),
  SETTINGS: () => frame(SETTINGS, 0, 0, TABLE_SIZE),
  'SETTINGS acknowledgements': () => frame(SETTINGS, ACK, 0),
  'WINDOW_UPDATE of the connection': () => frame(WINDOW_UPDATE, 0, 0, uint32(1)),
  'WINDOW_UPDATE of a stream': (stream) => frame(WINDOW_UPDATE, 0, stream, uint32(1)),
  'DATA without bytes': (stream) => frame(DATA, 0, stream),
  'DATA of one byte': (stream) => frame(DATA, 0, stream, Buffer.from('x')),
  RST_STREAM: (stream) => frame(RST_STREAM, 0, stream, uint32(8)),
  PRIORITY: (stream) => frame(PRIORITY, 0, stream + 2, PRIORITY_OF),
  GOAWAY: () => frame(GOAWAY, 0, 0, Buffer.concat([uint32(0x7fffffff), uint32(0)])),
  'frames of an unknown type': () => frame(UNKNOWN, 0, 0),
  CONTINUATION: (stream) => frame(CONTINUATION, 0, stream),
}

/**
 * Those that only a server sends.
 *
 * @type {Record<string, (stream: number) => Buffer>}
 */
export const FLOODS_OF_SERVERS = {
  ...FLOODS,
  'HEADERS of interim responses': (stream) => frame(HEADERS, END_HEADERS, stream, EARLY_HINTS),
  'DATA of any response': (stream) => frame(DATA, 0, stream, Buffer.alloc(16_384)),
}

/**
 * Frames that come before those of a flood, where it needs any.
 *
 * @type {Record<string, (stream: number) => Buffer>}
 */
export const BEFORE = {
  CONTINUATION: (stream) => frame(HEADERS, 0, stream, block([':status', '200'])),
}

/**
 * Writes the same bytes again and again, as fast as they are read, until the connection ends.
 *
 * @param {import('node:net').Socket} socket
 * @param {Buffer} bytes
 */
export function flood(socket, bytes) {
  const many = Buffer.concat(Array(Math.ceil(AT_ONCE / bytes.length)).fill(bytes))
  const next = () => {
    if (!socket.destroyed) socket.write(many, () => setImmediate(next))
  }
  next()
}

/** @param {number} value */
export function uint32(value) {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return bytes
}
