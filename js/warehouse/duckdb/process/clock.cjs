// @ts-check
'use strict'

// The judgement whether the system's clock is right, for where rows are deleted by it.

const { uptime } = require('node:os')

const HOUR_MS = 3_600_000
/** For so long a clock has to run evenly until it is believed. */
const PROOF_MS = HOUR_MS
/** By so much a clock that runs evenly may differ from what is expected of it. */
const SLACK_MS = HOUR_MS / 6
/** The age of the newest row that makes a clock believable at once. */
const RECENT_MS = 24 * HOUR_MS

/**
 * Both clocks at the same time, in milliseconds: the system's, and one that cannot be set.
 *
 * @returns {{ system: number, uptime: number }}
 */
const look = () => ({ system: Date.now(), uptime: uptime() * 1000 })

/**
 * It is believed when it agrees with the newest row from before this process, or has run evenly for
 * an hour. When it was set meanwhile, it has to prove itself again.
 */
class Clock {
  #first
  #isBelieved

  /**
   * @param {number | undefined} newest when the newest row was loaded, if there is one
   * @param {{ system: number, uptime: number }} [first]
   */
  constructor(newest, first = look()) {
    const age = newest === undefined ? 0 : first.system - newest
    this.#first = first
    this.#isBelieved = age >= -SLACK_MS && age <= RECENT_MS
  }

  /** Looks at the clocks again, and returns the time if the system's clock is believed. */
  now(seen = look()) {
    const difference = seen.system - this.#first.system - (seen.uptime - this.#first.uptime)
    if (Math.abs(difference) > SLACK_MS) {
      this.#first = seen
      this.#isBelieved = false
    }
    this.#isBelieved ||= seen.uptime - this.#first.uptime >= PROOF_MS
    return this.#isBelieved ? seen.system : undefined
  }
}

module.exports = { Clock }
