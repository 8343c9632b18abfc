// @ts-check
'use strict'

// Loads what Node can load as it is: packages, built-in modules, and files without peculiarities.

const { readFileSync } = require('node:fs')
const nodeModule = require('node:module')
const { dirname, join } = require('node:path')
const { pathToFileURL } = require('node:url')
const { types } = require('node:util')
const { memberOf } = require('../../values.cjs')
const { isForeignRealm } = require('./compile.cjs')
const { pinOf, satisfies } = require('./pins.cjs')

/** @typedef {Record<string | symbol, unknown>} Namespace */
/**
 * @typedef {NodeJS.Module & { _compile(code: string, path: string, format: string): void }} CompilingModule
 *   A module of Node.js, whose types leave this function out.
 */

/**
 * `import()` as in the file at `path`, which need not be an ES module.
 *
 * @param {string} path
 * @returns {(specifier: string) => Promise<Namespace>}
 */
function importerOf(path) {
  if (isForeignRealm) return (specifier) => importByRequire(path, specifier)
  const owner = /** @type {CompilingModule} */ (new nodeModule(path))
  owner.filename = path
  // Code of a CommonJS module is the only code whose import() resolves from a path of our choice, in
  // every version of Node.
  owner._compile('module.exports = (specifier) => import(specifier)', path, 'commonjs')
  return owner.exports
}

/**
 * Under Jest, `import()` needs flags, and `require` is the one of the test.
 *
 * @param {string} path
 * @param {string} specifier
 */
async function importByRequire(path, specifier) {
  const require = nodeModule.createRequire(path)
  try {
    return namespaceOf(
      require(specifier.startsWith('file:') ? new URL(specifier).pathname : specifier),
    )
  } catch (error) {
    const { code, name } = /** @type {NodeJS.ErrnoException} */ (error)
    if (code !== 'ERR_REQUIRE_ESM' && name !== 'SyntaxError') throw error
    const reason = `${specifier} is an ES module, which a test runner loads only with node --experimental-vm-modules`
    const file = specifier.startsWith('file:')
      ? specifier
      : pathToFileURL(require.resolve(specifier)).href
    return import(file).catch(() => {
      throw new Error(`${path}: ${reason}`, { cause: error })
    })
  }
}

/**
 * @param {unknown} exports of a CommonJS module, or the namespace of an ES module that `require` loads
 * @returns {Namespace} as an import sees it
 */
function namespaceOf(exports) {
  if (types.isModuleNamespaceObject(exports)) return /** @type {Namespace} */ (exports)
  const isObject =
    (typeof exports === 'object' || typeof exports === 'function') && exports !== null
  const names = isObject ? Object.keys(exports) : []
  const namespace = Object.create(null)
  for (const name of names.filter((name) => name !== 'default')) {
    Object.defineProperty(namespace, name, { enumerable: true, get: () => memberOf(exports, name) })
  }
  return Object.defineProperty(namespace, 'default', { enumerable: true, value: exports })
}

/**
 * @param {string} name of a package
 * @param {string} path of the file that imports it
 * @returns {{ version: string, folder: string } | undefined}
 */
function installed(name, path) {
  const places = nodeModule.createRequire(path).resolve.paths?.(name) ?? ancestors(path)
  for (const place of places) {
    const folder = join(place, name)
    try {
      return {
        version: JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')).version,
        folder,
      }
    } catch {
      // Not there.
    }
  }
  return undefined
}

/** @param {string} path */
function ancestors(path) {
  const places = []
  for (let folder = dirname(path); folder !== dirname(folder); folder = dirname(folder)) {
    places.push(join(folder, 'node_modules'))
  }
  return places
}

/**
 * @param {string} specifier
 * @param {string} path of the file that imports it
 * @returns {string | undefined} a warning, if the installed version does not satisfy the pin
 */
function pinWarning(specifier, path) {
  const pin = pinOf(specifier)
  const found = pin && installed(pin.name, path)
  if (!pin || !found || satisfies(String(found.version), pin.range)) return undefined
  return `${path} wants ${pin.name}@${pin.range}, but version ${found.version} is installed in ${found.folder}`
}

module.exports = { importerOf, installed, namespaceOf, pinWarning }
