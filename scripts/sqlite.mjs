// The command `sqlite3`, by which the documents copy a journal that is in use: Debian's.

import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'

/** Installs Debian's package if there is none and this is a Debian that lets us. */
export function installSqlite() {
  if (spawnSync('sqlite3', ['--version'], { stdio: 'ignore' }).status === 0) return
  console.log('Installing sqlite3 (Debian) …')
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
  for (const args of [['update'], ['install', '-y', '--no-install-recommends', 'sqlite3']]) {
    const { status } = spawnSync('apt-get', ['-q', ...args], { stdio: 'ignore', env })
    if (status !== 0 && args[0] === 'install') {
      throw new Error('The tests need sqlite3. Install it, such as: apt-get install sqlite3')
    }
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) installSqlite()
