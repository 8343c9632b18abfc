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
  refuseUnspeakable(options, [])
  return JSON.stringify(options)
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

module.exports = { optionsText }
