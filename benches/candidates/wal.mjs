// Counts what one round writes to the write-ahead log of its PostgreSQL server, which does nothing else meanwhile.

import pg from 'pg'

/**
 * Returns a function that resolves to the bytes of WAL written since.
 *
 * @param {string} url
 */
export async function walSince(url) {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  const { rows } = await client.query('SELECT pg_current_wal_insert_lsn()::text AS start')
  return async () => {
    const sql = 'SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), $1::pg_lsn)::float8 AS bytes'
    const result = await client.query(sql, [rows[0].start])
    await client.end()
    return result.rows[0].bytes
  }
}
