// @ts-check
'use strict'

// The warehouse of an engine: DuckDB does what Rust asks for, and `engine.sql` asks it questions.

const { isObject } = require('./check.cjs')
const { invalidArgument, sendError } = require('./errors.cjs')

/** @typedef {{ query: string, format: 'rows' | 'json' | 'csv', timeoutMs?: number, maxBytes?: number }} Question */

/** @type {WeakMap<object, import('./duckdb/index.cjs').DuckDb>} */
const WAREHOUSES = new WeakMap()

/** Engines whose warehouse runs: they are its way to Rust, so they stay until they are closed. */
const RUNNING = new Set()

const FORMATS = ['rows', 'json', 'csv']
const OPTIONS = ['format', 'timeoutMs', 'maxBytes']

/**
 * Takes on the warehouse of an engine, if JavaScript runs it.
 *
 * @param {any} engine
 * @param {(engine: any) => void} prepare sees to it that jobs reach `work`
 */
function attachWarehouse(engine, prepare) {
  const settings = engine._warehouse()
  if (!settings) return
  prepare(engine)
  // It takes milliseconds, and not every engine has a warehouse.
  const { DuckDb } = require('./duckdb/index.cjs')
  const handle = new WeakRef(engine)
  const begin = () => {
    const open = handle.deref()
    if (open) RUNNING.add(open)
    return open !== undefined
  }
  WAREHOUSES.set(engine, new DuckDb(JSON.parse(settings), begin))
  engine._attachWarehouse()
}

/**
 * One job of Rust.
 *
 * @param {any} engine
 * @param {{ job: number }} asked
 */
async function work(engine, { job, ...asked }) {
  const answer = await WAREHOUSES.get(engine)?.ask(asked)
  if (answer) engine._answerJob(job, JSON.stringify(answer))
}

/**
 * @param {unknown} query
 * @param {any} options
 * @returns {Question}
 */
function checked(query, options = {}) {
  const refuse = (/** @type {string} */ message) => invalidArgument(`engine.sql(): ${message}`)
  if (typeof query !== 'string') throw refuse('the query must be a text')
  if (!isObject(options)) throw refuse('the options must be an object')
  const unknown = Object.keys(options).find((key) => !OPTIONS.includes(key))
  if (unknown !== undefined)
    throw refuse(`unknown option ${unknown}; known are ${OPTIONS.join(', ')}`)
  const { format = 'rows', timeoutMs, maxBytes } = /** @type {any} */ (options)
  if (!FORMATS.includes(format)) throw refuse(`format must be one of ${FORMATS.join(', ')}`)
  for (const [name, value] of Object.entries({ timeoutMs, maxBytes })) {
    if (value !== undefined && typeof value !== 'number') throw refuse(`${name} must be a number`)
  }
  // Rust reads no lone surrogates.
  const text = /** @type {any} */ (query).toWellFormed()
  return { query: text, format, timeoutMs, maxBytes }
}

/**
 * Reads the file of a result, which then is no longer needed.
 *
 * @param {string} file
 * @param {string} format
 */
async function resultOf(file, format) {
  const { readFile, rm } = require('node:fs/promises')
  try {
    const text = await readFile(file, 'utf8')
    return format === 'rows' ? JSON.parse(text) : text
  } catch (error) {
    // A text of JavaScript has half a gigabyte at most.
    if (/** @type {any} */ (error).code !== 'ERR_STRING_TOO_LONG') throw error
    throw sendError(
      RangeError,
      'ERR_SEND_QUERY_TOO_LARGE',
      'the result is too large for one text: ask for fewer rows, or POST /sql and download the file',
    )
  } finally {
    await rm(file, { force: true })
  }
}

/** @param {{ prototype: any }} Engine */
function addWarehouse(Engine) {
  /**
   * @param {unknown} query
   * @param {unknown} [options]
   */
  Engine.prototype.sql = async function sql(query, options) {
    const { format, ...question } = checked(query, options)
    const written = format === 'csv' ? 'csv' : 'json'
    const asked = JSON.stringify({ ...question, format: written })
    const { columns, file } = await this._query(asked)
    const result = await resultOf(file, format)
    return format === 'rows' ? { columns, rows: result } : result
  }

  const nativeClose = Engine.prototype.close

  /** @param {unknown} [options] */
  Engine.prototype.close = async function close(options) {
    try {
      return await nativeClose.call(this, options)
    } finally {
      await WAREHOUSES.get(this)?.close()
      RUNNING.delete(this)
      // Another thread that has the engine open may go on from here, and not before.
      this._detachWarehouse()
    }
  }
}

module.exports = { addWarehouse, attachWarehouse, work }
