// @ts-check
'use strict'

// Starts a process of DuckDB: finds its file, and gives it no more of this process than it needs.

const { spawn } = require('node:child_process')
const { existsSync } = require('node:fs')
const { dirname, join } = require('node:path')

/** The file that the process runs, and the folder that it is in within this package. */
const FILE = join('process', 'main.cjs')
const FOLDER = join('js', 'warehouse', 'duckdb')

/** Set in the process, so that an application that is run by mistake does not start further ones. */
const MARK = 'DOLLAR_SEND_DUCKDB'

/** Variables that DuckDB and the loaders of the system read. The runner's secrets are not among them. */
const ENVIRONMENT = [
  'DYLD_FALLBACK_LIBRARY_PATH',
  'DYLD_LIBRARY_PATH',
  'LD_LIBRARY_PATH',
  'NODE_PATH',
  'SystemRoot',
  'windir',
]

/** The JavaScript of the process needs little: batches and results pass it piece by piece. */
const V8 = ['--max-old-space-size=96', '--max-semi-space-size=4']

/** A process that cannot be started, however often that is tried. */
class StartError extends Error {}

/**
 * @param {object} settings
 * @returns {import('node:child_process').ChildProcess}
 * @throws {StartError}
 */
function startProcess(settings) {
  const environment = environmentOf(process)
  const flags = process.versions.bun ? [] : V8
  const asked = JSON.stringify({ ...settings, places: places() })
  try {
    return spawn(process.execPath, [...flags, findFile(), asked], {
      env: environment,
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
      // Out of reach of the signals that a terminal sends to all of a group.
      detached: process.platform !== 'win32',
      windowsHide: true,
    })
  } catch (error) {
    if (/** @type {NodeJS.ErrnoException} */ (error).code !== 'ERR_ACCESS_DENIED') throw error
    throw new StartError(
      'DuckDB runs in a process of its own: start Node with --allow-child-process',
    )
  }
}

/**
 * @param {NodeJS.Process} from
 * @returns {Record<string, string>}
 */
function environmentOf({ env, versions }) {
  if (env[MARK]) {
    throw new StartError('the warehouse cannot be used inside of a process of DuckDB')
  }
  if (versions.deno || isSingleExecutable()) {
    throw new StartError(
      `DuckDB runs in a process of its own, which needs node or bun as the executable, not ${process.execPath}`,
    )
  }
  const known = ENVIRONMENT.filter((name) => env[name] !== undefined)
  const kept = Object.fromEntries(known.map((name) => [name, String(env[name])]))
  return {
    ...kept,
    [MARK]: '1',
    UV_THREADPOOL_SIZE: '4',
    // An executable that holds an application is to run the file instead of it.
    ...(versions.electron ? { ELECTRON_RUN_AS_NODE: '1' } : {}),
    ...(versions.bun ? { BUN_BE_BUN: '1' } : {}),
  }
}

function isSingleExecutable() {
  try {
    return require('node:sea').isSea()
  } catch {
    return false
  }
}

/**
 * Where packages are looked for: beside this package, and beside the program that uses it. Never in the
 * working directory, which anyone may have written to.
 */
function places() {
  const program = require.main?.filename ?? process.argv[1]
  return program ? [__dirname, dirname(program)] : [__dirname]
}

/** @throws {StartError} */
function findFile() {
  if (__dirname.endsWith(FOLDER) && existsSync(join(__dirname, FILE))) {
    return join(__dirname, FILE)
  }
  // This package is part of a bundle. It may be installed beside it all the same.
  const installed = join('node_modules', 'dollar-send', FOLDER, FILE)
  for (const folder of places().flatMap(withParents)) {
    if (existsSync(join(folder, installed))) return join(folder, installed)
  }
  throw new StartError(
    `the warehouse's worker file js/warehouse/duckdb/process/main.cjs was not found beside the bundle in ${__dirname}: ` +
      'mark dollar-send as external, or install it beside the bundle',
  )
}

/** @param {string} folder @returns {string[]} */
function withParents(folder) {
  const parent = dirname(folder)
  return parent === folder ? [folder] : [folder, ...withParents(parent)]
}

module.exports = { StartError, startProcess }
