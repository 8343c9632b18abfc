// The PostgreSQL server that specs talk to: Debian's.

import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

import { installDebian } from './debian.mjs'

const VERSIONS = '/usr/lib/postgresql'

/** Where its programs are, the youngest version's; `POSTGRES_BIN` goes before the usual place. */
export function postgresPath() {
  if (process.env.POSTGRES_BIN) return process.env.POSTGRES_BIN
  const versions = existsSync(VERSIONS) ? readdirSync(VERSIONS) : []
  const found = versions
    .sort((one, other) => Number(other) - Number(one))
    .map((version) => join(VERSIONS, version, 'bin'))
  return found.find((folder) => existsSync(join(folder, 'postgres')))
}

/** Installs Debian's package if there is no server and this is a Debian that lets us. */
export function installPostgres() {
  if (postgresPath()) return
  installDebian(
    ['postgresql'],
    'The tests need PostgreSQL. Install it, such as: apt-get install postgresql; or say where its programs are: POSTGRES_BIN=/path npm test',
  )
}

if (process.argv[1] === fileURLToPath(import.meta.url)) installPostgres()
