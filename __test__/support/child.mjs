// Node processes of their own, for what happens at the end of one.

import { spawn } from 'node:child_process'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'

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
  const code = `
    import { createRequire } from 'node:module'
    const require = createRequire(${JSON.stringify(new URL('package.json', root).href)})
    const { Engine } = await import(${JSON.stringify(new URL('js/index.mjs', root).href)})
    const url = ${JSON.stringify(url)}
    const engine = await Engine.open({
      egress: { allow: ['127.0.0.0/8'] },
      http: { timeoutMs: 60_000, perHostConcurrency: 4 },
    })
    ${body}`
  return runNode([...flags, '--input-type=module', '--eval', code])
}

/**
 * @param {string[]} args
 * @returns {Promise<{ code: number | null, signal: string | null, stdout: string, stderr: string }>}
 */
export async function runNode(args) {
  const child = spawn(process.execPath, args, {
    cwd: fileURLToPath(root),
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: 30_000,
    killSignal: 'SIGKILL',
  })
  const ended = new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code, signal) => resolve({ code, signal }))
  })
  const [end, stdout, stderr] = await Promise.all([ended, text(child.stdout), text(child.stderr)])
  return { .../** @type {any} */ (end), stdout, stderr }
}
