// @ts-check
'use strict'

// Reads the text of a step file or a helper; refuses what cannot be one.

const { readFileSync, statSync } = require('node:fs')
const nodeModule = require('node:module')
const { basename, dirname, extname, join } = require('node:path')
const { invalidArgument } = require('../../errors.cjs')

const FORMS = `A step file has one of these forms:
  export default defineComponent({ async run({ steps, $ }) { ... } })    or module.exports = ...
  export default async (event, steps) => { ... }
  async (event, steps) => { ... }                 the whole file is the function
  defineComponent({ ... }) or { ... }             the whole file is the component
  const x = await ...; return x                   the whole file is the body of a function`

const EXTENSIONS = ['.js', '.mjs', '.cjs', '.ts', '.mts', '.cts']

/**
 * @param {string} path
 * @param {string} reason
 * @param {{ line: number, column: number }} [place]
 */
function refusal(path, reason, place) {
  const where = place ? `:${place.line}:${place.column}` : ''
  return Object.assign(invalidArgument(`${path}${where}: ${reason}`), { path, ...place })
}

/** @param {string} path @param {string} reason @param {{ line: number, column: number }} [place] */
function notAStep(path, reason, place) {
  return refusal(path, `it is no step: ${reason}.\n${FORMS}`, place)
}

/**
 * @param {string} path
 * @returns {string} JavaScript; types are gone
 * @throws `ERR_SEND_INVALID_ARGUMENT`
 */
function readSource(path) {
  const bytes = readBytes(path)
  const extension = extname(path).toLowerCase()
  if (!EXTENSIONS.includes(extension)) {
    throw refusal(path, `this is not one of the files of a step (${EXTENSIONS.join(', ')})`)
  }
  const text = decode(path, bytes)
  return extension.endsWith('ts') ? withoutTypes(path, text) : text
}

/** @param {string} path @returns {Buffer} */
function readBytes(path) {
  let info
  try {
    info = statSync(path)
    if (info.isFile()) return readFileSync(path)
  } catch (error) {
    const { code, message } = /** @type {NodeJS.ErrnoException} */ (error)
    throw refusal(path, code === 'ENOENT' ? 'there is no such file' : message)
  }
  if (info.isDirectory()) throw refusal(path, 'it is a directory, name a file in it')
  throw refusal(path, 'it is not a regular file')
}

/** @param {string} path @returns {boolean} false for what Node might wait for, such as a named pipe */
function isFileOrNothing(path) {
  const info = statSync(path, { throwIfNoEntry: false })
  return !info || info.isFile() || info.isDirectory()
}

/** @param {string} path @param {Buffer} bytes @returns {string} */
function decode(path, bytes) {
  if (!bytes.includes(0)) {
    try {
      return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
    } catch {
      // Said below.
    }
  }
  const isUtf16 =
    (bytes[0] === 0xff && bytes[1] === 0xfe) || (bytes[0] === 0xfe && bytes[1] === 0xff)
  throw refusal(path, isUtf16 ? 'it is UTF-16; save it as UTF-8' : 'it is not text in UTF-8')
}

/** @typedef {{ stripTypeScriptTypes?: (text: string) => string }} TypeStripper Node.js from 22.13 on. */

/** @param {string} path @param {string} text @returns {string} */
function withoutTypes(path, text) {
  const strip = /** @type {TypeStripper} */ (nodeModule).stripTypeScriptTypes
  if (typeof strip !== 'function') {
    throw refusal(
      path,
      `Node.js ${process.versions.node} cannot run TypeScript (22.13 and later can); compile it to JavaScript`,
    )
  }
  try {
    return strip(text)
  } catch (error) {
    const [first] = /** @type {Error} */ (error).message.trim().split('\n')
    throw refusal(path, `its types cannot be removed: ${first}`)
  }
}

/**
 * Whether Node takes a `.js` file there for an ES module.
 *
 * @param {string} path
 */
function isModuleScope(path) {
  for (let folder = dirname(path); ; folder = dirname(folder)) {
    try {
      return JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')).type === 'module'
    } catch (error) {
      if (/** @type {NodeJS.ErrnoException} */ (error).code !== 'ENOENT') return false
    }
    if (folder === dirname(folder) || basename(folder) === 'node_modules') return false
  }
}

module.exports = { EXTENSIONS, isFileOrNothing, isModuleScope, notAStep, readSource, refusal }
