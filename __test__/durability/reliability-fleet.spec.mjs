// Three nodes at work, whose processes, network and database fail: what was promised is delivered.

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { disturbFleet } from '../reliability/fleet.mjs'

const ROUNDS = 14

test(`${ROUNDS} faults of a fleet lose nothing that was promised`, async (t) => {
  const seed = Number(process.env.FLEET_SEED ?? Math.floor(Math.random() * 2 ** 31))
  t.diagnostic(`FLEET_SEED=${seed}`)
  const { violations, ...seen } = await disturbFleet({ count: ROUNDS, seed, loads: false })
  t.diagnostic(JSON.stringify(seen))
  assert.deepEqual(violations, [])
})
