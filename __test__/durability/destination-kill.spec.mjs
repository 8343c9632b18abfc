// A process whose destinations are JavaScript is killed at random moments, over one data directory:
// each call that was promised reaches its function, and what comes again comes under the same ids.

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { dataDirectory } from '../support/data-dir.mjs'
import { openEngine } from '../support/engine.mjs'
import { destinations, givenIn } from '../support/given.mjs'
import { callsOf, killEach, seededRandom } from '../support/kill.mjs'
import { PATIENT } from '../support/patience.mjs'

const KILLS = 60

test(`${KILLS} kills lose no call of a custom destination, and repeat it under the same ids`, async (t) => {
  const dataDir = dataDirectory(t)
  // One for each process: its last line may be cut off.
  const file = (/** @type {number} */ round) => `${dataDir}.given.${round}`
  const settings = (/** @type {number} */ round) => ({ dataDir, given: file(round) })
  const killing = { script: 'destination-killed.mjs', settings, kills: KILLS }
  const calls = callsOf(await killEach(seededRandom(t), killing))
  const promised = calls.flatMap((call) => [`single/${call}`, `batched/${call}`])
  const engine = await openEngine(t, { dataDir })
  destinations(engine, file(KILLS))
  await engine.flush(PATIENT)

  const given = Array.from({ length: KILLS + 1 }, (_, round) => givenIn(file(round))).flat()
  /** @type {Map<string, { id: string, batchId: string }>} */
  const seen = new Map()
  /** @type {Map<string, string[]>} */
  const batches = new Map()
  let repeated = 0
  for (const { destination, batchId, items } of given) {
    for (const { id, name } of items) {
      const before = seen.get(name)
      repeated += before ? 1 : 0
      assert.deepEqual(before ?? { id, batchId }, { id, batchId }, `${name} has other ids`)
      seen.set(name, { id, batchId })
      if (destination === 'single') assert.equal(batchId, id)
    }
    const names = items.map(({ name }) => name)
    const first = batches.get(batchId) ?? names
    // Those that had their end before are not in it again; none is new, and the order stays.
    const again = first.filter((name) => names.includes(name))
    assert.deepEqual(names, again, `${batchId} has other items`)
    batches.set(batchId, first)
  }
  t.diagnostic(`${promised.length} calls promised, ${seen.size} given, ${repeated} of them again`)
  assert.ok(repeated > 0)
  assert.ok(given.some(({ destination, items }) => destination === 'batched' && items.length > 1))
  assert.deepEqual(
    promised.filter((name) => !seen.has(name)),
    [],
  )
  for (const status of /** @type {const} */ (['pending', 'batched', 'failed']))
    assert.deepEqual(await engine.deliveries({ status }), [])
})
