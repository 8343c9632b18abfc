// The library that shows processes another time: Debian's libfaketime.

import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

import { installDebian } from './debian.mjs'

/** Returns where the library is; undefined if it is not installed. */
export function faketimePath() {
  return ['x86_64', 'aarch64']
    .map((machine) => `/usr/lib/${machine}-linux-gnu/faketime/libfaketime.so.1`)
    .find((path) => existsSync(path))
}

/** Installs Debian's package if it is not there and this is a Debian that lets us. */
export function installFaketime() {
  if (faketimePath() || process.getuid?.() !== 0) return
  installDebian(
    ['libfaketime'],
    'The tests need libfaketime. Install it, such as: apt-get install libfaketime',
  )
}

if (process.argv[1] === fileURLToPath(import.meta.url)) installFaketime()
