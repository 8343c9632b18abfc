// Runs everything that must hold, or the stages named on the command line, and says how long each
// took. It installs what the tests need beside what `npm install` brings.

import { spawnSync } from 'node:child_process'
import { availableParallelism } from 'node:os'
import { fileURLToPath } from 'node:url'

import { installBrowser } from './browser.mjs'
import { installCargoDeny } from './cargo-deny.mjs'
import { installClickHouse } from './clickhouse.mjs'
import { CORE_SPECS } from './core-specs.mjs'
import { installNode, installRuntimes, installTestRunners } from './npm-tools.mjs'
import { installPostgres } from './postgres-server.mjs'
import { installS3Server } from './s3-server.mjs'
import { installSchemathesis } from './schemathesis.mjs'

const root = fileURLToPath(new URL('..', import.meta.url))

/** The Node versions beside the one that runs this, from the same addon file. */
const NODE_VERSIONS = ['22', '24']

const STAGES = {
  format() {
    run('cargo', ['fmt', '--check'])
    bin('prettier', ['--check', '.'])
  },
  lint() {
    run('cargo', ['clippy', '--locked', '--workspace', '--all-targets', '--', '--deny', 'warnings'])
    bin('eslint', ['--max-warnings', '0', '.'])
  },
  rust() {
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
  },
  node() {
    installServers()
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
    for (const version of NODE_VERSIONS) specs(installNode(version))
  },
}

/** Stages that run only when they are named. */
const OTHERS = {
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
  msrv() {
    run('cargo', ['check', '--locked', '--workspace', '--all-targets'])
  },
}

/** Several of the stages under one name. */
const GROUPS = { lint: ['format', 'lint', 'types'] }

/** What the specs need beside what `npm install` brings. */
function installServers() {
  installS3Server()
  installSchemathesis()
  installBrowser()
  installPostgres()
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
  // One file for each core: Node leaves one core free, and the specs wait more than they compute.
  const concurrency = `--test-concurrency=${availableParallelism()}`
  run(node, ['--test', '--test-timeout=600000', concurrency, ...files])
}

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
const all = { ...STAGES, ...OTHERS }
for (const name of wanted.length > 0 ? wanted : Object.keys(STAGES)) {
  const stage =
    all[name] ?? fail(`there is no stage ${name}; there are ${Object.keys(all).join(', ')}`)
  const begun = performance.now()
  console.log(`\n== ${name}`)
  stage()
  console.log(`== ${name}: ok in ${((performance.now() - begun) / 1000).toFixed(0)} s`)
}
