// A real PostgreSQL server with the settings of its distribution, for the time of a group.

import { postgresServer } from '../../__test__/support/postgres.mjs'
import { postgresPath } from '../../scripts/postgres-server.mjs'

/**
 * Starts a server; undefined where PostgreSQL is not installed.
 *
 * @param {Record<string, string>} [settings] other than its distribution's
 */
export async function startPostgres(settings = {}) {
  if (!postgresPath()) return undefined
  const ends = []
  const { url, psql } = await postgresServer({ after: (end) => ends.push(end) }, { settings })
  const stop = () => Promise.all(ends.map((end) => end()))
  return { url, psql, stop }
}
