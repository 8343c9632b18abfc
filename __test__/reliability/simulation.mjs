// Runs seeds of the simulated engines in src/engine/tests/simulation, of which the Rust tests run some.

import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'

const ROOT = fileURLToPath(new URL('../../', import.meta.url))

/**
 * Runs `count` seeds from `seed` on.
 *
 * @param {{ count: number, seed: number }} settings
 * @returns {Promise<string[]>} the violations, each with its seed
 */
export async function simulate(settings) {
  return runSeeds('an_engine_keeps_its_promises', settings)
}

/**
 * The same, of engines with a journal file, whose processes die.
 *
 * @param {{ count: number, seed: number }} settings
 * @returns {Promise<string[]>} the violations, each with its seed
 */
export async function simulateDeaths(settings) {
  return runSeeds('a_process_that_dies_loses_nothing', settings)
}

/**
 * @param {string} name
 * @param {{ count: number, seed: number }} settings
 */
function runSeeds(name, { count, seed }) {
  const test = ['test', '--locked', '--lib', name, '--', '--nocapture']
  const env = { ...process.env, SIMULATE: `${seed}..${seed + count}` }
  const options = { cwd: ROOT, env, encoding: /** @type {const} */ ('utf8'), maxBuffer: 2 ** 30 }
  const { status, stdout, stderr } = spawnSync('cargo', test, options)
  const violations = stdout.split('\n').filter((line) => /^seed \d+: /.test(line))
  if (status !== 0 && violations.length === 0) violations.push(stderr.slice(-2000))
  return violations
}
