// Checks tarballs before they are published: `node scripts/pack-guard.mjs [--release] FILE.tgz...`. It
// knows what may be in a package and how large it may be, that versions agree, and that an addon loads
// where its manifest says. A release must have the packages of all targets.

import { statSync } from 'node:fs'
import { basename } from 'node:path'
import { fileURLToPath } from 'node:url'

import { missingLinks } from './docs/packed-links.mjs'
import { compareVersions, glibcNeeded, readNeeds } from './elf.mjs'
import { fail } from './run.mjs'
import { readTarball } from './tarball.mjs'
import { addonFile, GLIBC_FLOOR, readManifest, targets } from './targets.mjs'

/** @typedef {import('./targets.mjs').Target} Target */

const NAME = 'dollar-send'

/** Bytes of a tarball at most. */
const MAX_PACKED = 8_000_000

/** Bytes of all files without an addon at most. */
const MAX_TEXT = 1_500_000

const EVERYWHERE = [/^package\.json$/, /^LICENSE$/, /^README\.md$/]

/** What the package may contain beside that. */
const ALLOWED = [
  ...EVERYWHERE,
  /^(CHANGELOG|CONTRIBUTING|SECURITY)\.md$/,
  /^index\.d\.ts$/,
  /^(global|testing)\.(js|d\.ts)$/,
  /^binding\.cjs$/,
  /^js\/([a-z-]+\/)*[a-z0-9-]+\.[cm]js$/,
  /^js\/(calls|codes|log|send|steps)\.d\.ts$/,
  /^types\/[a-z]+\.d\.[cm]ts$/,
  /^docs\/([a-z-]+\/)*[a-z0-9-]+\.md$/,
  /^docs\/reference\/openapi\.json$/,
  /^examples\/([a-z-]+\/)*[A-Za-z0-9.-]+\.(mjs|js|json|md)$/,
  /^examples\/deploy\/(Dockerfile[a-z.]*|[a-z]+\.(yaml|service|conf))$/,
]

/** Files without which the package does not work. */
const REQUIRED = [
  ...['binding.cjs', 'index.d.ts', 'js/index.cjs', 'js/index.mjs', 'js/native.cjs'],
  ...[
    'js/cli/main.mjs',
    'js/global.cjs',
    'js/global.mjs',
    'js/testing.cjs',
    'js/testing.mjs',
    'LICENSE',
    'README.md',
  ],
]

/** Fields of a manifest that only the repository may have. */
const FORBIDDEN = ['devDependencies', 'scripts', 'dependencies', 'napi', 'overrides']

/**
 * Returns what is wrong with a tarball, one sentence each.
 *
 * @param {string} path
 * @returns {string[]}
 */
export function problems(path) {
  const files = readTarball(path)
  const manifest = JSON.parse(String(files.get('package.json')))
  const found = commonProblems(manifest, statSync(path).size)
  if (manifest.name === NAME) return [...found, ...mainProblems(manifest, files)]
  const target = targets().find(({ platform }) => manifest.name === `${NAME}-${platform}`)
  if (!target) return [...found, `its name ${manifest.name} is that of no target`]
  return [...found, ...platformProblems(target, manifest, files)]
}

/**
 * @param {any} manifest
 * @param {number} size
 */
function commonProblems(manifest, size) {
  const { version, repository } = readManifest()
  return [
    size > MAX_PACKED && `it has ${size} bytes, more than ${MAX_PACKED}`,
    manifest.version !== version && `its version is ${manifest.version} and not ${version}`,
    manifest.repository?.url !== repository.url && 'its repository is not that of package.json',
    ...FORBIDDEN.map((name) => name in manifest && `its package.json has ${name}`),
  ].filter((problem) => typeof problem === 'string')
}

/**
 * @param {any} manifest
 * @param {Map<string, Buffer>} files
 */
function mainProblems(manifest, files) {
  const addons = [...files.keys()].filter((name) => name.endsWith('.node'))
  const texts = [...files].filter(([name]) => !addons.includes(name))
  const bytes = texts.reduce((sum, [, { length }]) => sum + length, 0)
  const optional = Object.entries(manifest.optionalDependencies ?? {})
  const known = targets().map(({ platform }) => `${NAME}-${platform}`)
  return [
    ...texts.map(([name]) => !matches(ALLOWED, name) && `${name} does not belong into it`),
    ...REQUIRED.map((name) => !files.has(name) && `${name} is missing`),
    bytes > MAX_TEXT && `its files without the addon have ${bytes} bytes, more than ${MAX_TEXT}`,
    addons.length + optional.length === 0 && 'it has no addon and names no package with one',
    addons.length > 1 && `it has several addons: ${addons.join(', ')}`,
    ...optional.map(
      ([name, version]) =>
        (!known.includes(name) || version !== manifest.version) &&
        `its optional dependency ${name} ${version} is not of this release`,
    ),
    ...addons.flatMap((name) => addonProblems(name, files)),
    ...texts.flatMap(([name, text]) => linkProblems(name, text, [...files.keys()])),
  ].filter((problem) => typeof problem === 'string')
}

