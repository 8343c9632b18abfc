// @ts-check
'use strict'

// Answers queries: checks, runs within limits, and writes the result to a file.

const { mkdir, open, rm } = require('node:fs/promises')
const { dirname } = require('node:path')

const { prepareAllowed, refused } = require('./allowed.cjs')
const { WarehouseError } = require('./failure.cjs')
const { messageOf } = require('../../../values.cjs')
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
 * @property {number} leftMs of the time that it may take
 * @property {string} file is written
 */
/** @typedef {Awaited<ReturnType<typeof written>>} Written What is answered: the rows themselves are in the file. */

/** Rows become text until there is so much of it, which is then written. */
const WRITE_CHARACTERS = 1 << 16
/** Bytes of the rows that the answer itself holds: it passes through the memory of the runner. */
const PREVIEW_BYTES = 8e6

/**
 * @param {import('./database.cjs').Open} open
 * @param {import('./main.cjs').Settings} settings
 * @param {Question} question
 */
async function runQuery({ duckdb, instance }, { results }, question) {
  const connection = await connect(instance)
  /** @type {Error | undefined} */
  let over
  /** @type {NodeJS.Timeout | undefined} */
  let interrupting
  const timer = setTimeout(() => {
    over = tooSlow(question)
    interrupting = setInterval(() => connection.interrupt(), INTERRUPT_MS)
  }, question.leftMs)
  try {
    await retireResults(results)
    await connection.run('BEGIN TRANSACTION READ ONLY')
    const statement = await prepareAllowed(duckdb, connection, question.query)
    return await written(duckdb, statement, question, () => over)
  } catch (error) {
    await rm(question.file, { force: true })
    throw over ?? meant(error)
  } finally {
    clearTimeout(timer)
    clearInterval(interrupting)
    // It takes its transaction along.
    connection.disconnectSync()
  }
}

/**
 * @param {typeof import('@duckdb/node-api')} duckdb
 * @param {import('@duckdb/node-api').DuckDBPreparedStatement} statement
 * @param {Question} question
 * @param {() => Error | undefined} over why it should be over
 */
async function written(duckdb, statement, question, over) {
  const result = await statement.stream()
  const names = result.deduplicatedColumnNames()
  const types = result.columnTypes()
  const columns = names.map((/** @type {string} */ name, /** @type {number} */ place) => ({
    name,
    type: String(types[place]),
  }))
  const writer = createWriter(duckdb, question.format, names)
  const { rowCount, bytes, preview } = await writeRows(result, writer, question, over)
  return { columns, rowCount, file: question.file, bytes, preview }
}

/**
 * @param {import('@duckdb/node-api').DuckDBResult} result
 * @param {ReturnType<typeof createWriter>} writer
 * @param {Question} question
 * @param {() => Error | undefined} over
 */
async function writeRows(result, writer, { file, maxBytes, preview }, over) {
  await mkdir(dirname(file), { recursive: true, mode: 0o700 })
  const handle = await open(file, 'wx', 0o600)
  const sink = createSink(handle, maxBytes)
  const first = createPreview(preview)
  let rowCount = 0
  try {
    sink.add(writer.begin)
    for (let chunk; (chunk = await result.fetchChunk()) && chunk.rowCount > 0;) {
      for (let place = 0; place < chunk.rowCount; place++) {
        const row = writer.read(chunk, place)
        first.add(() => writer.texts(row))
        sink.add(writer.row(row, rowCount === 0))
        rowCount++
        if (sink.isFull()) await sink.write()
        const reason = over()
        if (reason) throw reason
      }
    }
    const reason = over()
    if (reason) throw reason
    sink.add(writer.end)
    await sink.write()
  } finally {
    await handle.close()
  }
  return { rowCount, bytes: sink.bytes(), preview: first.rows }
}

/**
 * @param {import('node:fs/promises').FileHandle} handle
 * @param {number} maxBytes
 */
function createSink(handle, maxBytes) {
  let text = ''
  let bytes = 0
  return {
    bytes: () => bytes,
    isFull: () => text.length >= WRITE_CHARACTERS,
    /** @param {string} more */
    add(more) {
      text += more
    },
    async write() {
      const encoded = Buffer.from(text)
      text = ''
      bytes += encoded.length
      if (bytes > maxBytes) {
        throw new WarehouseError(
          'ERR_SEND_QUERY_TOO_LARGE',
          `the result has more than ${maxBytes} bytes (maxBytes): ask for fewer rows or columns`,
        )
      }
      await handle.write(encoded)
    },
  }
}

/** @param {number} most rows */
function createPreview(most) {
  /** @type {(string | null)[][]} */
  const rows = []
  let left = PREVIEW_BYTES
  return {
    rows,
    /** @param {() => (string | null)[]} texts */
    add(texts) {
      if (rows.length >= most || left <= 0) return
      const row = texts()
      left -= row.reduce((sum, text) => sum + (text?.length ?? 0) * 3, 0)
      if (left > 0) rows.push(row)
    },
  }
}

/** @param {Question} question */
function tooSlow({ timeoutMs }) {
  return new WarehouseError(
    'ERR_SEND_QUERY_TIMEOUT',
    `the query took longer than ${timeoutMs} ms (timeoutMs) and was interrupted`,
  )
}

/** @param {unknown} error */
function meant(error) {
  if (error instanceof WarehouseError) return error
  const message = messageOf(error)
  if (/^Permission Error/.test(message)) return refused('It reaches for a file')
  if (/launched in read-only mode/.test(message)) return refused('It writes')
  return new WarehouseError('ERR_SEND_QUERY_FAILED', message)
}

module.exports = { runQuery }
