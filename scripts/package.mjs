// Makes the packages, in dist/:
//
//   dollar-send-VERSION.tgz   installs without a compiler on machines like this one: the addon is in it
//   publish/*.tgz             for the registry: the package without an addon, and one package for each
//                             platform, which npm picks by `os`, `cpu` and `libc`
//
// `node scripts/package.mjs` builds the addon of this machine if none fits. `--addons FOLDER` takes the
// built addons of all targets from there, as the release does.

import {
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join, resolve } from 'node:path'

import { buildAddon, napi } from './build-addon.mjs'
import { withRepositoryLinks } from './docs/packed-links.mjs'
import { glibcNeeded, readNeeds } from './elf.mjs'
import { isFresh } from './ensure-addon.mjs'
import { guard } from './pack-guard.mjs'
import { recompress } from './recompress.mjs'
import { fail, json, run } from './run.mjs'
import { addonFile, GLIBC_FLOOR, hostTarget, readManifest, ROOT, targets } from './targets.mjs'

/** @typedef {import('./targets.mjs').Target} Target */

const DIST = join(ROOT, 'dist')
const WORK = join(ROOT, 'target', 'package')

/** Parts of the manifest that are for this repository alone. */
const OWN = ['devDependencies', 'scripts', 'overrides', 'napi', 'allowScripts']

/** Parts of the manifest of the package that a platform's package repeats. */
const SHARED = ['author', 'bugs', 'homepage', 'license', 'publishConfig', 'repository']

/** @param {string[]} args */
async function main(args) {
  const [flag, folder, ...more] = args
  if (more.length > 0 || (flag && (flag !== '--addons' || !folder))) {
    fail('Usage: node scripts/package.mjs [--addons FOLDER]')
  }
  const built = folder ? allTargets(resolve(folder)) : [await ofThisMachine()]
  rmSync(DIST, { recursive: true, force: true })
  rmSync(WORK, { recursive: true, force: true })
  mkdirSync(join(DIST, 'publish'), { recursive: true })
  const files = packedFiles()
  const host = built.find(({ target }) => target === hostTarget() || built.length === 1)
  const tarballs = [
    ...(host ? [packStandalone(files, host)] : []),
    ...packForRegistry(files, built),
  ]
  guard(tarballs)
}

/**
 * @typedef {object} Built
 * @property {Target} target
 * @property {string} path of the addon
 */

/**
 * @param {string} folder
 * @returns {Built[]}
 */
function allTargets(folder) {
  const built = targets().map((target) => ({ target, path: join(folder, addonFile(target)) }))
  const missing = built.filter(({ path }) => !existsSync(path))
  if (missing.length > 0) fail(`There is no ${missing.map(({ path }) => path).join(', no ')}`)
  return built
}

/** @returns {Promise<Built>} */
async function ofThisMachine() {
  const target =
    hostTarget() ??
    fail(`There is no target for ${process.platform} ${process.arch} in package.json`)
  const path = join(ROOT, addonFile(target))
  if (!isFresh() || !isPortable(target, path)) await buildAddon(target)
  return { target, path }
}

/**
 * @param {Target} target
 * @param {string} path
 */
function isPortable({ libc }, path) {
  if (!existsSync(path)) return false
  const glibc = libc === 'glibc' ? glibcNeeded(readNeeds(readFileSync(path))) : undefined
  return glibc === undefined || glibc.localeCompare(GLIBC_FLOOR, 'en', { numeric: true }) <= 0
}

/** Returns the paths of what is packed, without addons. */
function packedFiles() {
  const [packed] = json('npm', ['pack', '--dry-run', '--ignore-scripts', '--json'])
  const paths = packed.files.map((/** @type {{ path: string }} */ { path }) => path)
  return paths.filter(
    (/** @type {string} */ path) => !path.endsWith('.node') && path !== 'package.json',
  )
}

/**
 * @param {string[]} files
 * @param {Built} built
 */
