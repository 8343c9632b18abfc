// Faults of processes, network and database, while three nodes work: nothing that was promised is lost.

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { disturbFleet } from '../reliability/fleet.mjs'
import { FAULTS } from '../reliability/fleet-faults.mjs'

/** Each fault once. */
const ROUNDS = Object.keys(FAULTS).length

test(`${ROUNDS} faults of a fleet lose nothing, and repeat nothing unasked`, async (t) => {
  const seed = Number(process.env.FLEET_SEED ?? Math.floor(Math.random() * 2 ** 31))
  t.diagnostic(`FLEET_SEED=${seed}`)
  const { violations, ...seen } = await disturbFleet({ count: ROUNDS, seed })
  assert.deepEqual(violations, [])
  t.diagnostic(JSON.stringify(seen))
})
