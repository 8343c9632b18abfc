// `dollar-send sql`: a question to the warehouse of a data directory, or to a server.

import { createReadStream, existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'

import engineOptions from '../options.cjs'
import duckdb from '../warehouse/duckdb/index.cjs'
import { configuration } from './config.mjs'
import { createPaint, harmless, oneLine } from './paint.mjs'
import { Server } from './server.mjs'
import { table, terminalWidth } from './table.mjs'
import { EXIT, UsageError } from './usage.mjs'

/** @typedef {import('./arguments.mjs').SqlSettings} SqlSettings */
/** @typedef {import('../warehouse/duckdb/process/query.cjs').Written} Written */
/**
 * @typedef {object} Answer What a server says to a query.
 * @property {{ toDisplay?: string }} [error]
 * @property {{ Rows: { Data: { VarCharValue?: string }[] }[] }} [resultSet] the names, then the rows
 * @property {string} [resultsFilename]
 */
/**
 * @typedef {object} Found
 * @property {string[]} names
 * @property {(string | null)[][]} rows the first ones
 * @property {number} [count] all of them, if that is known
 * @property {() => Promise<Readable>} csv all of them
 */

/** Rows of a table on the screen. */
const SHOWN = 1000
/** Characters of a cell on the screen. */
const WIDE = 60
/** Milliseconds and bytes that a query may take. */
const TIMEOUT_MS = 60_000
const MAX_BYTES = 1e9

/** The query cannot be answered: its own fault, or that of what it is asked of. */
class QueryError extends Error {}

/**
 * @param {SqlSettings} settings
 * @returns {Promise<number>} the exit status
 * @throws {UsageError}
 */
export async function sqlCommand(settings) {
  const ask = settings.url === undefined ? askDirectory : askServer
  try {
    await ask(settings, (found) => print(found, settings))
    return 0
  } catch (error) {
    if (!(error instanceof QueryError)) throw error
    process.stderr.write(`${harmless(error.message)}\n`)
    return EXIT.failed
  }
}

/**
 * @param {SqlSettings} settings
 * @param {(found: Found) => Promise<void>} use
 */
async function askDirectory({ query, timeoutMs = TIMEOUT_MS, ...place }, use) {
  const { dataDir, options } = await configuration(place)
  const chosen = options.sql?.duckdb?.file ?? join(String(dataDir), 'warehouse', 'warehouse.duckdb')
  const file = engineOptions.pathText(chosen)
  if (!existsSync(file)) throw new UsageError(`There is no warehouse in ${dataDir} yet.`)
  const results = mkdtempSync(join(tmpdir(), 'dollar-send-'))
  const warehouse = new duckdb.DuckDb({
    file,
    results,
    retentionDays: null,
    memoryBytes: 512e6,
    threads: 2,
    readOnly: true,
  })
  try {
    const work = { op: 'query', query, format: 'csv', preview: SHOWN }
    const answer = await alive(warehouse.ask({ ...work, timeoutMs, maxBytes: MAX_BYTES }))
    if ('failed' in answer) throw new QueryError(advised(answer.failed))
    const { columns, rowCount, file: result, preview } = /** @type {Written} */ (answer.done)
    await use({
      names: columns.map(({ name }) => name),
      rows: preview,
      count: rowCount,
      csv: async () => createReadStream(result),
    })
  } finally {
    await warehouse.close()
    rmSync(results, { recursive: true, force: true })
  }
}

/**
 * Keeps the process alive while something is waited for that does not.
 *
 * @template T
 * @param {Promise<T>} promise
 */
async function alive(promise) {
  const timer = setInterval(() => {}, 2 ** 30)
  return promise.finally(() => clearInterval(timer))
}

/** @param {{ message: string }} failed */
function advised({ message }) {
  if (!message.includes('another process has the warehouse open')) return message
  return `${message}\nAsk its server instead: dollar-send sql --url http://HOST:PORT "SELECT …"`
}

/**
 * @param {SqlSettings} settings
 * @param {(found: Found) => Promise<void>} use
 */
async function askServer({ url, query, token }, use) {
  const server = new Server(String(url), token)
  const response = await server.request('/sql', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ query }),
  })
  const answer = /** @type {Answer} */ (await response.json().catch(() => ({})))
  const { error, resultSet, resultsFilename } = answer
  if (error) throw new QueryError(error.toDisplay ?? String(error))
  if (!resultSet) throw new QueryError(`${url} answered ${response.status}, and no result`)
  const [head, ...rows] = resultSet.Rows.map(({ Data }) =>
    Data.map(({ VarCharValue }) => VarCharValue ?? null),
  )
  await use({
    names: head.map(String),
    rows,
    csv: async () => {
      const file = await server.request(`/sql/csv/${resultsFilename}`)
      return Readable.fromWeb(/** @type {import('node:stream/web').ReadableStream} */ (file.body))
    },
  })
}

/**
 * @param {Found} found
 * @param {SqlSettings} settings
 */
async function print(found, { format }) {
  if (format === 'csv') {
    const csv = await found.csv()
    // A file or a program gets every byte as it is.
    const shown = process.stdout.isTTY ? csv.setEncoding('utf8').map(harmless) : csv
    await pipeline(shown, process.stdout, { end: false })
  } else {
    process.stdout.write(tableOf(found, createPaint(process.stdout)))
  }
}

/**
 * @param {Found} found
 * @param {ReturnType<typeof createPaint>} paint
 */
function tableOf({ names, rows, count }, paint) {
  const body = rows.map((row) =>
    row.map((text) => ({ text: text === null ? 'NULL' : shown(text) })),
  )
  const columns = names.map((name, column) => ({
    title: shown(name),
    least: LEAST,
    ...(isNumeric(rows, column) && { align: /** @type {const} */ ('right') }),
  }))
  const lines = table(columns, body, paint, terminalWidth(process.stdout), 'ruled')
  const all = count ?? rows.length
  const more = rows.length < all || (count === undefined && rows.length >= SHOWN)
  const summary = more
    ? `The first ${rows.length}${count === undefined ? '' : ` of ${count}`} rows; --csv prints all`
    : `${all} ${all === 1 ? 'row' : 'rows'}`
  return `${lines.join('\n')}\n\n${paint('dim', summary)}\n`
}

/** The width to which a column shrinks. */
const LEAST = 8

/** @param {(string | null)[][]} rows @param {number} column */
function isNumeric(rows, column) {
  const values = rows.map((row) => row[column]).filter((value) => value !== null)
  return (
    values.length > 0 && values.every((value) => /^-?\d+(\.\d+)?(e[+-]?\d+)?$/i.test(String(value)))
  )
}

/** @param {string} text */
function shown(text) {
  const plain = oneLine(text)
  const characters = [...plain]
  return characters.length > WIDE ? `${characters.slice(0, WIDE - 1).join('')}…` : plain
}
