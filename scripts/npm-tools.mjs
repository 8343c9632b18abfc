// Installs npm packages that only some specs need into folders of their own below target/, so that
// `npm install` stays small.

import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))

/** JavaScript runtimes beside the one that runs this. */
const RUNTIMES = ['22', '24', '26']

/** Test runners and a bundler, as their users have them. */
const TEST_RUNNERS = { jest: '30.5.2', vitest: '4.1.12', esbuild: '0.28.2' }

export const TEST_RUNNERS_FOLDER = join(root, 'target', 'test-runners')

/** Returns the path of a program, or nothing where it is not installed. @param {string} path */
const existing = (path) => (existsSync(path) ? path : undefined)

/**
 * The command of a Node of another major version, from its npm package.
 *
 * @param {string} version
 */
export function nodeCommand(version) {
  const platform = process.platform === 'win32' ? 'win' : process.platform
  const name = `node-${platform}-${process.arch}`
  const program = process.platform === 'win32' ? 'node.exe' : 'node'
  return join(root, 'target', 'node', version, 'node_modules', name, 'bin', program)
}

/** Installs a Node of another major version. @param {string} version */
export function installNode(version) {
  const command = nodeCommand(version)
  if (!existsSync(command)) {
    const platform = process.platform === 'win32' ? 'win' : process.platform
    const name = `node-${platform}-${process.arch}`
    install(join(root, 'target', 'node', version), { [name]: version }, `Node ${version}`)
  }
  return command
}

/**
 * The commands of the runtimes that are installed, by their names. The first words of a command come
 * before the file that is to be run.
 *
 * @returns {Record<string, string[] | undefined>}
 */
export function runtimeCommands() {
  const others = join(root, 'target', 'runtimes', 'node_modules')
  const bun =
    existing(join(others, `@oven/bun-${process.platform}-x64/bin/bun`)) ??
    existing(join(others, 'bun/bin/bun.exe'))
  const deno = existing(join(others, `@deno/${process.platform}-x64-glibc/deno`))
  return {
    [`Node ${process.versions.node}`]: [process.execPath],
    ...Object.fromEntries(
      RUNTIMES.map((version) => {
        const command = existing(nodeCommand(version))
        return [`Node ${version}`, command && [command]]
      }),
    ),
    Bun: bun ? [bun] : undefined,
    Deno: deno ? [deno, 'run', '--allow-all'] : undefined,
  }
}

/** Installs the runtimes that specs use. */
export function installRuntimes() {
  for (const version of RUNTIMES) installNode(version)
  install(join(root, 'target', 'runtimes'), { bun: '1', deno: '2' }, 'Bun and Deno')
}

/** Installs Jest, Vitest and esbuild. */
export function installTestRunners() {
  install(TEST_RUNNERS_FOLDER, TEST_RUNNERS, 'Jest, Vitest and esbuild')
}

/**
 * @param {string} folder
 * @param {Record<string, string>} dependencies
 * @param {string} title
 */
function install(folder, dependencies, title) {
  const manifest = join(folder, 'package.json')
  const text = JSON.stringify({ private: true, dependencies })
  // Written last, so that an installation that was cut off is made again.
  if (existsSync(manifest) && readFileSync(manifest, 'utf8') === text) return
  console.log(`Installing ${title} (npm) into ${folder} …`)
  mkdirSync(folder, { recursive: true })
  writeFileSync(manifest, '{ "private": true }')
  const packages = Object.entries(dependencies).map(([name, version]) => `${name}@${version}`)
  const args = ['install', '--silent', '--no-audit', '--no-fund', '--no-save', ...packages]
  const done = spawnSync('npm', args, {
    cwd: folder,
    stdio: 'inherit',
    shell: process.platform === 'win32',
  })
  if (done.status !== 0) throw new Error(`${title} could not be installed: npm ${args.join(' ')}`)
  writeFileSync(manifest, text)
}
