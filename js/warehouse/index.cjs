// @ts-check
'use strict'

// DuckDB of an engine: it runs the jobs of the addon for the warehouse and for objects in Parquet, and the
// queries of `engine.sql`.

const { answered, called, invalidArgument, sendError } = require('../errors.cjs')
const { unknown: unknownName } = require('../suggest.cjs')
const { isObject, wellFormed } = require('../values.cjs')

/** @typedef {{ query: string, format: string, timeoutMs?: unknown, maxBytes?: unknown }} Question */

const FORMATS = ['rows', 'json', 'csv']
const OPTIONS = ['format', 'timeoutMs', 'maxBytes']

/**
 * @param {unknown} query
 * @param {unknown} options
 * @returns {Question}
 */
function checked(query, options = {}) {
  const refuse = (/** @type {string} */ message) => invalidArgument(`engine.sql(): ${message}`)
  if (typeof query !== 'string') throw refuse('the query must be a text')
  if (!isObject(options)) throw refuse('the options must be an object')
  const unknown = Object.keys(options).find((key) => !OPTIONS.includes(key))
  if (unknown !== undefined) throw refuse(unknownName('option', unknown, OPTIONS))
  const { format = 'rows', timeoutMs, maxBytes } = /** @type {Record<string, unknown>} */ (options)
  if (typeof format !== 'string' || !FORMATS.includes(format))
    throw refuse(`format must be one of ${FORMATS.join(', ')}`)
  for (const [name, value] of Object.entries({ timeoutMs, maxBytes })) {
    if (value !== undefined && typeof value !== 'number') throw refuse(`${name} must be a number`)
  }
  return { query: wellFormed(query), format, timeoutMs, maxBytes }
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
    if (/** @type {NodeJS.ErrnoException} */ (error).code !== 'ERR_STRING_TOO_LONG') throw error
    throw sendError(
      RangeError,
      'ERR_SEND_QUERY_TOO_LARGE',
      'the result is too large for one text: ask for fewer rows, or POST /sql and download the file',
    )
  } finally {
    await rm(file, { force: true })
  }
}

/** The warehouse of one engine. */
class Warehouse {
  #handle
  /**
   * The workers for jobs, by destination.
   *
   * @type {Map<string, import('./duckdb/index.cjs').DuckDb | import('./duckdb/parquet.cjs').ParquetWriter>}
   */
  #workers = new Map()

  /**
   * @param {import('../native.cjs').EngineHandle} handle
   * @param {() => boolean} begin called before DuckDB starts; `false`: the engine is gone
   */
  constructor(handle, begin) {
    this.#handle = handle
    const settings = handle.attachDuckDb()
    if (!settings) return
    const { sql, s3 } = JSON.parse(settings)
    // It takes milliseconds, and not every engine has a warehouse that JavaScript runs.
    const { DuckDb } = require('./duckdb/index.cjs')
    const { ParquetWriter } = require('./duckdb/parquet.cjs')
    if (sql) this.#workers.set('sql', new DuckDb(sql, begin))
    if (s3) this.#workers.set('s3', new ParquetWriter(s3, begin))
  }

  /** @param {string} destination */
  runs(destination) {
    return this.#workers.has(destination)
  }

  /**
   * Runs one job of the addon.
   *
   * @param {{ job: number, destination: string }} work
   */
  async work({ job, destination, ...work }) {
    const worker = this.#workers.get(destination)
    const answer = await worker?.ask(/** @type {import('./duckdb/index.cjs').Work} */ (work))
    if (answer) this.#handle.answerJob(job, answer)
  }

  /**
   * @param {unknown} query
   * @param {unknown} [options]
   */
  async query(query, options) {
    const { format, ...question } = checked(query, options)
    const written = format === 'csv' ? 'csv' : 'json'
    const text = JSON.stringify({ ...question, format: written })
    const { columns, file } = JSON.parse(await answered(called(() => this.#handle.query(text))))
    const result = await resultOf(file, format)
    return format === 'rows' ? { columns, rows: result } : result
  }

  /** Closes DuckDB. */
  async close() {
    await Promise.all([...this.#workers.values()].map((worker) => worker.close()))
  }
}

module.exports = { Warehouse }
