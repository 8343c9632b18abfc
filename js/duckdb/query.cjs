// @ts-check
'use strict'

// Answers queries: checks, runs within limits, and writes the result to a file.

const { randomUUID } = require('node:crypto')
const { mkdir, open, rm } = require('node:fs/promises')
const { join } = require('node:path')

const { checkAllowed, refused } = require('./allowed.cjs')
const { WarehouseError } = require('./failure.cjs')
const { createWriter } = require('./write.cjs')

/**
 * @typedef {object} Question
 * @property {string} query
 * @property {'json' | 'csv'} format
 * @property {number} timeoutMs
 * @property {number} maxBytes
 * @property {number} preview
 */

/** The connections of queries that run. @type {Set<any>} */
const running = new Set()

/**
 * @param {any} duckdb
 * @param {any} instance
 * @param {import('./worker.cjs').Settings} settings
 * @param {Question} question
 */
async function runQuery(duckdb, instance, { results }, question) {
  const connection = await instance.connect()
  running.add(connection)
  let late = false
  const timer = setTimeout(() => {
    late = true
    connection.interrupt()
  }, question.timeoutMs)
  const file = join(results, `${randomUUID()}.${question.format}`)
  try {
    await checkAllowed(connection, question.query)
    await connection.run('BEGIN TRANSACTION READ ONLY')
    return await written(duckdb, connection, file, question, () => late)
  } catch (error) {
    await rm(file, { force: true })
    throw late ? tooSlow(question) : meant(error)
  } finally {
    clearTimeout(timer)
    running.delete(connection)
    // It takes its transaction along.
    connection.disconnectSync()
  }
}

runQuery.running = running

/**
 * @param {any} duckdb
 * @param {any} connection
 * @param {string} file
 * @param {Question} question
 * @param {() => boolean} late
 */
async function written(duckdb, connection, file, question, late) {
  const result = await connection.stream(question.query)
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
      if (late()) throw tooSlow(question)
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

/** @param {any} error */
function meant(error) {
  if (error instanceof WarehouseError) return error
  const message = String(error?.message ?? error)
  if (/^Permission Error/.test(message)) return refused('It reaches for a file')
  if (/launched in read-only mode/.test(message)) return refused('It writes')
  if (/^INTERRUPT/.test(message)) {
    return new WarehouseError('ERR_SEND_QUERY_FAILED', 'the warehouse was closed')
  }
  return new WarehouseError('ERR_SEND_QUERY_FAILED', message)
}

module.exports = { runQuery }
