// @ts-check
'use strict'

// The worker's side: one message is one thing to do, and gets one answer.

const { parentPort, workerData } = require('node:worker_threads')

/** @type {any} */
const binding = require('../../binding.cjs')
const { WarehouseError, failure } = require('./failure.cjs')
const { openLoader } = require('./load.cjs')
const { connect, openInstance } = require('./instance.cjs')
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
    /** @type {Loader | undefined} */
    let loader
    try {
      loader = openLoader(await connect(instance), settings)
      await retire(loader, settings)
      return { instance, hold, loader }
    } catch (error) {
      // A connection that is left would keep the file open.
      loader?.close()
      instance.closeSync()
      binding._releaseWarehouse(hold)
      throw error
    }
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
    const asked = performance.now()
    const run = async () => {
      if (closing) throw closed()
      const { instance } = await open()
      if (closing) throw closed()
      // The time that it waited for its turn counts.
      return runQuery(duckdb, instance, settings, work, performance.now() - asked)
    }
    const answer = querying[place].then(run)
    querying[place] = answer.catch(() => {})
    return answer
  }
  const answer = writing.then(() => (work.op === 'close' ? close() : written(work)))
  writing = answer.catch(() => {})
  return answer
}

/** @param {any} work */
async function written(work) {
  // Not the batch's fault: it is loaded by whoever opens the warehouse next.
  if (closing) throw new WarehouseError('ERR_SEND_UNAVAILABLE', 'the warehouse is closed')
  const { loader } = await open()
  switch (work.op) {
    case 'look':
      return loader.look(work)
    case 'load':
      return loader.load(work)
    default:
      return retire(loader, settings)
  }
}

/** What was begun is over by now, or is interrupted. */
async function close() {
  await Promise.all(querying)
  // What could not be opened needs no closing.
  const state = await opened?.catch(() => undefined)
  state?.loader?.close()
  state?.instance.closeSync()
  if (state) binding._releaseWarehouse(state.hold)
  clearInterval(timer)
  parentPort?.close()
  // At the end of the process somebody may wait for this without listening.
  Atomics.store(ended, 0, 1)
  Atomics.notify(ended, 0)
}

const timer = setInterval(() => void done({ op: 'retire' }).catch(() => {}), RETIRE_EVERY_MS)
timer.unref()

parentPort?.on('message', async ({ id, work }) => {
  // What runs may take a minute more, and nobody waits for it. A load is made again.
  if (work.op === 'close') {
    closing = true
    endQueries()
    opened?.then(({ loader }) => loader?.end()).catch(() => {})
  }
  const answer = await done(work).then(
    (result) => ({ done: result ?? null }),
    (error) => ({ failed: failure(error) }),
  )
  parentPort?.postMessage({ id, answer })
})
