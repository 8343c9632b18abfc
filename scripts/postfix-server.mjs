// The mail server that specs talk to: Debian's Postfix.

import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

import { installDebian } from './debian.mjs'

const PROGRAM = '/usr/sbin/postfix'

/**
 * Returns why specs cannot run a server, if they cannot. Only root can start one; where root is, CI
 * installs it, so there it must not be missing.
 */
export function withoutPostfix() {
  if (process.getuid?.() !== 0) return 'Postfix must be started by root'
  if (existsSync(PROGRAM)) return false
  const missing = 'Postfix is missing: run `node scripts/postfix-server.mjs`'
  if (process.env.CI) throw new Error(missing)
  return missing
}

/** Installs Debian's package if there is no server and this is a Debian that lets us. */
export function installPostfix() {
  if (existsSync(PROGRAM) || process.getuid?.() !== 0) return
  installDebian(['postfix'], 'The tests need Postfix. Install it, such as: apt-get install postfix')
}

if (process.argv[1] === fileURLToPath(import.meta.url)) installPostfix()
