// Disks that fail: what was promised in spite of it is there, and the rest is refused with a code.

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { HAS_DISK } from '../reliability/disk.mjs'
import { failDisks } from '../reliability/faults.mjs'

const FAULTS = 60

test(`${FAULTS} failing disks lose nothing that was promised`, { skip: !HAS_DISK }, async (t) => {
  const seed = Number(process.env.FAULT_SEED ?? Math.floor(Math.random() * 2 ** 31))
  t.diagnostic(`FAULT_SEED=${seed}`)
  assert.deepEqual(await failDisks({ count: FAULTS, seed }), [])
})
