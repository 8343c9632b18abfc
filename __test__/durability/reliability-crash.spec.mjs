// Losses of power, simulated: what was promised before one is there after it.

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { losePower } from '../reliability/crash.mjs'
import { HAS_DISK } from '../reliability/disk.mjs'

const LOSSES = 300

test(`${LOSSES} losses of power lose nothing that was promised`, { skip: !HAS_DISK }, async (t) => {
  const seed = Number(process.env.CRASH_SEED ?? Math.floor(Math.random() * 2 ** 31))
  t.diagnostic(`CRASH_SEED=${seed}`)
  const { losses, promises, violations } = await losePower({ count: LOSSES, seed })
  assert.deepEqual(violations, [])
  t.diagnostic(`${losses} losses of power, ${promises} promises`)
})
