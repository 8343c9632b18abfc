// Servers that send without an end, as fast as it is read.

import { createServer } from 'node:net'

import { listen } from './listen.mjs'

const MB = 2 ** 20

/**
 * Writes the same bytes again and again until the client goes away.
 *
 * @param {import('node:net').Socket} socket
 * @param {Buffer} bytes
 */
function pour(socket, bytes) {
  const next = () => socket.write(bytes, () => setImmediate(() => socket.destroyed || next()))
  next()
}

/**
 * A server that answers what arrives by `answer`, which returns what to send, or a function that
 * returns what to send without an end.
 *
 * @param {{ after(fn: () => unknown): void }} t
 * @param {(said: Buffer, turn: number) => Buffer | string | undefined | (() => Buffer | string)} answer
 * @param {Buffer | string | (() => Buffer)} [greeting]
 */
export async function pouring(t, answer, greeting = '') {
  const server = createServer((socket) => {
    socket.on('error', () => {})
    let turn = 0
    let isPouring = false
    const send = (/** @type {any} */ bytes) => {
      if (bytes === undefined || isPouring) return
      isPouring = typeof bytes === 'function'
      if (isPouring) pour(socket, Buffer.from(bytes()))
      else socket.write(bytes)
    }
    send(greeting || undefined)
    socket.on('data', (said) => send(answer(said, turn++)))
  })
  const { host } = await listen(t, server)
  return host
}

/** So much that there is never a line break. */
const LINE = Buffer.alloc(MB, 'x')

/** Bytes without an end, for a line of any protocol. */
export const endless = () => LINE

/**
 * A message of PostgreSQL.
 *
 * @param {string} kind
 * @param {Buffer} [body]
 * @param {number} [length] what it says that it has
 */
export function message(kind, body = Buffer.alloc(0), length = body.length) {
  const head = Buffer.alloc(5)
  head.write(kind, 'latin1')
  head.writeUInt32BE(length + 4, 1)
  return Buffer.concat([head, body])
}

/** Many lines or messages at once. */
export const many = (/** @type {Buffer | string} */ one) => {
  const bytes = Buffer.from(one)
  return () => Buffer.concat(Array(Math.ceil((2 * MB) / bytes.length)).fill(bytes))
}
