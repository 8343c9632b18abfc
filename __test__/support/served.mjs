// Servers in processes of their own, so that their CPU time and their files are not the test's, and
// connections to them that say little.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { connect } from 'node:net'
import { fileURLToPath } from 'node:url'

const PROCESS = fileURLToPath(new URL('./served-process.mjs', import.meta.url))

/** How many connections begin at a time: fewer than wait to be accepted. */
const AT_ONCE = 100

/**
 * @param {{ after(fn: () => unknown): void }} t
 * @param {{ limit?: string }} [shell] a command of the shell that starts it
 */
export async function servedProcess(t, { limit = ':' } = {}) {
  const args = ['-c', `${limit}; exec "$0" "$@"`, process.execPath, PROCESS]
  const child = spawn('sh', args, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
  t.after(() => child.kill('SIGKILL'))
  const [{ port }] = await once(child, 'message')
  /** Milliseconds of CPU time, of all of its threads, so far. */
  const cpuMs = async () => {
    child.send('cpu')
    const [{ user, system }] = await once(child, 'message')
    return (user + system) / 1000
  }
  return { port, cpuMs, url: `http://127.0.0.1:${port}` }
}

/** The head of a request. @param {string} path */
export const get = (path) => `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n`

/**
 * Opens connections, each of which says `words`, and waits for a response if that is a request.
 *
 * @param {{ after(fn: () => unknown): void }} t
 * @param {number} port
 * @param {number} count
 * @param {string} [words]
 */
export async function connections(t, port, count, words = '') {
  /** @type {import('node:net').Socket[]} */
  const sockets = []
  t.after(() => sockets.forEach((socket) => socket.destroy()))
  const open = async () => {
    const socket = connect(port, '127.0.0.1')
    sockets.push(socket)
    socket.on('error', () => {})
    await once(socket, 'connect')
    if (words) socket.write(words)
    if (words.endsWith('\r\n\r\n')) await once(socket, 'data')
    socket.resume()
  }
  for (let opened = 0; opened < count; opened += AT_ONCE)
    await Promise.all(Array.from({ length: Math.min(AT_ONCE, count - opened) }, open))
  return sockets
}
