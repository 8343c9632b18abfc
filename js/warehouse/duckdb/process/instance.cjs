// @ts-check
'use strict'

// Opens the database so that queries can reach nothing but its tables.

const { randomUUID } = require('node:crypto')
const { existsSync } = require('node:fs')
const { link, rename, rm } = require('node:fs/promises')

/** How often is interrupted what should be over: between two of its steps nothing hears it. */
const INTERRUPT_MS = 20

/** The name of the database in queries. */
const NAME = 'warehouse'

/** Bytes of disk that queries may use which do not fit into memory. */
const SPILL = '4GB'

/** The tables that a batch needs beside its own, and the list of tables. */
const TABLES = [
  'CREATE SCHEMA IF NOT EXISTS data',
  'CREATE SCHEMA IF NOT EXISTS dollar_send',
  'CREATE TABLE IF NOT EXISTS dollar_send.tables (name VARCHAR PRIMARY KEY, shape VARCHAR NOT NULL)',
  `CREATE TABLE IF NOT EXISTS dollar_send.batches
     (id VARCHAR PRIMARY KEY, table_name VARCHAR NOT NULL, loaded_at TIMESTAMP NOT NULL)`,
]

/** Bytes of the log of writes past which it goes into the tables: it is in memory while it does. */
const CHECKPOINT = '4MB'

/** Bytes that DuckDB takes for each column that it writes to: some blocks of 256 KiB. */
const COLUMN_BYTES = 1 << 20

const WIDEST = 'SELECT max(n) FROM (SELECT count(*) AS n FROM duckdb_columns() GROUP BY table_oid)'

/**
 * @param {typeof import('@duckdb/node-api')} duckdb
 * @param {import('./main.cjs').Settings} settings
 */
async function openInstance(duckdb, settings) {
  const { threads, scratch } = settings
  const instance = await duckdb.DuckDBInstance.create(':memory:', {
    threads: String(threads),
    memory_limit: megabytes(settings.memoryBytes),
    checkpoint_threshold: CHECKPOINT,
    temp_directory: scratch,
    max_temp_directory_size: SPILL,
    autoinstall_known_extensions: 'false',
    autoload_known_extensions: 'false',
    allow_community_extensions: 'false',
    allow_persistent_secrets: 'false',
  })
  try {
    await prepare(instance, settings)
  } catch (error) {
    instance.closeSync()
    throw error
  }
  return instance
}

/**
 * Opens the file, and makes what batches need.
 *
 * @param {import('@duckdb/node-api').DuckDBInstance} instance
 * @param {import('./main.cjs').Settings} settings
 */
async function prepare(instance, settings) {
  const { file, folder, readOnly } = settings
  const connection = await instance.connect()
  try {
    if (file !== null && !readOnly && !existsSync(file)) await makeFile(connection, file)
    // Opened as the instance's own database, a file whose log of writes has the conversion of a
    // column cannot be opened again after a crash: DuckDB then knows no functions yet
    // (duckdb/duckdb issue 20543).
    const attached = literal(file ?? ':memory:')
    await connection.run(`ATTACH ${attached} AS ${NAME} (READ_ONLY ${readOnly})`)
    if (folder !== undefined)
      await connection.run(`SET GLOBAL allowed_directories = [${literal(folder)}]`)
    // Nothing can allow it again while the database is open.
    await connection.run('SET GLOBAL enable_external_access = false')
    await connection.run("SET GLOBAL TimeZone = 'UTC'")
    await connection.run(`USE ${NAME}`)
    for (const statement of readOnly ? [] : TABLES) await connection.run(statement)
    const [[widest]] = (await connection.runAndReadAll(WIDEST)).getRows()
    await makeRoom(connection, settings, Number(widest ?? 0))
    // From here on nothing that a query could run changes any of it.
    if (readOnly) await connection.run('SET GLOBAL lock_configuration = true')
  } finally {
    // One that is left would keep the file open.
    connection.disconnectSync()
  }
}

/**
 * Makes the file under another name first: one that a process was killed in the middle of making
 * cannot be opened again.
 *
 * @param {import('@duckdb/node-api').DuckDBConnection} connection
 * @param {string} file
 */
async function makeFile(connection, file) {
  const made = `${file}.${randomUUID()}`
  try {
    await connection.run(`ATTACH ${literal(made)} AS made`)
    await connection.run('DETACH made')
    await link(made, file).catch((error) => {
      // Another process has made it meanwhile, and may have rows in it.
      if (error.code === 'EEXIST') return
      // Not every file system has links.
      return rename(made, file)
    })
  } finally {
    await rm(made, { force: true })
  }
}

/** @param {import('@duckdb/node-api').DuckDBInstance} instance */
async function connect(instance) {
  const connection = await instance.connect()
  await connection.run(`USE ${NAME}`)
  return connection
}

/**
 * Lets DuckDB have the memory that a table of so many columns needs, however little it is to have.
 *
 * @param {import('@duckdb/node-api').DuckDBConnection} connection
 * @param {import('./main.cjs').Settings} settings
 * @param {number} columns
 */
async function makeRoom(connection, settings, columns) {
  if (columns * COLUMN_BYTES <= settings.memoryBytes) return
  settings.memoryBytes = columns * COLUMN_BYTES
  await connection.run(`SET GLOBAL memory_limit = '${megabytes(settings.memoryBytes)}'`)
}

/** @param {string} text */
function literal(text) {
  return `'${text.replaceAll("'", "''")}'`
}

/** @param {number} bytes */
function megabytes(bytes) {
  return `${Math.floor(bytes / 1e6)}MB`
}

module.exports = { INTERRUPT_MS, connect, makeRoom, openInstance }
