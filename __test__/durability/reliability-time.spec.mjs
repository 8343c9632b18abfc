// Time that does not run evenly: a clock that is set, a process that is stopped, a loop that is blocked.

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { disturbTime } from '../reliability/time.mjs'
import { withoutClock } from '../support/clock.mjs'

const ROUNDS = 4

test(
  `${ROUNDS} processes whose time is disturbed deliver as agreed`,
  { skip: withoutClock() },
  async (t) => {
    const seed = Number(process.env.TIME_SEED ?? Math.floor(Math.random() * 2 ** 31))
    t.diagnostic(`TIME_SEED=${seed}`)
    assert.deepEqual(await disturbTime({ count: ROUNDS, seed }), [])
  },
)
