// A process that stores batches is killed at random moments, again and again, over one data
// directory: every record that was promised is in exactly one object.

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { dataDirectory } from '../support/data-dir.mjs'
import { openEngine } from '../support/engine.mjs'
import { callsOf, killEach, seededRandom } from '../support/kill.mjs'
import { readParquet } from '../support/parquet.mjs'
import { PATIENT } from '../support/patience.mjs'
import { at, faulty, s3Server } from '../support/s3.mjs'

for (const { kills, format } of /** @type {const} */ ([
  { kills: 100, format: 'ndjson' },
  { kills: 20, format: 'parquet' },
]))
  test(`${kills} kills, ${format}: every promised record is in exactly one object`, async (t) => {
    const random = seededRandom(t)
    const server = await s3Server(t)
    // Some answers are lost, and some requests refused, as in any network.
    const front = await faulty(t, server.port, () => {
      const chance = random()
      if (chance < 0.05) return 'lose'
      return chance < 0.1 ? { status: 503, code: 'SlowDown' } : undefined
    })
    const dataDir = dataDirectory(t)
    const s3 = at(front.endpoint, { format, batch: { intervalMs: 10, maxCount: 50 } })
    const settings = () => ({ dataDir, s3 })
    const promised = await killEach(random, { script: 's3-killed.mjs', settings, kills })
    const log = { maxExecutionsPerWorkflow: 1_000_000 }
    const engine = await openEngine(t, { dataDir, s3, log })
    await engine.flush(PATIENT)
    const objects = await server.objects()

    /** @type {Map<string, number>} */
    const found = new Map()
    for (const object of objects) {
      for (const { id, call } of await recordsOf(object))
        found.set(`${id}/${call}`, (found.get(`${id}/${call}`) ?? 0) + 1)
    }
    assert.deepEqual(
      [...found].filter(([, times]) => times !== 1),
      [],
    )
    for (const call of callsOf(promised)) assert.ok(found.has(call), `${call} was lost`)
    t.diagnostic(`${promised.size} executions, ${found.size} records, ${objects.length} objects`)
  })

/** @param {{ key: string, bytes: Buffer, lines: string[], digest: string }} object */
async function recordsOf({ key, bytes, lines, digest }) {
  if (key.endsWith('.parquet')) return (await readParquet(bytes)).rows
  assert.ok(key.includes(digest), 'an object is what its name says')
  return lines.map((line) => JSON.parse(line))
}
