// @ts-check
'use strict'

// The worker's side: one message is one thing to do, and gets one answer.

const { parentPort, workerData } = require('node:worker_threads')

const { Database } = require('./database.cjs')
const { WarehouseError, failure } = require('./failure.cjs')
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
const database = new Database(duckdb, settings)

/** What writes goes one after another. @type {Promise<unknown>} */
let writing = Promise.resolve()
/** @type {Promise<unknown>[]} */
const querying = Array.from({ length: QUERIES }, () => Promise.resolve())
let turn = 0
let closing = false

/** @param {any} work */
async function done(work) {
  if (work.op === 'query') {
    const place = turn++ % QUERIES
    const asked = performance.now()
    const run = async () => {
      if (closing) throw closed()
      return database.use(async ({ instance }) => {
        if (closing) throw closed()
        // The time that it waited for its turn counts.
        return runQuery(duckdb, instance, settings, work, performance.now() - asked)
      })
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
  return database.use(async (open) => {
    const loader = /** @type {NonNullable<typeof open.loader>} */ (open.loader)
    switch (work.op) {
      case 'look':
        return loader.look(work)
      case 'load':
        return loader.load(work)
      default:
        return retire(loader, settings)
    }
  })
}

/** What was begun is over by now, or is interrupted. */
async function close() {
  await Promise.all(querying)
  await database.close()
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
    database.interrupt()
  }
  const answer = await done(work).then(
    (result) => ({ done: result ?? null }),
    (error) => ({ failed: failure(error) }),
  )
  parentPort?.postMessage({ id, answer })
})
