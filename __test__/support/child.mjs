// Node processes of their own, for what happens at the end of one.

import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'

import { PATIENCE_MS } from './patience.mjs'

const root = new URL('../../', import.meta.url)

/**
 * Runs an ES module that has `Engine`, `engine` (open, and allowed to reach 127.0.0.1), `url` and
 * `require`; `url` is the first argument.
 *
 * @param {string} url
 * @param {string} body
 * @param {string[]} [flags] for node
 */
export function runChild(url, body, flags = []) {
  const options = { http: { timeoutMs: 60_000, perHostConcurrency: 4 } }
  return runNode([...flags, '--input-type=module', '--eval', codeOf(url, body, options)])
}

/**
 * @param {string} url
 * @param {string} body
 * @param {object} options of the engine
 */
function codeOf(url, body, options) {
  const all = { egress: { allow: ['127.0.0.0/8'] }, ...options }
  return `
    import { createRequire } from 'node:module'
    const require = createRequire(${JSON.stringify(new URL('package.json', root).href)})
    const { Engine } = await import(${JSON.stringify(new URL('js/index.mjs', root).href)})
    const url = ${JSON.stringify(url)}
    const engine = await Engine.open(${JSON.stringify(all)})
    ${body}`
}

/**
 * Starts such a module, to be watched and killed.
 *
 * @param {string} url
 * @param {string} body
 * @param {object} options of the engine
 * @param {{ limit?: string }} [shell] a command for the shell that starts it
 */
export function startChild(url, body, options, { limit } = {}) {
  const args = ['--input-type=module', '--eval', codeOf(url, body, options)]
  const settings = /** @type {const} */ ({
    cwd: fileURLToPath(root),
    stdio: ['ignore', 'pipe', 'inherit'],
    timeout: PATIENCE_MS,
    killSignal: 'SIGKILL',
  })
  const child = limit
    ? spawn('sh', ['-c', `${limit}; exec "$0" "$@"`, process.execPath, ...args], settings)
    : spawn(process.execPath, args, settings)
  /** @type {string[]} */
  const lines = []
  /** @type {Set<() => void>} */
  const watchers = new Set()
  const watch = () => {
    for (const look of watchers) look()
  }
  createInterface(child.stdout).on('line', (line) => {
    lines.push(line)
    watch()
  })
  const ended = new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code, signal) => {
      watch()
      resolve({ code, signal, stdout: lines.join('\n') })
    })
  })
  return {
    pid: child.pid,
    /** @type {Promise<{ code: number | null, signal: string | null, stdout: string }>} */
    ended: /** @type {any} */ (ended),
    /** Resolves when it has written this line. */
    line: (/** @type {string} */ wanted) =>
      new Promise((resolve, reject) => {
        const look = () => {
          if (lines.includes(wanted)) resolve(undefined)
          else if (child.exitCode !== null) reject(new Error(`it ended without: ${wanted}`))
          else return
          watchers.delete(look)
        }
        watchers.add(look)
        look()
      }),
    async kill() {
      child.kill('SIGKILL')
      await ended
    },
  }
}

/**
 * @param {string[]} args
 * @returns {Promise<{ code: number | null, signal: string | null, stdout: string, stderr: string }>}
 */
export async function runNode(args) {
  const child = spawn(process.execPath, args, {
    cwd: fileURLToPath(root),
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: PATIENCE_MS,
    killSignal: 'SIGKILL',
  })
  const ended = new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code, signal) => resolve({ code, signal }))
  })
  const [end, stdout, stderr] = await Promise.all([ended, text(child.stdout), text(child.stderr)])
  return { .../** @type {any} */ (end), stdout, stderr }
}
