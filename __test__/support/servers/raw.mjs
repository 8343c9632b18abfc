// TCP servers that are broken on purpose.

import { createServer } from 'node:net'

import { listen } from './listen.mjs'

/**
 * Calls `answer` with the socket when the head of a request has arrived; what follows the head is
 * read and thrown away. `requests` counts the heads.
 *
 * @param {{ after(fn: () => unknown): void }} t
 * @param {(socket: import('node:net').Socket, number: number, head: string) => unknown} answer
 */
export async function raw(t, answer) {
  const heads = /** @type {string[]} */ ([])
  const server = createServer((socket) => {
    let unread = ''
    socket.on('data', (chunk) => {
      unread += chunk.toString('latin1')
      const end = unread.indexOf('\r\n\r\n')
      if (end < 0) return
      const head = unread.slice(0, end)
      // A body of these tests holds no empty line that is followed by a request line.
      unread = ''
      if (!/^[A-Z]+ /.test(head)) return
      heads.push(head)
      answer(socket, heads.length, head)
    })
  })
  const seen = await listen(t, server)
  return { heads, seen, host: seen.host, url: `http://${seen.host}/hook` }
}

/**
 * Accepts connections and leaves them to `accept`, which may read or not.
 *
 * @param {{ after(fn: () => unknown): void }} t
 * @param {(socket: import('node:net').Socket) => unknown} accept
 */
export async function accepting(t, accept) {
  const seen = await listen(t, createServer({ pauseOnConnect: false }, accept))
  return { seen, host: seen.host, url: `http://${seen.host}/hook` }
}
