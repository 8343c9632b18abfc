// The web servers that specs send to: Debian's nginx and HAProxy.

import { existsSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'

import { installDebian } from './debian.mjs'

/** Each program and the package that has it. */
const PACKAGES = { nginx: 'nginx-light', haproxy: 'haproxy' }

/**
 * Returns where a program is. Users other than root often have no `sbin` in their `PATH`.
 *
 * @param {keyof typeof PACKAGES} name
 */
export function webServerPath(name) {
  const folders = (process.env.PATH ?? '').split(delimiter)
  return [...folders, '/usr/sbin', '/usr/local/sbin']
    .map((folder) => join(folder, name))
    .find((file) => existsSync(file))
}

/** Installs Debian's packages of those that are missing, if this is a Debian that permits it. */
export function installWebServers() {
  const names = /** @type {(keyof typeof PACKAGES)[]} */ (Object.keys(PACKAGES))
  const missing = names.filter((name) => !webServerPath(name)).map((name) => PACKAGES[name])
  if (missing.length === 0) return
  installDebian(missing, `The tests need web servers: apt-get install ${missing.join(' ')}`)
}

if (process.argv[1] === fileURLToPath(import.meta.url)) installWebServers()
