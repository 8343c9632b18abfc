// @ts-check
'use strict'

// Loads batches. Which statements that takes is decided in Rust; what is here runs them.

/** @type {any} */
const binding = require('../../binding.cjs')

/**
 * @param {any} duckdb
 * @param {any} connection
 */
function openLoader(duckdb, connection) {
  let inTransaction = false

  async function rollBack() {
    if (!inTransaction) return
    inTransaction = false
    // One that failed may be over already.
    await connection.run('ROLLBACK').catch(() => {})
  }

  /**
   * @param {string} sql
   * @param {string[]} values
   */
  async function rows(sql, values) {
    return (await connection.runAndReadAll(sql, values)).getRows()
  }

  /**
   * Begins the transaction of a batch and says what is there.
   *
   * @param {{ table: string, batch: string }} work
   */
  async function begin({ table, batch }) {
    // Whoever began one and did not go on with it has given up.
    await rollBack()
    await connection.run('BEGIN')
    inTransaction = true
    const known = await rows('SELECT 1 FROM dollar_send.batches WHERE id = $1', [batch])
    if (known.length > 0) {
      await rollBack()
      return { loaded: true, shape: null }
    }
    const [shape] = await rows('SELECT shape FROM dollar_send.tables WHERE name = $1', [table])
    return { loaded: false, shape: shape ? JSON.parse(shape[0]) : null }
  }

  /**
   * Goes on with it, and commits it.
   *
   * @param {{ before: string[], insert: string, ticket: number, pieces: number, after: string[] }} work
   */
  async function load({ before, insert, ticket, pieces, after }) {
    if (!inTransaction) throw new Error('the transaction of the batch is over')
    try {
      for (const statement of before) await connection.run(statement)
      for (let number = 0; number < pieces; number++) await addPiece(insert, ticket, number)
      for (const statement of after) await connection.run(statement)
      await connection.run('COMMIT')
      inTransaction = false
    } catch (error) {
      await rollBack()
      throw error
    }
  }

  /**
   * @param {string} insert
   * @param {number} ticket
   * @param {number} number
   */
  async function addPiece(insert, ticket, number) {
    const lines = binding._piece(ticket, number)
    if (!lines) throw new Error('nobody waits for the batch any more')
    const statement = await connection.prepare(insert)
    try {
      statement.bindBlob(1, lines)
      await statement.run()
    } finally {
      statement.destroySync()
    }
  }

  return {
    begin,
    load,
    rollBack,
    /** @param {string} sql */
    run: (sql) => connection.runAndReadAll(sql),
    close: () => connection.disconnectSync(),
  }
}

module.exports = { openLoader }
