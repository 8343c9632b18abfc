// @ts-check
'use strict'

// Where the imports of a file lead, and whether a file needs this loader or is Node's to load.

const { createRequire } = require('node:module')
const { extname, sep } = require('node:path')
const { fileURLToPath, pathToFileURL } = require('node:url')
const { memberOf } = require('../../values.cjs')
const { analyse } = require('./analysis.cjs')
const { isForeignRealm, StepSyntaxError } = require('./compile.cjs')
const { pinOf } = require('./pins.cjs')
const { EXTENSIONS, isFileOrNothing, isModuleScope, readSource } = require('./source.cjs')

/** @typedef {import('./analysis.cjs').Analysis} Analysis */

/** @param {string} specifier */
const isFileSpecifier = (specifier) => /^(\.\.?(\/|$)|\/|file:)/.test(specifier)

/**
 * @param {string} specifier
 * @param {string} from path of the importing file
 * @returns {string | undefined} the path of the file that an import means, if it means one
 */
function importedFile(specifier, from) {
  if (!isFileSpecifier(specifier)) return undefined
  try {
    return fileURLToPath(new URL(specifier, pathToFileURL(from)))
  } catch {
    return undefined
  }
}

/**
 * @param {string} specifier
 * @param {string} from
 * @returns {string | undefined} as {@link importedFile}, for `require`
 */
function requiredFile(specifier, from) {
  if (!isFileSpecifier(specifier)) return undefined
  try {
    return createRequire(from).resolve(specifier)
  } catch {
    return undefined
  }
}

/** @param {Analysis} analysis @returns {{ specifier: string, index: number }[]} */
function references({ syntax, dynamic, required }) {
  return [...syntax.imports, ...dynamic, ...required]
}

/** @param {string} path @returns {'module' | 'commonjs' | undefined} how Node takes it */
function nodeFormat(path) {
  switch (extname(path).toLowerCase()) {
    case '.mjs':
      return 'module'
    case '.cjs':
      return 'commonjs'
    case '.js':
      return isModuleScope(path) ? 'module' : 'commonjs'
    default:
      return undefined
  }
}

/** @param {Analysis} analysis @param {string} path @returns {boolean} whether Node alone would not load it */
function isPeculiar(analysis, path) {
  if (analysis.kind !== 'module' && analysis.kind !== 'commonjs') return false
  if (analysis.hasFormat && analysis.kind !== nodeFormat(path)) return true
  if (analysis.kind === 'module' && (analysis.usesRequire || isForeignRealm)) return true
  const isJson = ({ specifier = '' }) => isFileSpecifier(specifier) && specifier.endsWith('.json')
  if ([...analysis.syntax.imports, ...analysis.dynamic].some(isJson)) return true
  return references(analysis).some(({ specifier }) => pinOf(specifier))
}

/** The analyses of the files of one step, and which of them need this loader. */
class Files {
  /** @type {Map<string, Analysis | undefined>} */ #analyses = new Map()
  /** @type {Map<string, boolean>} */ #needs = new Map()
  /** Files that do not parse: the loader says where. @type {Set<string>} */ #broken = new Set()

  /**
   * @param {string} path
   * @param {import('./analysis.cjs').Role} [role]
   * @returns {Analysis}
   * @throws {StepSyntaxError}
   */
  analysis(path, role = 'helper') {
    const known = this.#analyses.get(path)
    if (known) return known
    const analysis = analyse(readSource(path), path, role)
    this.#analyses.set(path, analysis)
    return analysis
  }

  /**
   * Whether a file, or one that it imports, is not for Node alone. Packages always are.
   *
   * @param {string} path
   * @returns {boolean}
   */
  needsLoader(path) {
    const known = this.#needs.get(path)
    if (known !== undefined) return known
    const needs = [...this.#reachable(path)].some((file) => {
      const analysis = this.#read(file)
      if (analysis) return isPeculiar(analysis, file)
      return this.#broken.has(file) || !isFileOrNothing(file)
    })
    this.#needs.set(path, needs)
    return needs
  }

  /** @param {string} start @returns {Set<string>} the files that a file leads to, with itself */
  #reachable(start) {
    const found = new Set([start])
    for (const path of found) {
      const analysis = this.#read(path)
      if (!analysis) continue
      for (const { specifier } of [...analysis.syntax.imports, ...analysis.dynamic]) {
        const file = importedFile(specifier, path)
        if (file) found.add(file)
      }
      for (const { specifier } of analysis.required) {
        const file = requiredFile(specifier, path)
        if (file) found.add(file)
      }
    }
    return found
  }

  /** @param {string} path @returns {Analysis | undefined} undefined for what is Node's to refuse or load */
  #read(path) {
    if (this.#analyses.has(path)) return this.#analyses.get(path)
    const isOurs = EXTENSIONS.includes(extname(path)) && !path.includes(`${sep}node_modules${sep}`)
    try {
      return isOurs ? this.analysis(path) : undefined
    } catch (error) {
      const isRefusal = memberOf(error, 'code') === 'ERR_SEND_INVALID_ARGUMENT'
      if (!(error instanceof StepSyntaxError) && !isRefusal) throw error
      if (!isRefusal) this.#broken.add(path)
      this.#analyses.set(path, undefined)
      return undefined
    }
  }
}

module.exports = { Files, importedFile, isFileSpecifier, nodeFormat, references, requiredFile }
