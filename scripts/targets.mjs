// The targets that packages are made for, and how each is built.

import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

export const ROOT = fileURLToPath(new URL('..', import.meta.url))

/** The oldest glibc that published addons load with: that of Amazon Linux 2, RHEL 7 and Debian 8. */
export const GLIBC_FLOOR = '2.17'

/**
 * @typedef {object} Target
 * @property {string} triple as Rust names it
 * @property {string} platform as its package and its file are named
 * @property {string} os as Node names it
 * @property {string} cpu as Node names it
 * @property {'glibc' | 'musl'} [libc]
 */

/** @type {Target[]} */
const KNOWN = [
  {
    triple: 'x86_64-unknown-linux-gnu',
    platform: 'linux-x64-gnu',
    os: 'linux',
    cpu: 'x64',
    libc: 'glibc',
  },
  {
    triple: 'aarch64-unknown-linux-gnu',
    platform: 'linux-arm64-gnu',
    os: 'linux',
    cpu: 'arm64',
    libc: 'glibc',
  },
  {
    triple: 'x86_64-unknown-linux-musl',
    platform: 'linux-x64-musl',
    os: 'linux',
    cpu: 'x64',
    libc: 'musl',
  },
  { triple: 'x86_64-apple-darwin', platform: 'darwin-x64', os: 'darwin', cpu: 'x64' },
  { triple: 'aarch64-apple-darwin', platform: 'darwin-arm64', os: 'darwin', cpu: 'arm64' },
  { triple: 'x86_64-pc-windows-msvc', platform: 'win32-x64-msvc', os: 'win32', cpu: 'x64' },
]

/** Returns the manifest of the repository. */
export function readManifest() {
  return JSON.parse(readFileSync(`${ROOT}package.json`, 'utf8'))
}

/**
 * Returns the targets of package.json.
 *
 * @returns {Target[]}
 */
export function targets() {
  return readManifest().napi.targets.map((/** @type {string} */ triple) => {
    const target = KNOWN.find((known) => known.triple === triple)
    if (!target) throw new Error(`scripts/targets.mjs does not know the target ${triple}`)
    return target
  })
}

/**
 * Returns the name of an addon's file.
 *
 * @param {Target} target
 */
export function addonFile({ platform }) {
  return `dollar-send.${platform}.node`
}

/** Returns the target of this machine; `undefined` when there is none for it. */
export function hostTarget() {
  const { platform, arch } = process
  const report = /** @type {any} */ (process.report?.getReport())
  const libc =
    platform !== 'linux' ? undefined : report.header.glibcVersionRuntime ? 'glibc' : 'musl'
  return targets().find(({ os, cpu, libc: own }) => os === platform && cpu === arch && own === libc)
}
