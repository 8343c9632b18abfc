// @ts-check
'use strict'

const { isObject } = require('./check.cjs')
const { sendError } = require('./errors.cjs')

/**
 * The options of `Engine.open` as text for Rust, which knows their names and types. What JSON would
 * drop or change without a word is refused here.
 *
 * @param {unknown} options
 * @returns {string}
 */
function optionsText(options) {
  if (options === undefined) return '{}'
  if (!isObject(options) || Array.isArray(options)) {
    throw invalidOption('the options must be an object')
  }
  const spoken = withKeyAsText(options)
  refuseUnspeakable(spoken, [])
  return JSON.stringify(spoken)
}

/**
 * The options with `journal.key` as text where it is bytes.
 *
 * @param {any} options
 */
function withKeyAsText(options) {
  const { journal } = options
  if (!isObject(journal) || !(/** @type {any} */ (journal).key instanceof Uint8Array))
    return options
  return { ...options, journal: { ...journal, key: keyText(/** @type {any} */ (journal).key) } }
}

/**
 * A key as text for Rust.
 *
 * @param {Uint8Array | string | undefined} key
 */
function keyText(key) {
  return key instanceof Uint8Array ? Buffer.from(key).toString('base64') : key
}

/**
 * @param {object} value
 * @param {string[]} path
 */
function refuseUnspeakable(value, path) {
  if (path.length > 8) throw invalidOption(`${path.join('.')}: is nested too deeply`)
  for (const [key, member] of Object.entries(value)) {
    const here = [...path, key]
    if (isObject(member)) refuseUnspeakable(member, here)
    else if (!isSpeakable(member)) {
      throw invalidOption(`${here.join('.')}: ${String(member)} is not a value for an option`)
    }
  }
}

/** @param {unknown} value */
function isSpeakable(value) {
  if (typeof value === 'number') return Number.isFinite(value)
  return ['string', 'boolean', 'undefined'].includes(typeof value)
}

/** @param {string} message */
function invalidOption(message) {
  return sendError(TypeError, 'ERR_SEND_INVALID_OPTION', `Engine.open(): ${message}`)
}

module.exports = { keyText, optionsText }
