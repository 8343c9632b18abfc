// Runs Rust tests under Miri, the interpreter of Rust that finds undefined behaviour, races for data and
// what weakly ordered memory may show. It cannot run C: these are the modules that need none.

import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'

const ROOT = fileURLToPath(new URL('../../', import.meta.url))

/** Those whose threads meet: each seed is another order of their steps. */
const MEETING = ['binding::held', 'jobs::', 'engine::pending', 'engine::lanes::places']
/** Those that read and write bytes; one order is all that they have. */
const PURE = [
  ...['frames::', 'id::', 'journal::codec', 'pattern::', 'percent::', 'recording::'],
  ...['redact::', 'suggest::', 'time::'],
]

/**
 * Runs the pure modules once, and those whose threads meet in `count` orders.
 *
 * @param {{ count: number, seed: number }} settings
 * @returns {Promise<string[]>} the violations
 */
export async function interpret({ count, seed }) {
  const first = seed % 2 ** 30
  const orders = `-Zmiri-many-seeds=${first}..${first + count}`
  return [...run(PURE, []), ...run(MEETING, [orders])]
}

/**
 * @param {string[]} modules
 * @param {string[]} flags
 */
function run(modules, flags) {
  const test = ['+nightly', 'miri', 'test', '--locked', '--lib', '--', ...modules]
  // Many inputs of many bytes: the fuzzer has them.
  test.push('--skip', 'no_bytes_make_it_panic')
  const env = {
    ...process.env,
    MIRIFLAGS: ['-Zmiri-disable-isolation', ...flags].join(' '),
    // The interpreter is a thousand times slower.
    PROPTEST_CASES: '4',
  }
  const options = { cwd: ROOT, env, encoding: /** @type {const} */ ('utf8'), maxBuffer: 2 ** 28 }
  const { status, stdout, stderr } = spawnSync('cargo', test, options)
  console.log(`  ${modules.join(' ')}: ${/test result: .*/.exec(stdout)?.[0] ?? 'none ran'}`)
  const hasRun = / [1-9]\d* passed;/.test(stdout)
  return status === 0 && hasRun ? [] : [`${stdout.slice(-2000)}${stderr.slice(-2000)}`]
}