function packStandalone(files, { target, path }) {
  const stage = staged('standalone', files)
  copyFileSync(path, join(stage, addonFile(target)))
  // Yarn must not keep an addon in an archive.
  writeManifest(stage, { ...without(readManifest(), OWN), preferUnplugged: true })
  return packed(stage, DIST)
}

/**
 * @param {string[]} files
 * @param {Built[]} built
 */
function packForRegistry(files, built) {
  const stage = staged('main', files)
  const artifacts = join(WORK, 'artifacts')
  mkdirSync(artifacts, { recursive: true })
  for (const { target, path } of built) copyFileSync(path, join(artifacts, addonFile(target)))
  // napi demands an addon of each target of the manifest.
  const manifest = readManifest()
  const napiTargets = built.map(({ target }) => target.triple)
  const files_ = manifest.files.filter((/** @type {string} */ name) => name !== '*.node')
  const staging = { ...without(manifest, OWN), files: files_ }
  writeManifest(stage, { ...staging, napi: { ...manifest.napi, targets: napiTargets } })
  const places = ['--cwd', stage, '--npm-dir', 'npm']
  run(process.execPath, [napi(), 'create-npm-dirs', ...places])
  run(process.execPath, [napi(), 'artifacts', ...places, '--output-dir', artifacts])
  for (const { target } of built) completePlatform(join(stage, 'npm', target.platform), manifest)
  run(process.execPath, [
    ...[napi(), 'pre-publish', ...places],
    ...['--skip-optional-publish', '--no-gh-release', '--tag-style', 'npm'],
  ])
  const platforms = built.map(({ target }) => join(stage, 'npm', target.platform))
  const done = JSON.parse(readFileSync(join(stage, 'package.json'), 'utf8'))
  writeManifest(stage, without(done, ['napi']))
  return [stage, ...platforms].map((folder) => packed(folder, join(DIST, 'publish')))
}

/**
 * Adds to a platform's package what napi leaves out.
 *
 * @param {string} folder
 * @param {any} manifest of the package
 */
function completePlatform(folder, manifest) {
  const own = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'))
  const shared = Object.fromEntries(SHARED.map((name) => [name, manifest[name]]))
  writeManifest(folder, { ...own, ...shared, preferUnplugged: true })
  cpSync(join(ROOT, 'LICENSE'), join(folder, 'LICENSE'))
}

/**
 * Copies files into a folder of their own.
 *
 * @param {string} name
 * @param {string[]} files
 */
function staged(name, files) {
  const stage = join(WORK, name)
  for (const file of files) {
    mkdirSync(dirname(join(stage, file)), { recursive: true })
    if (file.endsWith('.md')) writePage(stage, file, files)
    else copyFileSync(join(ROOT, file), join(stage, file))
  }
  return stage
}

/**
 * Copies a page. Its links to files that are not packed lead to the repository.
 *
 * @param {string} stage
 * @param {string} file
 * @param {string[]} files
 */
function writePage(stage, file, files) {
  const text = readFileSync(join(ROOT, file), 'utf8')
  writeFileSync(join(stage, file), withRepositoryLinks(file, text, files, readManifest()))
}

/**
 * @param {string} folder
 * @param {object} manifest
 */
function writeManifest(folder, manifest) {
  writeFileSync(join(folder, 'package.json'), `${JSON.stringify(manifest, null, 2)}\n`)
}

/**
 * @param {object} manifest
 * @param {string[]} names
 */
function without(manifest, names) {
  return Object.fromEntries(Object.entries(manifest).filter(([name]) => !names.includes(name)))
}

/**
 * Packs a folder; returns the path of the tarball.
 *
 * @param {string} folder
 * @param {string} place
 */
function packed(folder, place) {
  const [{ filename }] = json('npm', ['pack', '--json', '--ignore-scripts'], { cwd: folder })
  const tarball = join(place, filename)
  renameSync(join(folder, filename), tarball)
  recompress(tarball)
  return tarball
}

await main(process.argv.slice(2))
