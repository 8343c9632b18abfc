// Installs dist/dollar-send-VERSION.tgz the way its users do, without a network and without Rust, and
// runs what they write: every package manager, module system, version of Node and other runtime.

import { spawnSync } from 'node:child_process'
import {
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, delimiter, dirname, join } from 'node:path'

import { PROGRAMS, TYPESCRIPT } from './consumer-programs.mjs'
import { installFromNpm, installNode } from './npm-tools.mjs'
import { fail } from './run.mjs'
import { hostTarget, readManifest, ROOT } from './targets.mjs'

const NODE_VERSIONS = ['20', '22', '24', '26']
const MANAGERS = { pnpm: '12.4.2', '@yarnpkg/cli-dist': '4.18.1' }
const RUNTIMES = { bun: '1.4.5', deno: '2.9.6' }
const CHECKERS = { '@arethetypeswrong/cli': '0.18.5', publint: '0.3.25' }

/** What a program prints when its delivery was made. */
const DELIVERED = 'delivered {"name":"Luke"}'

const { version } = readManifest()
const TARBALL = join(ROOT, 'dist', `dollar-send-${version}.tgz`)
const PUBLISH = join(ROOT, 'dist', 'publish')

const folder = mkdtempSync(join(tmpdir(), 'consumer-'))
process.on('exit', () => rmSync(folder, { recursive: true, force: true, maxRetries: 3 }))

/** The environment of somebody who has Node and no Rust. */
const env = { ...process.env, PATH: pathWithoutRust(), NODE_OPTIONS: '' }
for (const name of Object.keys(env)) if (/^(npm_|CARGO|RUSTUP)/i.test(name)) delete env[name]

let passed = 0
let failed = 0

/** Returns a PATH on which there is no cargo. */
function pathWithoutRust() {
  const places = (process.env.PATH ?? '').split(delimiter)
  const kept = places.filter(
    (place) => !['cargo', 'cargo.exe', 'rustc'].some((name) => existsSync(join(place, name))),
  )
  return [dirname(process.execPath), ...kept].join(delimiter)
}

/**
 * Runs a program of a consumer; returns what it printed, or a description of its failure.
 *
 * @param {string} program
 * @param {string[]} args
 * @param {string} cwd
 * @param {NodeJS.ProcessEnv} [more]
 */
function output(program, args, cwd, more = {}) {
  const shell = process.platform === 'win32' && program === 'npm'
  const options = { cwd, env: { ...env, ...more }, shell, timeout: 120_000 }
  const { status, signal, stdout, stderr, error } = spawnSync(program, args, {
    ...options,
    encoding: 'utf8',
  })
  if (status === 0) return stdout.trim()
  return `${error?.message ?? `status ${status ?? signal}`}\n${stdout}${stderr}`
}

/**
 * @param {string} title
 * @param {string} found
 * @param {string} wanted
 */
function check(title, found, wanted) {
  if (found === wanted) passed++
  else failed++
  console.log(found === wanted ? `ok      ${title}` : `FAILED  ${title}\n${found}`)
}

/**
 * Makes a project with the programs and installs into it; prints how long that took.
 *
 * @param {string} name
 * @param {(project: string) => string} install
 */
function project(name, install) {
  const place = join(folder, name)
  mkdirSync(place)
  writeFileSync(join(place, 'package.json'), '{ "name": "consumer", "private": true }')
  for (const [file, text] of Object.entries(PROGRAMS)) writeFileSync(join(place, file), text)
  const begun = performance.now()
  const printed = install(place)
  const seconds = ((performance.now() - begun) / 1000).toFixed(1)
  const failure = /^(status|spawn)/.test(printed) ? printed : ''
  check(`${name}: installed in ${seconds} s`, failure, '')
  return place
}

/**
 * @param {string} title
 * @param {string} program
 * @param {string[]} args before the file
 * @param {string} place
 * @param {string[]} [files]
 */
function runPrograms(title, program, args, place, files = ['required.cjs', 'imported.mjs']) {
  for (const file of files) {
    check(`${title}: ${file}`, output(program, [...args, file], place), DELIVERED)
  }
}

/** Node's package managers. */
function managers() {
  const modules = installFromNpm('managers', MANAGERS)
  const npm = project('npm', (place) => output('npm', ['install', '--offline', TARBALL], place))
  runPrograms('npm', process.execPath, [], npm)
  const pnpm = join(modules, 'pnpm/bin/pnpm.mjs')
  const store = `--store-dir=${join(folder, 'pnpm-store')}`
  const withPnpm = project('pnpm', (place) =>
    output(process.execPath, [pnpm, 'add', '--offline', store, TARBALL], place),
  )
  runPrograms('pnpm', process.execPath, [], withPnpm)
  const yarn = join(modules, '@yarnpkg/cli-dist/bin/yarn.js')
  const settings = {
    YARN_ENABLE_NETWORK: '0',
    YARN_PNP_ENABLE_ESM_LOADER: '1',
    YARN_ENABLE_TELEMETRY: '0',
    YARN_ENABLE_GLOBAL_CACHE: '0',
  }
  Object.assign(env, settings)
  const withYarn = project('yarn-pnp', (place) => {
    writeFileSync(join(place, 'yarn.lock'), '')
    copyFileSync(TARBALL, join(place, 'package.tgz'))
    return output(process.execPath, [yarn, 'add', 'dollar-send@file:./package.tgz'], place)
  })
  check(
    'yarn-pnp: has no node_modules',
    String(existsSync(join(withYarn, 'node_modules'))),
    'false',
  )
  runPrograms('yarn-pnp', process.execPath, [yarn, 'node'], withYarn)
  return npm
}

