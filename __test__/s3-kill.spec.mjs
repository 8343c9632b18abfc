// A process that stores batches is killed at random moments, again and again, over one data
// directory: every record that was promised is in exactly one object.

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { dataDirectory } from './support/data-dir.mjs'
import { openEngine } from './support/engine.mjs'
import { runAndKill } from './support/kill.mjs'
import { PATIENT } from './support/patience.mjs'
import { randomOf } from './support/random.mjs'
import { at, faulty, s3Server } from './support/s3.mjs'

const KILLS = 100

test(`${KILLS} kills: every promised record is in exactly one object`, async (t) => {
  const seed = Number(process.env.KILL_SEED ?? Math.floor(Math.random() * 2 ** 32))
  t.diagnostic(`KILL_SEED=${seed}`)
  const random = randomOf(seed)
  const server = await s3Server(t)
  // Some answers are lost, and some requests refused, as in any network.
  const front = await faulty(t, server.port, () => {
    const chance = random()
    if (chance < 0.05) return 'lose'
    return chance < 0.1 ? { status: 503, code: 'SlowDown' } : undefined
  })
  const dataDir = dataDirectory(t)
  const s3 = at(front.endpoint, { batch: { intervalMs: 10, maxCount: 50 } })
  /** @type {Map<string, number>} */
  const promised = new Map()
  for (let round = 0; round < KILLS; round++) {
    for (const [id, calls] of await runAndKill('s3-killed.mjs', { dataDir, s3, round }, random)) {
      promised.set(id, calls)
    }
  }
  const log = { maxExecutionsPerWorkflow: 1_000_000 }
  const engine = await openEngine(t, { dataDir, s3, log })
  await engine.flush(PATIENT)
  const objects = await server.objects()

  /** @type {Map<string, number>} */
  const found = new Map()
  for (const { lines, digest, key } of objects) {
    assert.ok(key.includes(digest), 'an object is what its name says')
    for (const line of lines) {
      const { id, call } = JSON.parse(line)
      found.set(`${id}/${call}`, (found.get(`${id}/${call}`) ?? 0) + 1)
    }
  }
  assert.deepEqual(
    [...found].filter(([, times]) => times !== 1),
    [],
  )
  for (const [id, calls] of promised) {
    for (let call = 0; call < calls; call++) {
      assert.ok(found.has(`${id}/${call}`), `${id}/${call} was lost`)
    }
  }
  assert.ok(promised.size > KILLS, `${promised.size} executions were promised`)
  t.diagnostic(`${promised.size} executions, ${found.size} records, ${objects.length} objects`)
})
