// @ts-check
'use strict'

// Answers queries: checks, runs within limits, and writes the result to a file.

const { randomUUID } = require('node:crypto')
const { mkdir, open, rm } = require('node:fs/promises')
const { join } = require('node:path')

const { prepareAllowed, refused } = require('./allowed.cjs')
const { WarehouseError } = require('./failure.cjs')
const { INTERRUPT_MS, connect } = require('./instance.cjs')
const { retireResults } = require('./retire.cjs')
const { createWriter } = require('./write.cjs')

/**
 * @typedef {object} Question
 * @property {string} query
 * @property {'json' | 'csv'} format
 * @property {number} timeoutMs
 * @property {number} maxBytes
 * @property {number} preview
 */

/** What ends each query that runs. @type {Set<() => void>} */
const running = new Set()

/**
 * @param {any} duckdb
 * @param {any} instance
 * @param {import('./worker.cjs').Settings} settings
 * @param {Question} question
 * @param {number} waited milliseconds that it waited for its turn
 */
async function runQuery(duckdb, instance, { results }, question, waited) {
  if (waited >= question.timeoutMs) throw tooSlow(question)
  /** @type {any} */
  let connection
  /** @type {Error | undefined} */
  let over
  /** @type {NodeJS.Timeout | undefined} */
  let interrupting
  const end = (/** @type {Error} */ reason) => {
    over ??= reason
    interrupting ??= setInterval(() => connection?.interrupt(), INTERRUPT_MS)
  }
  const close = () => end(closed())
  // Before anything is waited for: the end may come meanwhile.
  running.add(close)
  const timer = setTimeout(() => end(tooSlow(question)), question.timeoutMs - waited)
  const file = join(results, `${randomUUID()}.${question.format}`)
  try {
    connection = await connect(instance)
    await retireResults(results)
    await connection.run('BEGIN TRANSACTION READ ONLY')
    const statement = await prepareAllowed(duckdb, connection, question.query)
    return await written(duckdb, statement, file, question, () => over)
  } catch (error) {
    await rm(file, { force: true })
    throw over ?? meant(error)
  } finally {
    clearTimeout(timer)
    clearInterval(interrupting)
    running.delete(close)
    // It takes its transaction along.
    connection?.disconnectSync()
  }
}

/** Ends all that run. */
function endQueries() {
  for (const close of running) close()
}

/**
 * @param {any} duckdb
 * @param {any} statement
 * @param {string} file
 * @param {Question} question
 * @param {() => Error | undefined} over why it should be over
 */
async function written(duckdb, statement, file, question, over) {
  const result = await statement.stream()
  const names = result.deduplicatedColumnNames()
  const types = result.columnTypes()
  const columns = names.map((/** @type {string} */ name, /** @type {number} */ place) => ({
    name,
    type: String(types[place]),
  }))
  const writer = createWriter(duckdb, question.format, names)
  await mkdir(join(file, '..'), { recursive: true, mode: 0o700 })
  const handle = await open(file, 'wx', 0o600)
  let bytes = 0
  let rowCount = 0
  /** @type {(string | null)[][]} */
  const preview = []

  /** @param {string} text */
  const write = async (text) => {
    const encoded = Buffer.from(text)
    bytes += encoded.length
    if (bytes > question.maxBytes) {
      throw new WarehouseError(
        'ERR_SEND_QUERY_TOO_LARGE',
        `the result has more than ${question.maxBytes} bytes (maxBytes): ask for fewer rows or columns`,
      )
    }
    await handle.write(encoded)
  }

  try {
    await write(writer.begin)
    for (;;) {
      const chunk = await result.fetchChunk()
      const reason = over()
      if (reason) throw reason
      if (!chunk || chunk.rowCount === 0) break
      const rows = writer.read(chunk)
      for (const row of rows.slice(0, Math.max(0, question.preview - preview.length))) {
        preview.push(writer.texts(row))
      }
      await write(writer.rows(rows, rowCount === 0))
      rowCount += rows.length
    }
    await write(writer.end)
  } finally {
    await handle.close()
  }
  return { columns, rowCount, file, bytes, preview }
}

/** @param {Question} question */
function tooSlow({ timeoutMs }) {
  return new WarehouseError(
    'ERR_SEND_QUERY_TIMEOUT',
    `the query took longer than ${timeoutMs} ms (timeoutMs) and was interrupted`,
  )
}

function closed() {
  return new WarehouseError('ERR_SEND_QUERY_FAILED', 'the warehouse was closed')
}

/** @param {any} error */
function meant(error) {
  if (error instanceof WarehouseError) return error
  const message = String(error?.message ?? error)
  if (/^Permission Error/.test(message)) return refused('It reaches for a file')
  if (/launched in read-only mode/.test(message)) return refused('It writes')
  return new WarehouseError('ERR_SEND_QUERY_FAILED', message)
}

module.exports = { closed, endQueries, runQuery }
