// @ts-check
'use strict'

// The file of the warehouse while this process has it open: from the first use until it is released.

const { connect, openInstance } = require('./instance.cjs')
const { openLoader } = require('./load.cjs')
const { retire } = require('./retire.cjs')

/** @typedef {{ duckdb: any, instance: any, loader: ReturnType<typeof openLoader> | undefined }} Open */

class Database {
  #duckdb
  #settings
  /** @type {Promise<Open> | undefined} */
  #opening
  /** @type {Open | undefined} */
  #open
  #hasRetired = false

  /**
   * @param {any} duckdb
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
    this.#open = { duckdb: this.#duckdb, instance, loader: undefined }
    if (this.#settings.readOnly) return this.#open
    try {
      this.#open.loader = openLoader(await connect(instance), this.#settings)
      if (!this.#hasRetired) await retire(this.#open.loader, this.#settings)
      this.#hasRetired = true
      return this.#open
    } catch (error) {
      this.closeNow()
      throw error
    }
  }
}

module.exports = { Database }
