// The mail server that specs talk to: Debian's Postfix.

import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

import { installDebian, withoutServer } from './debian.mjs'

const PROGRAM = '/usr/sbin/postfix'

/** Returns why specs cannot run it, if they cannot. */
export const withoutPostfix = () => withoutServer('Postfix', PROGRAM, 'scripts/postfix-server.mjs')

/** Installs Debian's package if there is no server and this is a Debian that lets us. */
export function installPostfix() {
  if (existsSync(PROGRAM) || process.getuid?.() !== 0) return
  installDebian(['postfix'], 'The tests need Postfix. Install it, such as: apt-get install postfix')
}

if (process.argv[1] === fileURLToPath(import.meta.url)) installPostfix()
