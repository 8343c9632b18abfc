// `dollar-send sql`: a question to the warehouse of a data directory, or to a server.

import { createReadStream, existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'

import duckdb from '../duckdb/index.cjs'
import { createPaint, harmless } from './paint.mjs'
import { EXIT, UsageError } from './usage.mjs'

/** @typedef {import('./arguments.mjs').SqlSettings} SqlSettings */
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

/** Where tokens may stand that are not to be seen in a list of processes. */
const TOKENS_VARIABLE = 'DOLLAR_SEND_TOKENS'

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
    process.stderr.write(`${error.message}\n`)
    return EXIT.failed
  }
}

/**
 * @param {SqlSettings} settings
 * @param {(found: Found) => Promise<void>} use
 */
async function askDirectory({ dataDir, query, timeoutMs = TIMEOUT_MS }, use) {
  const file = join(/** @type {string} */ (dataDir), 'warehouse', 'warehouse.duckdb')
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
    const { columns, rowCount, file: result, preview } = /** @type {any} */ (answer.done)
    await use({
      names: columns.map((/** @type {{ name: string }} */ { name }) => name),
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
  const known = token ?? (process.env[TOKENS_VARIABLE] ?? '').split(',')[0].trim()
  /** @type {Record<string, string>} */
  const headers = known ? { authorization: `Bearer ${known}` } : {}
  const base = /** @type {string} */ (url).replace(/\/$/, '')
  const response = await reached(`${base}/sql`, {
    method: 'POST',
    headers: { ...headers, 'content-type': 'application/json' },
    body: JSON.stringify({ query }),
  })
  /** @type {any} */
  const answer = await response.json().catch(() => ({}))
  const { error, resultSet, resultsFilename } = answer
  if (error) throw new QueryError(error.toDisplay ?? String(error))
  if (!resultSet) throw new QueryError(`${base} answered ${response.status}, and no result`)
  const [names, ...rows] = resultSet.Rows.map((/** @type {any} */ { Data }) =>
    Data.map((/** @type {any} */ { VarCharValue }) => VarCharValue ?? null),
  )
  await use({
    names,
    rows,
    csv: async () => {
      const file = await reached(`${base}/sql/csv/${resultsFilename}`, { headers })
      return Readable.fromWeb(/** @type {any} */ (file.body))
    },
  })
}

/**
 * @param {string} url
 * @param {RequestInit} init
 */
async function reached(url, init) {
  try {
    return await fetch(url, init)
  } catch (error) {
    const { message, cause } = /** @type {any} */ (error)
    throw new QueryError(`${url} cannot be reached: ${cause?.message || cause?.code || message}`)
  }
}

/**
 * @param {Found} found
 * @param {SqlSettings} settings
 */
async function print(found, { format }) {
  if (format === 'csv') {
    await pipeline(await found.csv(), process.stdout, { end: false })
  } else {
    process.stdout.write(tableOf(found, createPaint(process.stdout)))
  }
}

/**
 * @param {Found} found
 * @param {ReturnType<typeof createPaint>} paint
 */
function tableOf({ names, rows, count }, paint) {
  const head = names.map(shown)
  const body = rows.map((row) => row.map((text) => (text === null ? 'NULL' : shown(text))))
  const widths = head.map((name, column) =>
    Math.max(...[name, ...body.map((row) => row[column])].map((text) => [...text].length)),
  )
  const line = (/** @type {string[]} */ cells) =>
    cells
      .map((cell, column) => cell + ' '.repeat(widths[column] - [...cell].length))
      .join('  ')
      .trimEnd()
  const rule = widths.map((width) => '-'.repeat(width)).join('  ')
  const all = count ?? rows.length
  const more = rows.length < all || (count === undefined && rows.length >= SHOWN)
  const summary = more
    ? `The first ${rows.length}${count === undefined ? '' : ` of ${count}`} rows; --csv prints all`
    : `${all} ${all === 1 ? 'row' : 'rows'}`
  return `${[paint('bold', line(head)), rule, ...body.map(line)].join('\n')}\n\n${paint('dim', summary)}\n`
}

/** @param {string} text */
function shown(text) {
  const plain = harmless(text).replaceAll('\n', '\\n').replaceAll('\t', '\\t')
  const characters = [...plain]
  return characters.length > WIDE ? `${characters.slice(0, WIDE - 1).join('')}…` : plain
}
