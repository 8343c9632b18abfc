// Hands bytes of libFuzzer to the targets of src/fuzzing.rs. Its bounded form is the Rust test of that
// file, which needs no fuzzer.

import { spawn, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const ROOT = fileURLToPath(new URL('../../', import.meta.url))
const FUZZ = join(ROOT, 'fuzz')
const BUILT = join(FUZZ, 'target')

/**
 * Runs every target for its share of `count` inputs, beginning with those that are kept. Those that
 * reach more code are in fuzz/target/corpus afterwards, and those that find a fault in
 * fuzz/target/faults.
 *
 * @param {{ count: number, seed: number }} settings
 * @returns {Promise<string[]>} the faults
 */
export async function fuzz({ count, seed }) {
  const program = build()
  const targets = readdirSync(join(FUZZ, 'corpus'))
  const runs = Math.ceil(count / targets.length)
  const violations = []
  for (const target of targets) {
    const [kept, found] = [join(FUZZ, 'corpus', target), join(BUILT, 'corpus', target)]
    const faults = join(BUILT, 'faults', target)
    rmSync(faults, { recursive: true, force: true })
    for (const folder of [found, faults]) mkdirSync(folder, { recursive: true })
    const limits = [
      `-runs=${runs}`,
      `-seed=${(seed % 2 ** 31) + 1}`,
      '-max_len=4096',
      '-timeout=10',
    ]
    const options = [...limits, `-artifact_prefix=${faults}/`, '-print_final_stats=1']
    const { code, output } = await run(program, target, [found, kept, ...options])
    const executed = /number_of_executed_units: (\d+)/.exec(output)?.[1]
    console.log(`  ${target}: ${Number(executed ?? 0).toLocaleString('en')} inputs`)
    if (code === 0) continue
    const reason = /panicked at [^\n]*\n[^\n]*/.exec(output)?.[0] ?? output.slice(-2000)
    violations.push(
      `${target}: ${reason}\n  ${readdirSync(faults).map((file) => join(faults, file))}`,
    )
  }
  return violations
}

/** Builds the fuzzer with the stable compiler, which counts the branches of this crate alone. */
function build() {
  const host = /host: (\S+)/.exec(spawnSync('rustc', ['-vV'], { encoding: 'utf8' }).stdout)?.[1]
  if (!host) throw new Error('rustc is not installed')
  const where = ['--manifest-path', join(FUZZ, 'Cargo.toml'), '--target', host, '--locked']
  const env = {
    ...process.env,
    RUSTC_WRAPPER: join(FUZZ, 'rustc.sh'),
    CARGO_TARGET_DIR: BUILT,
    CARGO_INCREMENTAL: '0',
  }
  const { status } = spawnSync('cargo', ['build', ...where], { cwd: ROOT, env, stdio: 'inherit' })
  const program = join(BUILT, host, 'debug', 'dollar-send-fuzz')
  if (status !== 0 || !existsSync(program)) throw new Error('the fuzzer was not built')
  return program
}

/**
 * @param {string} program
 * @param {string} target
 * @param {string[]} options
 * @returns {Promise<{ code: number | null, output: string }>}
 */
function run(program, target, options) {
  return new Promise((resolve, reject) => {
    const env = { ...process.env, FUZZ_TARGET: target }
    const child = spawn(program, options, { env, stdio: ['ignore', 'ignore', 'pipe'] })
    let output = ''
    child.stderr.setEncoding('utf8').on('data', (text) => {
      output = (output + text).slice(-100_000)
    })
    child.on('error', reject).on('close', (code) => resolve({ code, output }))
  })
}
