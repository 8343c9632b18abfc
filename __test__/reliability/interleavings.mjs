// Runs the checks of interleavings/, where the product's files meet the locks and atomics of Shuttle: it
// decides by a seed in which order the threads take their steps.

import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'

const ROOT = fileURLToPath(new URL('../../', import.meta.url))

/**
 * Runs every check in `count` orders.
 *
 * @param {{ count: number, seed: number }} settings
 * @returns {Promise<string[]>} the violations
 */
export async function interleave({ count, seed }) {
  const where = ['--manifest-path', 'interleavings/Cargo.toml', '--locked', '--quiet']
  const run = ['run', ...where, '--', String(count), String(seed)]
  const options = { cwd: ROOT, encoding: /** @type {const} */ ('utf8'), maxBuffer: 2 ** 28 }
  const { status, stdout, stderr } = spawnSync('cargo', run, options)
  process.stdout.write(stdout)
  const violations = stdout.split('\n').filter((line) => line.startsWith('violation of '))
  if (status !== 0 && violations.length === 0) violations.push(stderr.slice(-2000))
  return violations
}
