// Processes that say what they promised, and are killed at random moments.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

import { randomOf } from './random.mjs'

/** Promises after which a process is killed at the latest. */
const MOST_PROMISES = 40
/** Milliseconds that it lives on after that, at most. */
const MOST_MILLISECONDS = 12

/**
 * @typedef {object} Killing
 * @property {string} script in this folder, which runs until it is killed
 * @property {(round: number) => object} settings of the process of each round
 * @property {number} kills
 * @property {number} [promises] after which a process is killed at the latest
 * @property {number} [milliseconds] that it lives on after that, at most
 */

/**
 * The random numbers of a test, which says how to have them again.
 *
 * @param {import('node:test').TestContext} t
 */
export function seededRandom(t) {
  const seed = Number(process.env.KILL_SEED ?? Math.floor(Math.random() * 2 ** 32))
  t.diagnostic(`KILL_SEED=${seed}`)
  return randomOf(seed)
}

/**
 * Runs processes one after the other, each until its random end; answers how many calls of each
 * execution were promised.
 *
 * @param {() => number} random
 * @param {Killing} killing
 * @returns {Promise<Map<string, number>>}
 */
export async function killEach(random, killing) {
  const promised = new Map()
  for (let round = 0; round < killing.kills; round++) {
    for (const [executionId, calls] of await runAndKill(random, round, killing))
      promised.set(executionId, calls)
  }
  assert.ok(promised.size > killing.kills, `${promised.size} executions were promised`)
  return promised
}

/**
 * The promised calls, each as `executionId/call`.
 *
 * @param {Map<string, number>} promised
 */
export const callsOf = (promised) =>
  [...promised].flatMap(([executionId, calls]) =>
    Array.from({ length: calls }, (_, call) => `${executionId}/${call}`),
  )

/**
 * @param {() => number} random
 * @param {number} round
 * @param {Killing} killing
 * @returns {Promise<Array<[string, number]>>}
 */
async function runAndKill(
  random,
  round,
  { script, settings, promises = MOST_PROMISES, milliseconds = MOST_MILLISECONDS },
) {
  const path = fileURLToPath(new URL(script, import.meta.url))
  const seed = Math.floor(random() * 2 ** 32)
  const told = JSON.stringify({ ...settings(round), round, seed })
  const child = spawn(process.execPath, [path, told], { stdio: ['ignore', 'pipe', 'inherit'] })
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
