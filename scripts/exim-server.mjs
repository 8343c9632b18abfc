// The second mail server that specs talk to: Debian's Exim. It lies beside Postfix, from which apt-get
// would take its place.

import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

import { withoutServer } from './debian.mjs'

const FOLDER = fileURLToPath(new URL('../target/tools/exim', import.meta.url))
const PACKAGES = [
  'exim4-daemon-light',
  'exim4-base',
  'libevent-2.1-7',
  'libgnutls-dane0',
  'libidn12',
  'libnsl2',
  'libunbound8',
]
/** The program knows no other user. */
const USER = 'Debian-exim'

export const EXIM = join(FOLDER, 'root/usr/sbin/exim4')
/** Where its libraries are. */
export const EXIM_LIBRARIES = join(FOLDER, 'root/usr/lib', `${machine()}-linux-gnu`)

function machine() {
  return process.arch === 'arm64' ? 'aarch64' : 'x86_64'
}

/** Returns why specs cannot run it, if they cannot. */
export const withoutExim = () => withoutServer('Exim', EXIM, 'scripts/exim-server.mjs')

/** Unpacks Debian's packages if there is no server and this is a Debian that lets us. */
export function installExim() {
  if (existsSync(EXIM) || process.getuid?.() !== 0) return
  console.log('Unpacking exim4-daemon-light (Debian) into target/tools …')
  mkdirSync(FOLDER, { recursive: true })
  const run = (/** @type {string} */ program, /** @type {string[]} */ args) =>
    spawnSync(program, args, { cwd: FOLDER, stdio: 'ignore' }).status === 0
  run('apt-get', ['-q', 'update'])
  const isThere = run('apt-get', ['-q', 'download', ...PACKAGES])
  const archives = readdirSync(FOLDER).filter((name) => name.endsWith('.deb'))
  const isUnpacked = archives.every((name) => run('dpkg', ['-x', name, 'root']))
  const isUser = run('id', [USER]) || run('useradd', ['--system', '--no-create-home', USER])
  if (!isThere || !isUnpacked || !isUser)
    throw new Error('The tests need Exim, as Debian has it: apt-get download exim4-daemon-light')
}

if (process.argv[1] === fileURLToPath(import.meta.url)) installExim()
