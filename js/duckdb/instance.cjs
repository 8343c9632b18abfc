// @ts-check
'use strict'

// Opens the database so that queries can reach nothing but its tables.

const { mkdir } = require('node:fs/promises')
const { dirname } = require('node:path')

/** Bytes of disk that queries may use which do not fit into memory. */
const SPILL = '4GB'

/** What a batch needs beside its table, and what tables there are. */
const TABLES = [
  'CREATE SCHEMA IF NOT EXISTS data',
  'CREATE SCHEMA IF NOT EXISTS dollar_send',
  'CREATE TABLE IF NOT EXISTS dollar_send.tables (name VARCHAR PRIMARY KEY, shape VARCHAR NOT NULL)',
  `CREATE TABLE IF NOT EXISTS dollar_send.batches
     (id VARCHAR PRIMARY KEY, table_name VARCHAR NOT NULL, loaded_at TIMESTAMP NOT NULL)`,
]

/**
 * @param {any} duckdb
 * @param {import('./worker.cjs').Settings} settings
 */
async function openInstance(duckdb, { file, memoryBytes, threads, readOnly }) {
  if (!readOnly) await mkdir(dirname(file), { recursive: true, mode: 0o700 })
  const instance = await duckdb.DuckDBInstance.create(file, {
    access_mode: readOnly ? 'READ_ONLY' : 'READ_WRITE',
    threads: String(threads),
    memory_limit: `${Math.floor(memoryBytes / 1e6)}MB`,
    temp_directory: `${file}.tmp`,
    max_temp_directory_size: SPILL,
    autoinstall_known_extensions: 'false',
    autoload_known_extensions: 'false',
    allow_community_extensions: 'false',
    enable_external_access: 'false',
  })
  try {
    const connection = await instance.connect()
    await connection.run("SET GLOBAL TimeZone = 'UTC'")
    await connection.run('SET GLOBAL lock_configuration = true')
    for (const statement of readOnly ? [] : TABLES) await connection.run(statement)
    connection.disconnectSync()
  } catch (error) {
    instance.closeSync()
    throw error
  }
  return instance
}

module.exports = { openInstance }
