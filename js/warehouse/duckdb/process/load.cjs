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

/**
 * @param {import('@duckdb/node-api').DuckDBConnection} connection
 * @param {import('./main.cjs').Settings} settings
 */
function openLoader(connection, settings) {
  /** @type {NodeJS.Timeout | undefined} */
  let interrupting

  /**
   * @param {string} sql
   * @param {string[]} values
   */
  async function rows(sql, values) {
    return (await connection.runAndReadAll(sql, values)).getRows()
  }

  /**
   * Says what is there of a batch, and what its table is.
   *
   * @param {{ table: string, batch: string }} work
   */
  async function look({ table, batch }) {
    const known = await rows('SELECT 1 FROM dollar_send.batches WHERE id = $1', [batch])
    const [shape] = await rows('SELECT shape FROM dollar_send.tables WHERE name = $1', [table])
    return { loaded: known.length > 0, shape: shape ? JSON.parse(String(shape[0])) : null }
  }

  /**
   * Loads it, all or nothing.
   *
   * @param {Load} work
   */
  async function load(work) {
    const { before, pieces, after, columns } = work
    await connection.run('BEGIN')
    try {
      await makeRoom(connection, settings, columns)
      for (const statement of before) await connection.run(statement)
      if (pieces.length > 0) await addPieces(work)
      for (const statement of after) await connection.run(statement)
      await connection.run('COMMIT')
    } catch (error) {
      // What failed may be over already.
      await connection.run('ROLLBACK').catch(() => {})
      throw error
    }
  }

  /** @param {Load} work */
  async function addPieces({ insert, file, pieces }) {
    const statement = await connection.prepare(insert)
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

  return {
    look,
    load,
    /** @param {string} sql */
    run: (sql) => connection.runAndReadAll(sql),
    /** Interrupts what runs, and whatever would come after it. */
    end() {
      interrupting ??= setInterval(() => connection.interrupt(), INTERRUPT_MS)
    },
    close() {
      clearInterval(interrupting)
      connection.disconnectSync()
    },
  }
}

module.exports = { openLoader }
