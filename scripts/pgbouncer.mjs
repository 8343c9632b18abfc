// The pooler before PostgreSQL that specs talk through: Debian's PgBouncer.

import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

import { installDebian } from './debian.mjs'

const PATHS = ['/usr/sbin/pgbouncer', '/usr/bin/pgbouncer']

/** Where the program is, if it is there. */
export function pgbouncerPath() {
  return PATHS.find((path) => existsSync(path))
}

/** Installs Debian's package if there is no PgBouncer and this is a Debian that lets us. */
export function installPgbouncer() {
  if (pgbouncerPath()) return
  installDebian(
    ['pgbouncer'],
    'A test needs PgBouncer. Install it, such as: apt-get install pgbouncer',
  )
}

if (process.argv[1] === fileURLToPath(import.meta.url)) installPgbouncer()
