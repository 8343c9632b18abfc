// @ts-check
'use strict'

// The worker's side: one message is one thing to do, and gets one answer.

const { parentPort, workerData } = require('node:worker_threads')

/** @type {any} */
const binding = require('../../binding.cjs')
const { failure } = require('./failure.cjs')
const { openLoader } = require('./load.cjs')
const { openInstance } = require('./instance.cjs')
const { closed, endQueries, runQuery } = require('./query.cjs')
const { retire } = require('./retire.cjs')

/**
 * How DuckDB is opened, as Rust says it.
 *
 * @typedef {object} Settings
 * @property {string} file
 * @property {string} results
 * @property {number | null} retentionDays
 * @property {number} memoryBytes
 * @property {number} threads
 * @property {boolean} [readOnly]
 */

/** Queries that run at once: each takes a thread of the process's pool. */
const QUERIES = 2
const RETIRE_EVERY_MS = 3_600_000

/** @type {{ module: string, settings: Settings, ended: Int32Array }} */
const { module: path, settings, ended } = workerData

/** @type {any} */
const duckdb = require(path)

/** What writes goes one after another. @type {Promise<unknown>} */
let writing = Promise.resolve()
/** @type {Promise<unknown>[]} */
const querying = Array.from({ length: QUERIES }, () => Promise.resolve())
let turn = 0
let closing = false

/** @typedef {ReturnType<typeof openLoader>} Loader */

/** @type {Promise<{ instance: any, hold: any, loader: Loader }> | undefined} */
let opened

function open() {
  opened ??= openInstance(duckdb, settings).then(async ({ instance, hold }) => {
    if (settings.readOnly) return { instance, hold, loader: /** @type {any} */ (undefined) }
    const loader = openLoader(await instance.connect(), settings)
    await retire(loader, settings)
    return { instance, hold, loader }
  })
  // What failed to open is tried again by the next message.
  opened.catch(() => {
    opened = undefined
  })
  return opened
}

/** @param {any} work */
async function done(work) {
  if (work.op === 'query') {
    const place = turn++ % QUERIES
    const run = async () => {
      const { instance } = await open()
      if (closing) throw closed()
      return runQuery(duckdb, instance, settings, work)
    }
    const answer = querying[place].then(run)
    querying[place] = answer.catch(() => {})
    return answer
  }
  const write = async () => {
    const { instance, hold, loader } = await open()
    switch (work.op) {
      case 'look':
        return loader.look(work)
      case 'load':
        return loader.load(work)
      case 'retire':
        return retire(loader, settings)
      default:
        return close(instance, hold, loader)
    }
  }
  const answer = writing.then(work.op === 'close' && !opened ? () => close() : write)
  writing = answer.catch(() => {})
  return answer
}

/**
 * @param {any} [instance]
 * @param {any} [held]
 * @param {Loader} [writer]
 */
async function close(instance, held, writer) {
  await Promise.all(querying)
  writer?.close()
  instance?.closeSync()
  if (held) binding._releaseWarehouse(held)
  clearInterval(timer)
  parentPort?.close()
  // At the end of the process somebody may wait for this without listening.
  Atomics.store(ended, 0, 1)
  Atomics.notify(ended, 0)
}

const timer = setInterval(() => void done({ op: 'retire' }).catch(() => {}), RETIRE_EVERY_MS)
timer.unref()

parentPort?.on('message', async ({ id, work }) => {
  // A query that runs may take a minute more, and nobody waits for it.
  if (work.op === 'close') {
    closing = true
    endQueries()
  }
  const answer = await done(work).then(
    (result) => ({ done: result ?? null }),
    (error) => ({ failed: failure(error) }),
  )
  parentPort?.postMessage({ id, answer })
})
