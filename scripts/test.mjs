// Runs what must hold, or the stages named on the command line. Ends with the time of each stage and what did not
// run, also after a failure. Without names it leaves out what is large to install; `all` runs everything. It
// installs what the tests need beside what `npm install` brings.

import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

import { installBrowser } from './browser.mjs'
import { installCargoDeny } from './cargo-deny.mjs'
import { installClickHouse } from './clickhouse.mjs'
import { CORE_SPECS } from './core-specs.mjs'
import { extrasOf } from './extras.mjs'
import { installFaketime } from './faketime.mjs'
import { installNode, installRuntimes, installTestRunners } from './npm-tools.mjs'
import { installPgbouncer } from './pgbouncer.mjs'
import { installExim } from './exim-server.mjs'
import { installPostfix } from './postfix-server.mjs'
import { installPostgres } from './postgres-server.mjs'
import { installRedis } from './redis-server.mjs'
import { installS3Server } from './s3-server.mjs'
import { installSqlite } from './sqlite.mjs'
import { installSchemathesis } from './schemathesis.mjs'
import { summaryOf } from './test-summary.mjs'
import { installWebServers } from './web-servers.mjs'

const root = fileURLToPath(new URL('..', import.meta.url))

/** The Node versions beside the one that runs this, from the same addon file. */
const NODE_VERSIONS = ['22', '24']

/** Versions on which only the loader of step files is tested: it leans on what differs between them. */
const LOADER_VERSIONS = ['20.6.0', '26']
const LOADER_SPECS = [
  ...['__test__/steps/loader.spec.mjs', '__test__/steps/loader-errors.spec.mjs'],
  '__test__/steps/steps-corpus.spec.mjs',
]

/**
 * Specs that do not depend on the version of Node: losses of power, failing disks, the page in a browser, and
 * nodes that share a journal. They take a third of the time of all specs.
 */
const ONCE = /\/(reliability|inspector|fleet)\b/

const STAGES = {
  format() {
    run('cargo', ['fmt', '--check'])
    bin('prettier', ['--check', '.'])
  },
  lint() {
    run('cargo', ['clippy', '--locked', '--workspace', '--all-targets', '--', '--deny', 'warnings'])
    bin('eslint', ['--max-warnings', '0', '.'])
    run(process.execPath, ['scripts/check-prose.mjs'])
    run(process.execPath, ['scripts/check-types.mjs'])
  },
  rust() {
    installPostgres()
    // Without it, tests of the shared journal would be skipped where there is no server.
    process.env.NEEDS_POSTGRES = 'yes'
    run('cargo', ['test', '--locked', '--workspace'])
  },
  build() {
    run(process.execPath, ['scripts/build-addon.mjs'])
    run(
      'git',
      ['diff', '--exit-code', '--', 'index.d.ts'],
      'index.d.ts is not what the sources say: commit the one that was just built',
    )
  },
  types() {
    bin('tsc', ['--project', 'tsconfig.json'])
    bin('tsc', ['--project', 'inspector/tsconfig.json'])
  },
  node() {
    installServers()
    installExtras()
    specs(process.execPath)
  },
  package() {
    run('npm', ['run', '--silent', 'package'])
  },
  consumer() {
    run(process.execPath, ['scripts/consumer.mjs'])
  },
  versions() {
    installServers()
    installExtras()
    const files = globs().filter((file) => !ONCE.test(file))
    for (const version of NODE_VERSIONS) specs(installNode(version), files)
    for (const version of LOADER_VERSIONS) specs(installNode(version), LOADER_SPECS)
  },
}

/** Stages that run only when they are named. */
const OTHERS = {
  specs() {
    installServers()
    specs(process.execPath, smallSpecs())
  },
  core() {
    specs(process.execPath, CORE_SPECS)
  },
  deny() {
    run(installCargoDeny(), ['--locked', 'check', 'bans', 'licenses', 'sources'])
  },
  doc() {
    process.env.RUSTDOCFLAGS = '-D warnings'
    run('cargo', ['doc', '--locked', '--workspace', '--no-deps'])
  },
  site() {
    for (const words of [['ci'], ['run', 'build']]) run('npm', ['--prefix', 'site', ...words])
  },
  msrv() {
    run('cargo', ['check', '--locked', '--workspace', '--all-targets'])
  },
}

/** Where each run of the specs writes which tests were skipped. */
const skippedFolder = mkdtempSync(join(tmpdir(), 'skipped-tests-'))
let skippedFiles = 0

/** Several of the stages under one name. */
const GROUPS = { all: Object.keys(STAGES), lint: ['format', 'lint', 'types'] }

/** The stages that run when none is named. */
const SMALL = ['format', 'lint', 'rust', 'build', 'types', 'specs', 'package']

