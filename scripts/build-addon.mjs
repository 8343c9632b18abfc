// Builds the addon for one target as it is published: `node scripts/build-addon.mjs [TRIPLE]`. For
// Linux it links through zig, which makes an addon for old versions of glibc, and for other targets
// than this machine's. `--plain` builds with the tools of this machine alone.

import { spawnSync } from 'node:child_process'
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'

import { buildInspector } from './build-inspector.mjs'
import { glibcNeeded, readNeeds } from './elf.mjs'
import { installFromPyPI, pythonProgram } from './python.mjs'
import { fail, run } from './run.mjs'
import { addonFile, GLIBC_FLOOR, hostTarget, ROOT, targets } from './targets.mjs'

/** @typedef {import('./targets.mjs').Target} Target */

const ZIGBUILD = '0.24.1'
const ZIG = '0.17.1'

/**
 * Builds the addon into the repository's folder.
 *
 * @param {Target} target
 * @param {{ portable?: boolean }} [options] `portable` only matters on Linux
 */
export async function buildAddon(target, { portable = true } = {}) {
  requireStandardLibrary(target)
  await buildInspector()
  const isZig = portable && process.platform === 'linux' && target.os === 'linux'
  const triple =
    isZig && target.libc === 'glibc' ? `${target.triple}.${GLIBC_FLOOR}` : target.triple
  const places = ['--manifest-path', 'crates/addon/Cargo.toml', '--output-dir', '.']
  const names = ['--no-const-enum', '--js', 'binding.cjs', '--dts', 'index.d.ts']
  run(
    process.execPath,
    [
      ...[napi(), 'build', ...places, '--platform', '--release', '--target', triple],
      ...(isZig ? ['--cross-compile'] : []),
      ...names,
      ...['--', '--locked'],
    ],
    { env: withoutPaths(isZig ? withZig() : process.env) },
  )
  console.log(describe(target))
}

/**
 * Returns an environment in which the addon gets no paths of this machine: where its sources lie, in
 * whose home.
 *
 * @param {NodeJS.ProcessEnv} environment
 */
export function withoutPaths(environment) {
  const home = environment.CARGO_HOME ?? join(homedir(), '.cargo')
  const sysroot = spawnSync('rustc', ['--print', 'sysroot'], { encoding: 'utf8' }).stdout.trim()
  const names = [
    [ROOT, 'dollar-send'],
    [join(home, 'registry/src'), 'crates'],
    [join(home, 'git/checkouts'), 'crates'],
    [join(sysroot, 'lib/rustlib/src/rust'), 'rust'],
  ].map(([path, name]) => [path.replace(/[/\\]+$/, ''), name])
  const joined = (/** @type {string} */ option, /** @type {string | undefined} */ before) =>
    [before, ...names.map(([path, name]) => `${option}${path}=${name}`)].filter(Boolean).join(' ')
  return {
    ...environment,
    RUSTFLAGS: joined('--remap-path-prefix=', environment.RUSTFLAGS),
    ...(process.platform === 'win32'
      ? {}
      : { CFLAGS: joined('-ffile-prefix-map=', environment.CFLAGS ?? ownFlags()) }),
  }
}

/** Returns the flags for C that every build has: variables of the environment hide those of Cargo's file. */
function ownFlags() {
  const config = readFileSync(join(ROOT, '.cargo/config.toml'), 'utf8')
  const [, flags] = /^CFLAGS = "(.*)"$/m.exec(config) ?? fail('.cargo/config.toml has no CFLAGS')
  return flags
}

/** Returns the path of the napi command of this checkout. */
export function napi() {
  const path = join(ROOT, 'node_modules/@napi-rs/cli/dist/cli.js')
  if (!existsSync(path)) fail('The napi command is not installed. Run: npm ci')
  return path
}

/** @param {Target} target */
function requireStandardLibrary({ triple }) {
  const { stdout, error } = spawnSync('rustc', ['--print', 'sysroot'], { encoding: 'utf8' })
  if (error)
    fail('Rust was not found. Install a stable toolchain, 1.89 or later: https://rustup.rs')
  if (existsSync(join(stdout.trim(), 'lib/rustlib', triple, 'lib'))) return
  fail(`Rust's standard library for ${triple} is not installed. Run: rustup target add ${triple}`)
}

/** Installs zig and cargo-zigbuild if they are not there; returns an environment that finds them. */
function withZig() {
  const program = pythonProgram('cargo-zigbuild', ZIGBUILD, 'cargo-zigbuild')
  installFromPyPI('cargo-zigbuild', ZIGBUILD, [`ziglang==${ZIG}`])
  const bin = fileURLToPath(new URL('.', `file://${program}`))
  const lib = join(bin, '../lib')
  const python = readdirSync(lib).find((name) => name.startsWith('python3'))
  const zig = join(lib, python ?? '', 'site-packages/ziglang')
  return { ...process.env, PATH: [zig, bin, process.env.PATH].join(delimiter) }
}

/**
 * Returns a sentence about a built addon.
 *
 * @param {Target} target
 */
function describe(target) {
  const file = readFileSync(join(ROOT, addonFile(target)))
  const size = `${(file.length / 1e6).toFixed(1)} MB`
  if (target.os !== 'linux') return `${addonFile(target)}: ${size}`
  const glibc = glibcNeeded(readNeeds(file))
  return `${addonFile(target)}: ${size}, ${glibc ? `needs glibc ${glibc} or later` : 'needs no glibc'}`
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [wanted, ...more] = process.argv.slice(2).filter((word) => word !== '--plain')
  if (more.length > 0) fail('Usage: node scripts/build-addon.mjs [TRIPLE] [--plain]')
  const all = targets()
  const target = wanted ? all.find(({ triple }) => triple === wanted) : hostTarget()
  if (!target)
    fail(
      `There is no target ${wanted ?? 'for this machine'}; there are ${all.map(({ triple }) => triple).join(', ')}`,
    )
  await buildAddon(target, { portable: !process.argv.includes('--plain') })
  if (wanted) {
    const folder = join(ROOT, 'artifacts')
    mkdirSync(folder, { recursive: true })
    copyFileSync(join(ROOT, addonFile(target)), join(folder, addonFile(target)))
  }
}
