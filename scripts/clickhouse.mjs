// ClickHouse for the specs: its own engine as a Python module (chdb-core), behind the HTTP interface of
// `__test__/servers/clickhouse.py`. Debian's server is years older than what batches need.

import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const VERSION = '26.9.0'

const folder = fileURLToPath(new URL(`../target/tools/chdb-core-${VERSION}`, import.meta.url))

/** A Python that has the engine. */
export const CLICKHOUSE_PYTHON = join(folder, 'bin', 'python')

/** Installs it from PyPI, into a folder of its own under target, if it is not there. */
export function installClickHouse() {
  if (existsSync(join(folder, 'installed'))) return
  console.log(`Installing chdb-core ${VERSION}, ClickHouse's engine (PyPI), into target/tools …`)
  const steps = [
    ['python3', '-m', 'venv', folder],
    [CLICKHOUSE_PYTHON, '-m', 'pip', 'install', '--quiet', '--no-deps', `chdb-core==${VERSION}`],
    [CLICKHOUSE_PYTHON, '-c', `open(${JSON.stringify(join(folder, 'installed'))}, "w")`],
  ]
  for (const [command, ...args] of steps) {
    const { status, error } = spawnSync(command, args, { stdio: 'inherit' })
    if (status === 0) continue
    throw new Error(
      `${command} ${args.join(' ')} failed${error ? `: ${error.message}` : ''}. Install Python 3.10 ` +
        'or later with venv and pip, such as: apt-get install python3-venv',
    )
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) installClickHouse()
