// Processes that are killed while they load, and what has to be there afterwards.

import assert from 'node:assert/strict'

import { dataDirectory } from './data-dir.mjs'
import { callsOf, killEach, seededRandom } from './kill.mjs'

/** How an engine is opened that knows what became of every call. */
export const LONG_LOG = { maxExecutionsPerWorkflow: 1_000_000 }

/**
 * Runs and kills processes over one data directory; answers what they promised.
 *
 * @param {import('node:test').TestContext} t
 * @param {{ kills: number, milliseconds: number, sql?: object }} how `milliseconds` that one lives on
 */
export async function killWhileLoading(t, { kills, milliseconds, sql }) {
  const dataDir = dataDirectory(t)
  const settings = () => ({ dataDir, sql })
  const life = { promises: 30, milliseconds }
  const killing = { script: 'sql-killed.mjs', settings, kills, ...life }
  return { dataDir, promised: await killEach(seededRandom(t), killing) }
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
  for (const call of callsOf(promised)) assert.ok(known.has(call), `${call} was lost`)
}
