// Engines with a server, and what clients of it need.

import { once } from 'node:events'
import { connect } from 'node:net'

import { LOCAL, openEngine } from './engine.mjs'
import { PATIENT } from './patience.mjs'

export const TOKEN = 'a-token-for-the-tests'

/**
 * An engine whose server listens on a free port, and a `get` that asks it.
 *
 * @param {{ after(fn: () => unknown): void }} t
 * @param {object} [server] options of the server
 * @param {object} [options] of the engine
 */
export async function serve(t, server = {}, options = {}) {
  const engine = await openEngine(t, {
    egress: LOCAL,
    ...options,
    server: { port: 0, ...server },
  })
  const { url, port } = /** @type {{ url: string, port: number }} */ (engine.address())
  return { engine, url, port, ...client(url) }
}

/** @param {string} url */
export function client(url) {
  /**
   * @param {string} path
   * @param {RequestInit} [init]
   */
  const ask = async (path, init) => {
    const response = await fetch(url + path, init)
    const text = await response.text()
    const json = response.headers.get('content-type')?.startsWith('application/json')
    return {
      status: response.status,
      headers: response.headers,
      text,
      body: json ? JSON.parse(text) : undefined,
    }
  }
  const post = (/** @type {string} */ path, /** @type {object | undefined} */ body = undefined) =>
    ask(path, {
      method: 'POST',
      ...(body && { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
    })
  return { ask, post }
}

/**
 * Records with `record` in a step of a workflow and waits until all of it is settled.
 *
 * @param {import('../../index.d.ts').Engine} engine
 * @param {string} workflowId
 * @param {(send: import('../../index.d.ts').Send) => void} record
 */
export async function run(engine, workflowId, record) {
  const execution = engine.execution({ workflowId })
  record(execution.step('step').$send)
  await execution.complete()
  return execution.settled(PATIENT)
}

/**
 * A stream read as bytes over a connection of its own: what is on the wire, without its chunks.
 *
 * @param {{ after(fn: () => unknown): void }} t
 * @param {number} port
 * @param {string} path
 * @param {Record<string, string>} [headers]
 */
export async function rawStream(t, port, path, headers = {}) {
  const socket = connect(port, '127.0.0.1')
  t.after(() => socket.destroy())
  await once(socket, 'connect')
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`)
  socket.write(`GET ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\n${lines.join('')}\r\n`)
  let text = ''
  /** @type {Set<() => void>} */
  const watchers = new Set()
  const look = () => watchers.forEach((watch) => watch())
  socket.setEncoding('utf8').on('data', (data) => {
    text += data
    look()
  })
  socket.on('error', () => {})
  socket.on('close', look)
  return {
    socket,
    text: () => text,
    /**
     * Resolves with everything there was when `wanted` is in it.
     *
     * @param {string} wanted
     * @returns {Promise<string>}
     */
    until: (wanted) =>
      new Promise((resolve, reject) => {
        const watch = () => {
          if (text.includes(wanted)) resolve(text)
          else if (socket.destroyed)
            reject(new Error(`the stream ended without ${wanted}: ${text}`))
          else return
          watchers.delete(watch)
        }
        watchers.add(watch)
        watch()
      }),
    /** Resolves when the server has closed the connection. */
    closed: socket.closed ? Promise.resolve() : once(socket, 'close'),
  }
}
