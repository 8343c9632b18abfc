// A clock that shows what a test says, for processes that it starts (Debian's package `libfaketime`).

import { existsSync, writeFileSync } from 'node:fs'

import { faketimePath } from '../../scripts/faketime.mjs'

/** The reason for which there is no such clock, if there is none. */
export const withoutClock = () => {
  if (faketimePath()) return false
  const missing = 'libfaketime is missing: run `node scripts/faketime.mjs`'
  if (process.env.CI && process.getuid?.() === 0) throw new Error(missing)
  return missing
}

/**
 * Returns the variables of a process with such a clock, and a function that sets it: `set('-1d')`,
 * `set('+90s')`. The monotonic clock is never touched.
 *
 * @param {string} file where the offset is written
 */
export function settableClock(file) {
  const set = (/** @type {string} */ offset) => writeFileSync(file, offset)
  if (!existsSync(file)) set('+0d')
  const env = {
    LD_PRELOAD: faketimePath() ?? '',
    FAKETIME_TIMESTAMP_FILE: file,
    FAKETIME_NO_CACHE: '1',
    FAKETIME_DONT_FAKE_MONOTONIC: '1',
  }
  return { set, env }
}
