// Engines that share a journal in PostgreSQL.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

import { PATIENCE_MS } from './patience.mjs'
import { postgresServer } from './postgres.mjs'

/** The key that all nodes share. */
export const KEY = Buffer.alloc(32, 7).toString('base64')

/**
 * Starts a database for a fleet; answers its server and the option `journal` of its nodes.
 *
 * @param {{ after(fn: () => unknown): void }} t
 */
export async function fleetDatabase(t) {
  const server = await postgresServer(t)
  /** @param {object} [more] */
  const journal = (more = {}) => ({
    postgres: { url: server.url, schema: 'fleet' },
    key: KEY,
    leaseMs: 2000,
    ...more,
  })
  return { ...server, journal }
}

/**
 * Loops until a condition holds, for as long as tests wait for anything.
 *
 * @template T
 * @param {() => Promise<T> | T} look
 * @returns {Promise<NonNullable<T>>}
 */
export async function until(look) {
  const end = performance.now() + PATIENCE_MS
  for (;;) {
    const found = await look()
    if (found) return /** @type {NonNullable<T>} */ (found)
    if (performance.now() > end) throw new Error(`waited in vain: ${look}`)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

/**
 * Starts the process of a node.
 *
 * @param {{ after(fn: () => unknown): void }} t
 * @param {object} settings
 * @param {NodeJS.ProcessEnv} [env] variables that it has beside those of this process
 */
export async function startNode(t, settings, env = {}) {
  const path = fileURLToPath(new URL('fleet-node.mjs', import.meta.url))
  const child = spawn(process.execPath, [path, JSON.stringify(settings)], {
    stdio: ['pipe', 'pipe', 'inherit'],
    env: { ...process.env, ...env },
  })
  const closed = once(child, 'close')
  t.after(async () => {
    child.kill('SIGKILL')
    await closed
  })
  /** @type {string[][]} */
  const said = []
  createInterface(/** @type {any} */ (child.stdout)).on('line', (line) =>
    said.push(line.split(' ')),
  )
  /** The words of lines that begin with this one. @param {string} word */
  const words = (word) => said.filter(([first]) => first === word).map(([, ...rest]) => rest)
  const [[port]] = await until(() => words('open').length && words('open'))
  let calls = 0
  return {
    words,
    /** The URL of its server, if it has one. */
    url: `http://127.0.0.1:${port}`,
    /** Calls a method of its engine. @param {string} method @param {unknown[]} args */
    async call(method, ...args) {
      const call = String(calls++)
      child.stdin.write(`${JSON.stringify({ call, method, args })}\n`)
      const [, ...text] = await until(() => words('answer').find(([name]) => name === call))
      const { value, code, message } = JSON.parse(text.join(' '))
      if (code) throw Object.assign(new Error(message), { code })
      return value
    },
    /** @param {string} executionId @param {string[]} urls @param {number} [objects] */
    record: (executionId, urls, objects = 0) =>
      child.stdin.write(`${JSON.stringify({ executionId, urls, objects })}\n`),
    /**
     * Records calls `[method, ...arguments]` of `$send`. Answers their deliveries.
     *
     * @param {string} workflowId
     * @param {unknown[][]} sends
     * @param {string} [error] the execution is completed with it
     * @returns {Promise<any[]>}
     */
    async send(workflowId, sends, error) {
      const executionId = `${workflowId}-${calls++}-${child.pid}`
      child.stdin.write(`${JSON.stringify({ executionId, workflowId, sends, error })}\n`)
      const [, ...text] = await until(() => words('sent').find(([id]) => id === executionId))
      return JSON.parse(text.join(' '))
    },
    /** @param {NodeJS.Signals} signal */
    signal: (signal) => child.kill(signal),
    /** Lets it close its engine and end. */
    async end() {
      child.stdin.end()
      await closed
    },
  }
}

/**
 * A way to the database that can be cut, or lose what is sent. Answers the URL through it.
 *
 * @param {{ after(fn: () => unknown): void }} t
 * @param {{ url: string, port: number }} database
 */
export async function cuttable(t, { url, port }) {
  /** @type {Set<import('node:net').Socket>} */
  const sockets = new Set()
  /** @type {'open' | 'cut' | 'silent'} */
  let state = 'open'
  const keep = (/** @type {import('node:net').Socket} */ socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
    socket.on('close', () => sockets.delete(socket))
  }
  const server = createServer((socket) => {
    if (state === 'cut') return socket.destroy()
    keep(socket)
    if (state === 'silent') return
    const upstream = connect(port, '127.0.0.1')
    keep(upstream)
    // The end of one side is the end of the other.
    socket.on('close', () => state !== 'silent' && upstream.destroy())
    upstream.on('close', () => state !== 'silent' && socket.destroy())
    socket.pipe(upstream).pipe(socket)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port: own } = /** @type {import('node:net').AddressInfo} */ (server.address())
  t.after(() => {
    sockets.forEach((socket) => socket.destroy())
    server.close()
  })
  return {
    url: url.replace(`:${port}/`, `:${own}/`),
    cut() {
      state = 'cut'
      sockets.forEach((socket) => socket.destroy())
    },
    /** From now on its connections carry nothing, also when new ones do again. */
    silence() {
      state = 'silent'
      for (const socket of sockets) socket.unpipe()
    },
    mend() {
      state = 'open'
    },
  }
}
