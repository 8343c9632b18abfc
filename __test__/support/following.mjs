// `dollar-send log -f` as a process whose lines are read.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

const MAIN = fileURLToPath(new URL('../../js/cli/main.mjs', import.meta.url))

/**
 * A process that follows, from its first line on: `marker` is sent until it shows it.
 *
 * @param {import('node:test').TestContext} t
 * @param {string[]} args
 */
export function following(t, ...args) {
  const child = spawn(process.execPath, [MAIN, 'log', '-f', ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  t.after(() => child.kill('SIGKILL'))
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]()
  const errors = createInterface(child.stderr)[Symbol.asyncIterator]()
  return {
    child,
    errors,
    next: async () => (await lines.next()).value,
    async end() {
      child.kill('SIGINT')
      const [code] = await once(child, 'close')
      assert.equal(code, 0)
    },
  }
}

/**
 * Reads JSON lines up to that of a step, or the first that is the last.
 *
 * @param {{ next(): Promise<string> }} follower
 * @param {string | ((delivery: any) => boolean)} last
 */
export async function readTo(follower, last) {
  const isLast = typeof last === 'string' ? (/** @type {any} */ { step }) => step === last : last
  const deliveries = []
  for (;;) {
    const delivery = JSON.parse(await follower.next())
    if (isLast(delivery)) return deliveries
    deliveries.push(delivery)
  }
}
