// The Redis server that specs talk to: Debian's.

import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'

import { installDebian } from './debian.mjs'

/** Installs Debian's package if there is no server and this is a Debian that lets us. */
export function installRedis() {
  if (spawnSync('redis-server', ['--version'], { stdio: 'ignore' }).status === 0) return
  installDebian(
    ['redis-server'],
    'The tests need Redis. Install it, such as: apt-get install redis-server',
  )
}

if (process.argv[1] === fileURLToPath(import.meta.url)) installRedis()
