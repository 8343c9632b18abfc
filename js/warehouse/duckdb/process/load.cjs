// @ts-check
'use strict'

// Loads batches. Which statements that takes is decided in Rust; what is here runs them.

const { open } = require('node:fs/promises')

const { INTERRUPT_MS, makeRoom } = require('./instance.cjs')

/**
 * @typedef {object} Load
 * @property {string[]} before statements that make the table what it has to be
 * @property {string} insert the statement that adds rows
 * @property {string} file holds the rows
 * @property {number[]} pieces how many bytes each piece of whole rows has
 * @property {string[]} after statements that write down that the batch is loaded
 * @property {number} columns of the table
 */

/** Loads batches over a connection of its own. */
class Loader {
  #connection
  #settings
  /** @type {NodeJS.Timeout | undefined} */
  #interrupting

  /**
   * @param {import('@duckdb/node-api').DuckDBConnection} connection
   * @param {import('./main.cjs').Settings} settings
   */
  constructor(connection, settings) {
    this.#connection = connection
    this.#settings = settings
  }

  /**
   * Returns the rows that a statement has.
   *
   * @param {string} sql
   * @param {string[]} [values]
   */
  async run(sql, values) {
    return (await this.#connection.runAndReadAll(sql, values)).getRows()
  }

  /**
   * Returns whether a batch is loaded, and the shape of its table.
   *
   * @param {{ table: string, batch: string }} work
   */
  async look({ table, batch }) {
    const known = await this.run('SELECT 1 FROM dollar_send.batches WHERE id = $1', [batch])
    const [shape] = await this.run('SELECT shape FROM dollar_send.tables WHERE name = $1', [table])
    return { loaded: known.length > 0, shape: shape ? JSON.parse(String(shape[0])) : null }
  }

  /**
   * Loads a batch, all or nothing.
   *
   * @param {Load} work
   */
  async load(work) {
    const connection = this.#connection
    const { before, pieces, after, columns } = work
    await connection.run('BEGIN')
    try {
      await makeRoom(connection, this.#settings, columns)
      for (const statement of before) await connection.run(statement)
      if (pieces.length > 0) await this.#addPieces(work)
      for (const statement of after) await connection.run(statement)
      await connection.run('COMMIT')
    } catch (error) {
      // What failed may be over already.
      await connection.run('ROLLBACK').catch(() => {})
      throw error
    }
  }

  /** @param {Load} work */
  async #addPieces({ insert, file, pieces }) {
    const statement = await this.#connection.prepare(insert)
    // One for all: what is made for each would be collected late.
    const lines = Buffer.allocUnsafeSlow(pieces.reduce((one, other) => Math.max(one, other), 0))
    const rows = await open(file)
    try {
      for (const bytes of pieces) {
        const { bytesRead } = await rows.read(lines, 0, bytes)
        if (bytesRead < bytes) throw new Error(`the rows of the batch end too early: ${file}`)
        statement.bindBlob(1, lines.subarray(0, bytes))
        await statement.run()
      }
    } finally {
      await rows.close()
      statement.destroySync()
    }
  }

  /** Interrupts what runs, and whatever would come after it. */
  end() {
    this.#interrupting ??= setInterval(() => this.#connection.interrupt(), INTERRUPT_MS)
  }

  close() {
    clearInterval(this.#interrupting)
    this.#connection.disconnectSync()
  }
}

module.exports = { Loader }
