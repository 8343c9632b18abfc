// @ts-check
'use strict'

// DuckDB runs in a worker of its own, so that neither its start nor its results ever hold up the
// thread that runs steps. This side starts the worker when it is first needed.

const { existsSync } = require('node:fs')
const { join } = require('node:path')
const { Worker } = require('node:worker_threads')

/** @typedef {import('./worker.cjs').Settings} Settings */
/** @typedef {{ done: unknown } | { failed: { code: string, message: string, retryable?: boolean } }} Answer */

const PACKAGE = '@duckdb/node-api'
/** An engine that is opened looks after old rows, but not while everything else starts. */
const FIRST_RETIRE_MS = 60_000
/** What is written is rolled back, which may take a moment. */
const EXIT_MS = 5_000

/** Where the package is; it is an optional peer, which may be beside this package or the runner. */
function findPackage() {
  try {
    return require.resolve(PACKAGE, { paths: [__dirname, process.cwd()] })
  } catch {
    return undefined
  }
}

/** @returns {Answer} */
function notInstalled() {
  return {
    failed: {
      code: 'ERR_SEND_NOT_CONFIGURED',
      message: `the warehouse is DuckDB, whose package is not installed: npm install ${PACKAGE}`,
    },
  }
}

/** @param {string} message @returns {Answer} */
function gone(message) {
  return { failed: { code: 'ERR_SEND_UNAVAILABLE', message, retryable: true } }
}

/**
 * DuckDB for one engine: `ask` has something done, and never rejects; `close` ends the worker.
 *
 * @param {Settings} settings
 * @param {() => void} [started] called whenever a worker starts
 */
function createDuckDb(settings, started) {
  /** @type {Worker | undefined} */
  let worker
  let closed = false
  let next = 0
  /** @type {Map<number, (answer: Answer) => void>} */
  const waiting = new Map()
  /** Becomes 1 when the worker has closed the database. */
  let stopped = new Int32Array(1)
  /** @type {Promise<unknown>} */
  let ended = Promise.resolve()

  /** @param {string} module */
  function start(module) {
    stopped = new Int32Array(new SharedArrayBuffer(4))
    const workerData = { module, settings, ended: stopped }
    const begun = new Worker(join(__dirname, 'worker.cjs'), { workerData })
    worker = begun
    process.on('exit', stopAtExit)
    begun.unref()
    begun.on('message', ({ id, answer }) => {
      waiting.get(id)?.(answer)
      waiting.delete(id)
    })
    /** @type {Error | undefined} */
    let reason
    begun.on('error', (error) => {
      reason = error
    })
    ended = new Promise((resolve) => {
      begun.on('exit', () => {
        if (worker === begun) worker = undefined
        process.off('exit', stopAtExit)
        for (const answer of waiting.values()) {
          answer(gone(`the warehouse's thread ended${reason ? `: ${reason.message}` : ''}`))
        }
        waiting.clear()
        resolve(undefined)
      })
    })
    started?.()
  }

  /** A thread that is torn down while DuckDB works would abort the process. */
  function stopAtExit() {
    worker?.postMessage({ id: next++, work: { op: 'close' } })
    Atomics.wait(stopped, 0, 0, EXIT_MS)
  }

  /** @param {object} work @returns {Promise<Answer>} */
  async function ask(work) {
    if (closed) return gone('the warehouse is closed')
    if (!worker) {
      const module = findPackage()
      if (module === undefined) return notInstalled()
      start(module)
    }
    const id = next++
    return new Promise((resolve) => {
      waiting.set(id, resolve)
      worker?.postMessage({ id, work })
    })
  }

  /** @type {NodeJS.Timeout | undefined} */
  const timer =
    settings.retentionDays && existsSync(settings.file)
      ? setTimeout(() => void ask({ op: 'retire' }), FIRST_RETIRE_MS)
      : undefined
  timer?.unref()

  async function close() {
    clearTimeout(timer)
    closed = true
    // Whoever waits for the end wants it before that of the process.
    worker?.ref()
    worker?.postMessage({ id: next++, work: { op: 'close' } })
    await ended
  }

  return { ask, close }
}

module.exports = { createDuckDb }
