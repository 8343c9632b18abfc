// The process of a node that works until it is killed or may end.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

/**
 * Starts it. Resolves when its engine is open.
 *
 * @param {{ after(fn: () => unknown): void }} t
 * @param {object} settings
 * @param {(words: string[]) => unknown} heard
 */
export async function startWorker(t, settings, heard) {
  const path = fileURLToPath(new URL('fleet-workload.mjs', import.meta.url))
  const child = spawn(process.execPath, ['--no-warnings', path, JSON.stringify(settings)], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  const closed = once(child, 'close')
  const kill = async () => {
    child.kill('SIGKILL')
    await closed
  }
  t.after(kill)
  const isOpen = new Promise((resolve, reject) => {
    closed.then(() => reject(new Error('a node ended before it was open')))
    createInterface(/** @type {any} */ (child.stdout)).on('line', (line) => {
      const words = line.split(' ')
      if (words[0] === 'open') resolve(undefined)
      heard(words)
    })
  })
  await isOpen
  // It may be killed while something is written to it.
  child.stdin.on('error', () => {})
  return {
    kill,
    /** @param {'go' | 'wait'} word */
    say(word) {
      if (child.stdin.writable) child.stdin.write(`${word}\n`)
    },
    /** @param {NodeJS.Signals} signal */
    signal: (signal) => child.kill(signal),
    async end() {
      child.stdin.end()
      await closed
    },
  }
}
