// ClickHouse for the specs: its own engine as a Python module (chdb-core), behind the HTTP interface of
// `__test__/support/servers/clickhouse.py`. Debian's server is years older than what batches need.

import { fileURLToPath } from 'node:url'

import { installFromPyPI, pythonProgram } from './python.mjs'

const [NAME, VERSION] = ['chdb-core', '26.9.0']

/** A Python that has the engine. */
export const CLICKHOUSE_PYTHON = pythonProgram(NAME, VERSION, 'python')

/** Installs it, without what it needs for data frames. */
export function installClickHouse() {
  installFromPyPI(NAME, VERSION, ['--no-deps'])
}

if (process.argv[1] === fileURLToPath(import.meta.url)) installClickHouse()
