// Programs that the tests need from Debian's packages.

import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'

/**
 * Installs packages of Debian.
 *
 * @param {string[]} packages
 * @param {string} advice the message of the error if they cannot be installed, as on another system
 */
export function installDebian(packages, advice) {
  console.log(`Installing ${packages.join(' and ')} (Debian) …`)
  apt(['update'])
  if (!apt(['install', '-y', '--no-install-recommends', ...packages])) throw new Error(advice)
}

/**
 * Returns why specs cannot run a mail server, if they cannot. Only root can start one; where root is, CI
 * installs it, so there it must not be missing.
 *
 * @param {string} name
 * @param {string} program
 * @param {string} script installs it
 */
export function withoutServer(name, program, script) {
  if (process.getuid?.() !== 0) return `${name} must be started by root`
  if (existsSync(program)) return false
  const missing = `${name} is missing: run \`node ${script}\``
  if (process.env.CI) throw new Error(missing)
  return missing
}

/** Returns whether a command of apt-get succeeded. @param {string[]} args */
function apt(args) {
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
  return spawnSync('apt-get', ['-q', ...args], { stdio: 'ignore', env }).status === 0
}
