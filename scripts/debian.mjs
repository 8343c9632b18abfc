// Programs that the tests need from Debian's packages.

import { spawnSync } from 'node:child_process'

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

/** Returns whether a command of apt-get succeeded. @param {string[]} args */
function apt(args) {
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
  return spawnSync('apt-get', ['-q', ...args], { stdio: 'ignore', env }).status === 0
}