/** What the specs need beside what `npm install` brings. */
function installServers() {
  installS3Server()
  installSchemathesis()
  installPostfix()
  installExim()
  installRedis()
  installSqlite()
  installWebServers()
  installFaketime()
}

/** What only some specs need, and what is large. */
function installExtras() {
  installBrowser()
  installPostgres()
  installPgbouncer()
  installClickHouse()
  installRuntimes()
  installTestRunners()
}

/**
 * @param {string} node
 * @param {string[]} [files]
 */
function specs(node, files = globs()) {
  const version = spawnSync(node, ['--version'], { encoding: 'utf8' }).stdout.trim()
  console.log(`Node ${version}`)
  const reporters = [
    // `spec` repeats the failures at the end: the last lines of a long log are read first.
    ...['--test-reporter=spec', '--test-reporter-destination=stdout'],
    `--test-reporter=${new URL('skipped-tests.mjs', import.meta.url)}`,
    `--test-reporter-destination=${join(skippedFolder, String(skippedFiles++))}`,
  ]
  run(node, ['--test', ...reporters, ...knownOptions(node), ...files])
}

/**
 * Those options of the test runner that this Node knows: 20.6 has neither.
 *
 * @param {string} node
 */
function knownOptions(node) {
  // One file for each core: Node leaves one core free, and the specs wait more than they compute.
  const options = ['--test-timeout=600000', `--test-concurrency=${availableParallelism()}`]
  return options.filter((option) => spawnSync(node, [option, '--version']).status === 0)
}

/** The specs that need nothing large. */
const smallSpecs = () => globs().filter((file) => extrasOf(file).length === 0)

function globs() {
  // Node 20 expands no patterns in --test.
  const found = spawnSync(
    'git',
    ['ls-files', '--cached', '--others', '--exclude-standard', '__test__/*.spec.mjs'],
    { cwd: root, encoding: 'utf8' },
  )
  const files = found.stdout.split('\n').filter(Boolean)
  if (files.length === 0) fail('no specs were found under __test__')
  return files
}

/**
 * @param {string} name
 * @param {string[]} args
 */
function bin(name, args) {
  run('npx', ['--no-install', name, ...args])
}

/**
 * @param {string} command
 * @param {string[]} args
 * @param {string} [advice]
 */
function run(command, args, advice) {
  const done = spawnSync(command, args, { cwd: root, stdio: 'inherit' })
  if (done.error) fail(`${command} could not be started: ${done.error.message}`)
  if (done.status !== 0) fail(advice ?? `${command} ${args.slice(0, 3).join(' ')} … failed`)
}

/** @param {string} message */
function fail(message) {
  console.error(`\n${message}`)
  process.exit(1)
}

const wanted = process.argv.slice(2).flatMap((name) => GROUPS[name] ?? [name])
const stages = wanted.length > 0 ? wanted : SMALL
const all = { ...STAGES, ...OTHERS }
const unknown = stages.find((name) => !(name in all))
if (unknown) fail(`there is no stage ${unknown}; there are ${Object.keys(all).join(', ')}`)

/** @type {{ name: string, ms: number, hasFailed?: boolean }[]} */
const ran = []
/** @type {{ name: string, begun: number } | undefined} */
let running
// A stage that fails ends the process: the summary comes then, too.
process.on('exit', () => console.log(`\n${summary()}`))
for (const name of stages) {
  console.log(`\n== ${name}`)
  running = { name, begun: performance.now() }
  all[name]()
  const ms = performance.now() - running.begun
  running = undefined
  ran.push({ name, ms })
  console.log(`== ${name}: ok in ${(ms / 1000).toFixed(0)} s`)
}

function summary() {
  const failed = running && { ...running, ms: performance.now() - running.begun, hasFailed: true }
  const files = globs()
  const left = files.filter((file) => extrasOf(file).length > 0)
  const extras = [...new Set(left.flatMap(extrasOf))].sort()
  const hasLeft = stages.includes('specs') && !stages.includes('node')
  const skipped = Array.from({ length: skippedFiles }, (_, index) =>
    join(skippedFolder, `${index}`),
  )
    .filter((path) => existsSync(path))
    .flatMap((path) => readFileSync(path, 'utf8').split('\n').filter(Boolean))
  rmSync(skippedFolder, { recursive: true, force: true })
  return summaryOf({
    ...{ stages: failed ? [...ran, failed] : ran, wanted: stages, skipped },
    all: Object.keys(STAGES).filter((name) => name !== 'node' || !hasLeft),
    named: Object.keys(OTHERS).filter((name) => name !== 'specs'),
    ...(hasLeft && { leftOut: { files: left.length, of: files.length, extras } }),
  })
}