/** The packages of the registry: one without an addon, and that of this platform. */
function registry() {
  const { platform } = hostTarget() ?? fail('There is no target for this machine')
  const tarballs = ['dollar-send', `dollar-send-${platform}`].map((name) =>
    join(PUBLISH, `${name}-${version}.tgz`),
  )
  const place = project('registry', (place) =>
    output('npm', ['install', '--offline', ...tarballs], place),
  )
  check(
    'registry: the addon is in a package of its own',
    String(existsSync(join(place, `node_modules/dollar-send/dollar-send.${platform}.node`))),
    'false',
  )
  runPrograms('registry', process.execPath, [], place)
}

/** @param {string} place */
function command(place) {
  const main = join(place, 'node_modules/dollar-send/js/cli/main.mjs')
  check('the command: --version', output(process.execPath, [main, '--version'], place), version)
  const shim = join(
    place,
    'node_modules/.bin',
    process.platform === 'win32' ? 'dollar-send.cmd' : 'dollar-send',
  )
  check('the command is linked', String(existsSync(shim)), 'true')
}

/** @param {string} place */
function typescript(place) {
  const tsc = join(ROOT, 'node_modules/typescript/bin/tsc')
  mkdirSync(join(place, 'node_modules/@types'), { recursive: true })
  symlinkSync(
    join(ROOT, 'node_modules/@types/node'),
    join(place, 'node_modules/@types/node'),
    'junction',
  )
  cpSync(join(ROOT, 'node_modules/undici-types'), join(place, 'node_modules/undici-types'), {
    recursive: true,
  })
  writeFileSync(join(place, 'strict.mts'), TYPESCRIPT)
  const options = ['--strict', '--module', 'nodenext', '--target', 'es2022', '--types', 'node']
  check(
    'strict TypeScript compiles',
    output(process.execPath, [tsc, ...options, 'strict.mts'], place),
    '',
  )
  runPrograms('TypeScript', process.execPath, [], place, ['strict.mjs'])
}

/** @param {string} place */
function runtimes(place) {
  for (const wanted of NODE_VERSIONS) {
    const isThis = process.versions.node.split('.')[0] === wanted
    runPrograms(`Node ${wanted}`, isThis ? process.execPath : installNode(wanted), [], place)
  }
  if (process.platform !== 'linux' || process.arch !== 'x64') return
  const modules = installFromNpm('runtimes', RUNTIMES)
  runPrograms('Bun', join(modules, '@oven/bun-linux-x64/bin/bun'), ['run'], place)
  const deno = join(modules, '@deno/linux-x64-glibc/deno')
  const flags = ['run', '--allow-all', '--no-config', '--no-remote', '--node-modules-dir=manual']
  runPrograms('Deno', deno, flags, place)
}

/** What the tools of the trade find wrong with the package. */
function checkers() {
  const modules = installFromNpm('package-checkers', CHECKERS)
  const place = join(folder, 'checked')
  mkdirSync(place)
  copyFileSync(TARBALL, join(place, basename(TARBALL)))
  const attw = join(modules, '@arethetypeswrong/cli/dist/index.js')
  const types = output(process.execPath, [attw, basename(TARBALL), '--format', 'json'], place)
  check('are-the-types-wrong', problemsIn(types), '[]')
  const publint = join(modules, 'publint/src/cli.js')
  const found = output(process.execPath, [publint, 'run', basename(TARBALL), '--strict'], place)
  check('publint', /All good!/.test(found) ? '' : found, '')
}

/** @param {string} text */
function problemsIn(text) {
  try {
    return JSON.stringify(JSON.parse(text).analysis.problems)
  } catch {
    return text
  }
}

for (const path of [TARBALL, PUBLISH]) {
  if (!existsSync(path)) fail(`There is no ${path}. Run: npm run package`)
}
const cargo = spawnSync('cargo', ['--version'], { env })
check('there is no cargo on PATH', cargo.error ? 'none' : 'cargo', 'none')
const npm = managers()
registry()
command(npm)
runtimes(npm)
typescript(npm)
checkers()
console.log(`\n${passed} passed, ${failed} failed`)
process.exitCode = failed > 0 ? 1 : 0
