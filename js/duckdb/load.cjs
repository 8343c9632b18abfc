// @ts-check
'use strict'

// Loads batches. Which statements that takes is decided in Rust; what is here runs them.

/** @type {any} */
const binding = require('../../binding.cjs')
const { makeRoom } = require('./instance.cjs')

/**
 * @typedef {object} Load
 * @property {string[]} before statements that make the table what it has to be
 * @property {string} insert the statement that adds rows
 * @property {number} ticket what the rows are asked for with
 * @property {number} pieces how many there are of them
 * @property {string[]} after statements that write down that the batch is loaded
 * @property {number} columns of the table
 */

/**
 * @param {any} connection
 * @param {import('./worker.cjs').Settings} settings
 */
function openLoader(connection, settings) {
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
   * @param {Load} work
   */
  async function load({ before, insert, ticket, pieces, after, columns }) {
    if (!inTransaction) throw new Error('the transaction of the batch is over')
    try {
      await makeRoom(connection, settings, columns)
      for (const statement of before) await connection.run(statement)
      if (pieces > 0) await addPieces(insert, ticket, pieces)
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
   * @param {number} pieces
   */
  async function addPieces(insert, ticket, pieces) {
    const statement = await connection.prepare(insert)
    try {
      for (let number = 0; number < pieces; number++) {
        const lines = binding._piece(ticket, number)
        if (!lines) throw new Error('nobody waits for the batch any more')
        statement.bindBlob(1, lines)
        await statement.run()
      }
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
