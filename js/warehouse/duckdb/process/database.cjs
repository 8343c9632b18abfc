// @ts-check
'use strict'

// The file of the warehouse while this process has it open: from the first use until it is released.

const { Clock } = require('./clock.cjs')
const { connect, openInstance } = require('./instance.cjs')
const { Loader } = require('./load.cjs')
const { retire } = require('./retire.cjs')

/**
 * @typedef {object} Open
 * @property {typeof import('@duckdb/node-api')} duckdb
 * @property {import('@duckdb/node-api').DuckDBInstance} instance
 * @property {Loader | undefined} loader
 * @property {Clock | undefined} clock by which rows are deleted
 */

class Database {
  #duckdb
  #settings
  /** @type {Promise<Open> | undefined} */
  #opening
  /** @type {Open | undefined} */
  #open
  /** @type {Clock | undefined} */
  #clock

  /**
   * @param {typeof import('@duckdb/node-api')} duckdb
   * @param {import('./main.cjs').Settings} settings
   */
  constructor(duckdb, settings) {
    this.#duckdb = duckdb
    this.#settings = settings
  }

  get isOpen() {
    return this.#open !== undefined
  }

  /** Opens the file, if it is not open. */
  open() {
    this.#opening ??= this.#opened()
    return this.#opening
  }

  /** Interrupts what is loaded. */
  async interrupt() {
    const open = await this.#opening?.catch(() => undefined)
    open?.loader?.end()
  }

  /** Closes the file, once it is open. Nothing may use it. */
  async close() {
    await this.#opening?.catch(() => undefined)
    this.closeNow()
  }

  closeNow() {
    const open = this.#open
    this.#opening = undefined
    this.#open = undefined
    // A connection that is left would keep the file open.
    open?.loader?.close()
    open?.instance.closeSync()
  }

  /** @returns {Promise<Open>} */
  async #opened() {
    const instance = await openInstance(this.#duckdb, this.#settings)
    this.#open = { duckdb: this.#duckdb, instance, loader: undefined, clock: undefined }
    if (this.#settings.readOnly) return this.#open
    try {
      const loader = new Loader(await connect(instance), this.#settings)
      this.#open.loader = loader
      if (!this.#clock) {
        const clock = new Clock(await newestLoad(loader))
        await retire(loader, this.#settings, clock)
        this.#clock = clock
      }
      this.#open.clock = this.#clock
      return this.#open
    } catch (error) {
      this.closeNow()
      throw error
    }
  }
}

/**
 * When the newest batch was loaded, in milliseconds.
 *
 * @param {Loader} loader
 */
async function newestLoad(loader) {
  const [[newest]] = await loader.run('SELECT epoch_ms(max(loaded_at)) FROM dollar_send.batches')
  return newest === null ? undefined : Number(newest)
}

module.exports = { Database }
