// @ts-check
'use strict'

// Writes objects in Parquet, with DuckDB in a process of its own. Its database is in memory, and empty
// between two objects.

const { join } = require('node:path')

const { notConfigured, unavailable } = require('./answers.cjs')
const { Child } = require('./child.cjs')
const { StartError } = require('./start.cjs')
const { Turns } = require('./turns.cjs')

/** Its processes are not counted: they hold no file. */
const NO_WATCHER = { began() {}, ended() {} }

/** What its errors say. */
const WORDS = { purpose: 'Parquet is written by', whenFull: 'lower s3.batch.maxBytes' }

class ParquetWriter {
  #begin
  #child
  #turns = new Turns(0)
  #isClosed = false

  /**
   * @param {{ folder: string, memoryBytes: number, threads: number }} settings as Rust says them
   * @param {() => boolean} begin called before DuckDB starts; `false`: the engine is gone
   */
  constructor({ folder, ...settings }, begin) {
    this.#begin = begin
    const database = { ...settings, folder, file: null, retentionDays: null, readOnly: false }
    const scratch = join(folder, 'scratch')
    this.#child = new Child({ ...database, scratch, ...WORDS }, NO_WATCHER)
  }

  /**
   * Writes one object. It never rejects.
   *
   * @param {import('./index.cjs').Work} work
   * @returns {Promise<import('./answers.cjs').Answer>}
   */
  async ask(work) {
    try {
      return await this.#turns.write(async () => {
        if (this.#isClosed || !this.#begin()) return unavailable('the engine is closed')
        const answer = await this.#child.ask(work, work.timeoutMs)
        return 'ended' in answer ? unavailable(`DuckDB's process ended: ${answer.ended}`) : answer
      })
    } catch (error) {
      const { message } = /** @type {Error} */ (error)
      return error instanceof StartError ? notConfigured(message) : unavailable(message)
    }
  }

  /** Ends the process. */
  async close() {
    this.#isClosed = true
    await this.#child.end()
  }
}

module.exports = { ParquetWriter }
