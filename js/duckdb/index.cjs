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

/** The file of the worker, which a bundle leaves behind. */
const WORKER = join(__dirname, 'worker.cjs')

/** @returns {Answer} */
function noWorker() {
  return {
    failed: {
      code: 'ERR_SEND_NOT_CONFIGURED',
      message:
        `the warehouse's worker was not found: ${WORKER}. In a bundled program, keep dollar-send out of the bundle ` +
        '(mark it as external)',
    },
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

/** DuckDB for one engine. The worker starts with the first thing that is asked of it. */
class DuckDb {
  /** @type {Settings} */
  #settings
  #begin
  /** @type {Worker | undefined} */
  #worker
  /** Becomes 1 when the worker has closed the database. */
  #stopped = new Int32Array(new SharedArrayBuffer(4))
  /** Resolves with the worker's end. @type {Promise<void>} */
  #ended = Promise.resolve()
  #closed = false
  #next = 0
  /** @type {Map<number, (answer: Answer) => void>} */
  #waiting = new Map()
  /** @type {NodeJS.Timeout | undefined} */
  #timer

  /**
   * @param {Settings} settings
   * @param {() => boolean} [begin] called before a worker starts; `false`: nobody needs it any more
   */
  constructor(settings, begin = () => true) {
    this.#settings = settings
    this.#begin = begin
    if (settings.retentionDays && existsSync(settings.file)) {
      this.#timer = setTimeout(() => void this.ask({ op: 'retire' }), FIRST_RETIRE_MS)
      this.#timer.unref()
    }
  }

  /**
   * Has something done. It never rejects.
   *
   * @param {object} work
   * @returns {Promise<Answer>}
   */
  async ask(work) {
    if (this.#closed) return gone('the warehouse is closed')
    if (!this.#worker) {
      if (!existsSync(WORKER)) return noWorker()
      const module = findPackage()
      if (module === undefined) return notInstalled()
      if (!this.#begin()) return gone('the engine is gone')
      this.#start(module)
    }
    return new Promise((resolve) => {
      this.#waiting.set(this.#next, resolve)
      this.#post(work)
    })
  }

  /** Ends the worker, and resolves when the database is closed. */
  async close() {
    if (!this.#closed) {
      clearTimeout(this.#timer)
      this.#closed = true
      // Whoever waits for the end wants it before that of the process.
      this.#worker?.ref()
      this.#post({ op: 'close' })
    }
    await this.#ended
  }

  /** @param {object} work */
  #post(work) {
    this.#worker?.postMessage({ id: this.#next++, work })
  }

  /** @param {string} module */
  #start(module) {
    Atomics.store(this.#stopped, 0, 0)
    const workerData = { module, settings: this.#settings, ended: this.#stopped }
    const worker = new Worker(WORKER, { workerData })
    this.#worker = worker
    worker.unref()
    process.on('exit', this.#stopAtExit)
    worker.on('message', ({ id, answer }) => {
      this.#waiting.get(id)?.(answer)
      this.#waiting.delete(id)
    })
    let reason = ''
    worker.on('error', ({ message }) => {
      reason = `: ${message}`
    })
    this.#ended = new Promise((resolve) => {
      worker.on('exit', () => {
        this.#end(reason)
        resolve()
      })
    })
  }

  /** @param {string} reason */
  #end(reason) {
    this.#worker = undefined
    process.off('exit', this.#stopAtExit)
    for (const answer of this.#waiting.values()) answer(gone(`the warehouse ended${reason}`))
    this.#waiting.clear()
  }

  /** A thread that is torn down while DuckDB works would abort the process. */
  #stopAtExit = () => {
    this.#post({ op: 'close' })
    Atomics.wait(this.#stopped, 0, 0, EXIT_MS)
  }
}

module.exports = { DuckDb }
