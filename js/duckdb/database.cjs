// @ts-check
'use strict'

// The database while it is open: from its first use until it is closed, or until DuckDB gives it up.

const binding = require('../native.cjs')
const { isGivenUp } = require('./failure.cjs')
const { connect, openInstance } = require('./instance.cjs')
const { openLoader } = require('./load.cjs')
const { retire } = require('./retire.cjs')

/** @typedef {{ instance: any, hold: any, loader: ReturnType<typeof openLoader> | undefined }} Open */
/** @typedef {{ open: Promise<Open>, uses: Set<Promise<unknown>> }} Opening */

class Database {
  #duckdb
  #settings
  /** @type {Opening | undefined} */
  #opening
  /** Resolves when what was open before is closed. @type {Promise<void>} */
  #closed = Promise.resolve()

  /**
   * @param {any} duckdb
   * @param {import('./worker.cjs').Settings} settings
   */
  constructor(duckdb, settings) {
    this.#duckdb = duckdb
    this.#settings = settings
  }

  /**
   * Has something done, and opens the database for it if need be. What DuckDB gave up is closed:
   * opened anew, it is as it was before what failed.
   *
   * @template T
   * @param {(open: Open) => Promise<T>} use
   * @returns {Promise<T>}
   */
  async use(use) {
    const opening = (this.#opening ??= this.#begin())
    const result = opening.open.then(use)
    opening.uses.add(result)
    try {
      return await result
    } catch (error) {
      if (isGivenUp(error) && this.#opening === opening) void this.close()
      throw error
    } finally {
      opening.uses.delete(result)
    }
  }

  /** Interrupts what is loaded. */
  interrupt() {
    this.#opening?.open.then(({ loader }) => loader?.end()).catch(() => {})
  }

  /** Waits for what uses the database, and closes it. The next use opens it again. */
  close() {
    const opening = this.#opening
    this.#opening = undefined
    this.#closed = this.#closed.then(async () => {
      await Promise.allSettled(opening?.uses ?? [])
      // What could not be opened needs no closing.
      const open = await opening?.open.catch(() => undefined)
      if (open) end(open)
    })
    return this.#closed
  }

  /** @returns {Opening} */
  #begin() {
    /** @type {Opening} */
    const opening = { open: this.#closed.then(() => this.#open()), uses: new Set() }
    opening.open.catch(() => {
      // What failed to open is tried again by the next use.
      if (this.#opening === opening) this.#opening = undefined
    })
    return opening
  }

  /** @returns {Promise<Open>} */
  async #open() {
    const { instance, hold } = await openInstance(this.#duckdb, this.#settings)
    /** @type {Open} */
    const open = { instance, hold, loader: undefined }
    if (this.#settings.readOnly) return open
    try {
      open.loader = openLoader(await connect(instance), this.#settings)
      await retire(open.loader, this.#settings)
      return open
    } catch (error) {
      end(open)
      throw error
    }
  }
}

/** @param {Open} open */
function end({ instance, hold, loader }) {
  // A connection that is left would keep the file open.
  loader?.close()
  instance.closeSync()
  binding._releaseWarehouse(hold)
}

module.exports = { Database }
