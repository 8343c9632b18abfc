// Processes that say what they promised, and are killed at random moments.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

/** Promises after which a process is killed at the latest. */
const MOST_PROMISES = 40
/** Milliseconds that it lives on after that, at most. */
const MOST_MILLISECONDS = 12

/**
 * Runs one process until its random end; answers the calls of each hand-over that was promised.
 *
 * @param {string} script in this folder
 * @param {object} settings of it
 * @param {() => number} random
 * @param {{ promises?: number, milliseconds?: number }} [life] its limits
 * @returns {Promise<Array<[string, number]>>}
 */
export async function runAndKill(
  script,
  settings,
  random,
  { promises = MOST_PROMISES, milliseconds = MOST_MILLISECONDS } = {},
) {
  const path = fileURLToPath(new URL(script, import.meta.url))
  const seed = Math.floor(random() * 2 ** 32)
  const child = spawn(process.execPath, [path, JSON.stringify({ ...settings, seed })], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const closed = once(child, 'close')
  const least = Math.floor(random() * promises)
  const longer = random() * milliseconds
  /** @type {Array<[string, number]>} */
  const promised = []
  let opened = false
  for await (const line of createInterface(child.stdout)) {
    const [word, executionId, calls] = line.split(' ')
    opened ||= word === 'open'
    if (word === 'kept') promised.push([executionId, Number(calls)])
    if (promised.length === least) setTimeout(() => child.kill('SIGKILL'), longer)
  }
  const [code, signal] = await closed
  assert.ok(opened, 'the process did not come to open its engine')
  assert.equal(signal, 'SIGKILL', `the process ended by itself with ${code}`)
  return promised
}