/**
 * @param {string} name
 * @param {Buffer} text
 * @param {string[]} files
 */
function linkProblems(name, text, files) {
  if (!name.endsWith('.md')) return []
  return missingLinks(name, String(text), files).map(
    (link) => `${name} links to ${link}, which is not in it`,
  )
}

/**
 * @param {Target} target
 * @param {any} manifest
 * @param {Map<string, Buffer>} files
 */
function platformProblems(target, manifest, files) {
  const { os, cpu, libc } = target
  const addon = addonFile(target)
  const [wanted, found] = [
    { os: [os], cpu: [cpu], ...(libc && { libc: [libc] }) },
    { os: manifest.os, cpu: manifest.cpu, ...(manifest.libc && { libc: manifest.libc }) },
  ].map((fields) => JSON.stringify(fields))
  return [
    ...[...files.keys()].map(
      (name) => name !== addon && !matches(EVERYWHERE, name) && `${name} does not belong into it`,
    ),
    manifest.main !== addon && `its main is ${manifest.main} and not ${addon}`,
    manifest.preferUnplugged !== true && 'it has no preferUnplugged',
    found !== wanted && `it is for ${found} and not for ${wanted}`,
    ...addonProblems(addon, files),
  ].filter((problem) => typeof problem === 'string')
}

/**
 * @param {string} name
 * @param {Map<string, Buffer>} files
 * @returns {string[]}
 */
function addonProblems(name, files) {
  const target = targets().find((known) => addonFile(known) === name)
  const content = files.get(name)
  if (!target || !content) return [`${name} is ${target ? 'missing' : 'the addon of no target'}`]
  if (!content.includes('/assets/index-')) {
    return [`${name} has no Inspector: build it with npm run build`]
  }
  const { os, cpu, libc } = target
  if (os === 'win32') return content.toString('latin1', 0, 2) === 'MZ' ? [] : [`${name} is no DLL`]
  if (os === 'darwin') {
    return content.readUInt32LE(0) === 0xfeedfacf ? [] : [`${name} is no 64-bit Mach-O file`]
  }
  const needs = readNeeds(content)
  const glibc = glibcNeeded(needs)
  const limit = libc === 'glibc' ? GLIBC_FLOOR : '0'
  return [
    needs.cpu !== cpu && `${name} is for ${needs.cpu} and not for ${cpu}`,
    glibc &&
      compareVersions(glibc, limit) > 0 &&
      `${name} needs glibc ${glibc}, more than ${limit}`,
  ].filter((problem) => typeof problem === 'string')
}

/**
 * @param {RegExp[]} patterns
 * @param {string} name
 */
function matches(patterns, name) {
  return patterns.some((pattern) => pattern.test(name))
}

/**
 * Returns what is missing in a release.
 *
 * @param {string[]} tarballs
 * @returns {string[]}
 */
export function missing(tarballs) {
  const { version } = readManifest()
  const platforms = targets().map(({ platform }) => `${NAME}-${platform}`)
  const given = tarballs.map((path) => basename(path))
  const main = tarballs.find((path) => basename(path) === `${NAME}-${version}.tgz`)
  const manifest = main ? JSON.parse(String(readTarball(main).get('package.json'))) : {}
  const named = Object.keys(manifest.optionalDependencies ?? {})
  return [
    ...[NAME, ...platforms]
      .filter((name) => !given.includes(`${name}-${version}.tgz`))
      .map((name) => `${name}-${version}.tgz is missing`),
    ...platforms
      .filter((name) => !named.includes(name))
      .map((name) => `${NAME} does not name the optional dependency ${name}`),
  ]
}

/**
 * Checks tarballs and ends the process with what is wrong with them.
 *
 * @param {string[]} tarballs
 * @param {{ isRelease?: boolean }} [options]
 */
export function guard(tarballs, { isRelease = false } = {}) {
  if (tarballs.length === 0) fail('Usage: node scripts/pack-guard.mjs [--release] FILE.tgz...')
  const faults = tarballs.flatMap((path) =>
    problems(path).map((problem) => `${basename(path)}: ${problem}`),
  )
  if (isRelease) faults.push(...missing(tarballs))
  if (faults.length > 0) fail(faults.join('\n'))
  for (const path of tarballs) {
    console.log(`${path}: ${(statSync(path).size / 1e6).toFixed(1)} MB, checked`)
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const args = process.argv.slice(2)
  const tarballs = args.filter((word) => word !== '--release')
  guard(tarballs, { isRelease: args.length > tarballs.length })
}
