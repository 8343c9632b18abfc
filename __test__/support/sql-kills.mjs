// Processes that are killed while they load, and what has to be there afterwards.

import assert from 'node:assert/strict'

import { dataDirectory } from './data-dir.mjs'
import { runAndKill } from './kill.mjs'
import { randomOf } from './random.mjs'

/** How an engine is opened that knows what became of every call. */
export const LONG_LOG = { maxExecutionsPerWorkflow: 1_000_000 }

/**
 * Runs and kills processes over one data directory; answers what they promised.
 *
 * @param {import('node:test').TestContext} t
 * @param {{ kills: number, milliseconds: number, sql?: object }} how `milliseconds` that one lives on
 */
export async function killWhileLoading(t, { kills, milliseconds, sql }) {
  const seed = Number(process.env.KILL_SEED ?? Math.floor(Math.random() * 2 ** 32))
  t.diagnostic(`KILL_SEED=${seed}`)
  const random = randomOf(seed)
  const dataDir = dataDirectory(t)
  /** @type {Map<string, number>} */
  const promised = new Map()
  for (let round = 0; round < kills; round++) {
    const settings = { dataDir, round, sql }
    const life = { promises: 30, milliseconds }
    for (const [id, calls] of await runAndKill('sql-killed.mjs', settings, random, life))
      promised.set(id, calls)
  }
  assert.ok(promised.size > kills, `${promised.size} executions were promised`)
  return { dataDir, promised }
}

/**
 * Every promised row is there, and none twice.
 *
 * @param {Map<string, number>} promised
 * @param {Array<{ id: string, call: number, times: number | string }>} found
 */
export function assertOnce(promised, found) {
  assert.deepEqual(
    found.filter(({ times }) => Number(times) !== 1),
    [],
  )
  const known = new Set(found.map(({ id, call }) => `${id}/${call}`))
  for (const [id, calls] of promised) {
    for (let call = 0; call < calls; call++) {
      assert.ok(known.has(`${id}/${call}`), `${id}/${call} was lost`)
    }
  }
}
