// The Redis server that specs talk to: Debian's.

import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'

/** Installs Debian's package if there is no server and this is a Debian that lets us. */
export function installRedis() {
  if (spawnSync('redis-server', ['--version'], { stdio: 'ignore' }).status === 0) return
  console.log('Installing redis-server (Debian) …')
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
  for (const args of [['update'], ['install', '-y', '--no-install-recommends', 'redis-server']]) {
    const { status } = spawnSync('apt-get', ['-q', ...args], { stdio: 'ignore', env })
    if (status !== 0 && args[0] === 'install') {
      throw new Error('The tests need Redis. Install it, such as: apt-get install redis-server')
    }
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) installRedis()
