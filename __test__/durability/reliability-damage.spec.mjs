// Damaged files: a directory opens with what it says, or is refused with a code.

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { damageFiles } from '../reliability/damage.mjs'

const DAMAGES = 150

test(`${DAMAGES} damaged files are refused with a code or read as they were`, async (t) => {
  const seed = Number(process.env.DAMAGE_SEED ?? Math.floor(Math.random() * 2 ** 31))
  t.diagnostic(`DAMAGE_SEED=${seed}`)
  const { violations, refused } = await damageFiles({ count: DAMAGES, seed })
  assert.deepEqual(violations, [])
  t.diagnostic(`${refused} of ${DAMAGES} were refused or reported`)
})
