// @ts-check
'use strict'

// The options of `Engine.open()`, as text for Rust.

const { resolve } = require('node:path')
const { fileURLToPath } = require('node:url')
const { types } = require('node:util')

const { sendError } = require('./errors.cjs')
const { isObject, isRecord } = require('./values.cjs')

/** The options that are a path, or the `file:` URL of one. */
const PATHS = ['dataDir', 'email.file', 'email.attachmentFolder', 's3.file', 'sql.duckdb.file']

/**
 * Returns the options as JSON. Rust checks their names and types; values that JSON would drop or change
 * are refused here.
 *
 * @param {unknown} options
 * @returns {string}
 */
function optionsText(options) {
  if (options === undefined) return '{}'
  if (!isObject(options) || Array.isArray(options)) {
    throw invalidOption('the options must be an object')
  }
  const keyed = withKeyAsText(/** @type {Record<string, unknown>} */ (options))
  const given = PATHS.reduce((all, path) => withPathAsText(all, path.split('.')), keyed)
  refuseNonJson(given, [])
  return JSON.stringify(given)
}

/**
 * Returns the options with `journal.key` as text where it is bytes.
 *
 * @param {Record<string, unknown>} options
 */
function withKeyAsText(options) {
  const { journal } = options
  if (!isRecord(journal) || !types.isUint8Array(journal.key)) return options
  return { ...options, journal: { ...journal, key: keyText(journal.key) } }
}

/**
 * Returns the options with a path made absolute, also that of a `file:` URL: the working directory may
 * change while the engine is open.
 *
 * @param {Record<string, unknown>} options
 * @param {string[]} path of the option
 * @param {string[]} [parents]
 * @returns {Record<string, unknown>}
 */
function withPathAsText(options, [name, ...rest], parents = []) {
  const value = options[name]
  const here = [...parents, name]
  if (rest.length > 0) {
    return isRecord(value) ? { ...options, [name]: withPathAsText(value, rest, here) } : options
  }
  const url = urlIn(value)
  if (url === undefined) {
    return typeof value === 'string' && value !== ''
      ? { ...options, [name]: resolve(value) }
      : options
  }
  try {
    return { ...options, [name]: fileURLToPath(url) }
  } catch (error) {
    const { message } = /** @type {Error} */ (error)
    throw invalidOption(`${here.join('.')}: ${url} is not the URL of a file: ${message}`)
  }
}

/**
 * Returns the text of a URL: a `URL`, also of another realm, or a text that begins with `file://`.
 *
 * @param {unknown} value
 * @returns {string | undefined}
 */
function urlIn(value) {
  if (typeof value === 'string') return /^file:\/\//i.test(value) ? value : undefined
  return isRecord(value) && typeof value.href === 'string' ? value.href : undefined
}

/**
 * Returns the path that an option names, by itself or as a `file:` URL.
 *
 * @param {string | { readonly href: string }} value
 */
function pathText(value) {
  const url = urlIn(value)
  return url === undefined ? String(value) : fileURLToPath(url)
}

/**
 * Returns a key as text for Rust.
 *
 * @param {Uint8Array | string | undefined} key
 */
function keyText(key) {
  return types.isUint8Array(key) ? Buffer.from(key).toString('base64') : key
}

/**
 * Throws for a value that JSON does not hold as it is.
 *
 * @param {object} value
 * @param {string[]} path
 */
function refuseNonJson(value, path) {
  if (path.length > 8) throw invalidOption(`${path.join('.')}: is nested too deeply`)
  for (const [key, member] of Object.entries(value)) {
    const here = [...path, key]
    if (isObject(member)) refuseNonJson(member, here)
    else if (!isJsonScalar(member)) {
      throw invalidOption(`${here.join('.')}: ${String(member)} is not a value for an option`)
    }
  }
}

/** @param {unknown} value */
function isJsonScalar(value) {
  if (typeof value === 'number') return Number.isFinite(value)
  return ['string', 'boolean', 'undefined'].includes(typeof value)
}

/** @param {string} message */
function invalidOption(message) {
  return sendError(TypeError, 'ERR_SEND_INVALID_OPTION', `Engine.open(): ${message}`)
}

module.exports = { keyText, optionsText, pathText }
