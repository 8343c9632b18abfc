// Runs seeds of the simulated engines in src/engine/tests/simulation, of which the Rust tests run some.

import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { availableParallelism } from 'node:os'
import { text } from 'node:stream/consumers'
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
 * Runs the seeds in as many processes as there are cores.
 *
 * @param {string} name
 * @param {{ count: number, seed: number }} settings
 */
async function runSeeds(name, { count, seed }) {
  const program = build()
  const share = Math.ceil(count / availableParallelism())
  const runs = []
  for (let first = seed; first < seed + count; first += share) {
    runs.push(runRange(program, name, first, Math.min(first + share, seed + count)))
  }
  return (await Promise.all(runs)).flat()
}

/**
 * @param {string} program
 * @param {string} name
 * @param {number} first
 * @param {number} end
 * @returns {Promise<string[]>}
 */
async function runRange(program, name, first, end) {
  const env = { ...process.env, SIMULATE: `${first}..${end}` }
  const stdio = /** @type {const} */ (['ignore', 'pipe', 'pipe'])
  const child = spawn(program, [name, '--nocapture'], { cwd: ROOT, env, stdio })
  const ended = once(child, 'close')
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)])
  const [code] = await ended
  const lines = stdout.split('\n')
  const violations = lines.filter((line) => /^seed \d+: /.test(line))
  const told = lines.find((line) => /^\d+ seeds, /.test(line))
  console.log(`  ${first}..${end}: ${told ?? 'no seed ran'}`)
  const isWhole = code === 0 && told !== undefined
  if (!isWhole && violations.length === 0)
    violations.push(`${first}..${end} did not end: ${stderr.slice(-2000)}`)
  return violations
}

/** Builds the Rust tests: this package optimised, which takes a fraction of the time for each seed. */
function build() {
  const optimised = ['--config', 'profile.dev.package.dollar-send.opt-level=2']
  const test = ['test', '--locked', '--lib', '--no-run', '--message-format=json', ...optimised]
  const options = { cwd: ROOT, encoding: /** @type {const} */ ('utf8'), maxBuffer: 2 ** 28 }
  const { stdout, stderr } = spawnSync('cargo', test, options)
  const program = /"executable":"([^"]*dollar_send-[^"]*)"/.exec(stdout)?.[1]
  if (!program) throw new Error(`the tests were not built: ${stderr.slice(-2000)}`)
  return program
}
