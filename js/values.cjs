// @ts-check
'use strict'

// Reads values of any kind, without a failure.

const { types } = require('node:util')

/**
 * Returns whether a value is an object, of whatever class.
 *
 * @param {unknown} value
 * @returns {value is object}
 */
function isObject(value) {
  return typeof value === 'object' && value !== null
}

/**
 * Returns whether a value is an object that is not an array.
 *
 * @param {unknown} value
 * @returns {value is Record<string, unknown>}
 */
function isRecord(value) {
  return isObject(value) && !Array.isArray(value)
}

/**
 * Reads a member that the caller does not depend on: a getter that throws reads as `undefined`.
 *
 * @param {object} source
 * @param {string | symbol} key
 * @returns {unknown}
 */
function unchecked(source, key) {
  try {
    return /** @type {Record<string | symbol, unknown>} */ (source)[key]
  } catch {
    return undefined
  }
}

/**
 * Returns a member of a value of any type; `undefined` for `undefined` and `null`, which have none.
 *
 * @param {unknown} value
 * @param {string} name
 * @returns {unknown}
 */
function memberOf(value, name) {
  return /** @type {Record<string, unknown> | null | undefined} */ (value)?.[name]
}

/** Characters of a value that a message shows. */
const MAX_SHOWN = 100

/**
 * Returns a value as text for a message, cut to a reasonable length.
 *
 * @param {unknown} value
 */
function shown(value) {
  let text = 'a value that cannot be shown'
  try {
    text = String(value)
  } catch {
    if (isObject(value) && !types.isProxy(value)) text = Object.prototype.toString.call(value)
  }
  return text.length > MAX_SHOWN ? `${text.slice(0, MAX_SHOWN)}…` : text
}

/**
 * Returns the message of a thrown value, or the value as text.
 *
 * @param {unknown} error
 * @returns {string}
 */
function messageOf(error) {
  try {
    const message = isObject(error) && 'message' in error ? error.message : undefined
    return String(message ?? error)
  } catch {
    return Object.prototype.toString.call(error)
  }
}

/**
 * Returns a text without lone surrogates, which Rust does not read.
 *
 * @param {string} text
 * @returns {string}
 */
function wellFormed(text) {
  return /** @type {{ toWellFormed(): string }} */ (/** @type {unknown} */ (text)).toWellFormed()
}

/**
 * Returns a text of at most `most` characters, with an ellipsis where it was cut.
 *
 * @param {string} text
 * @param {number} most
 */
function cut(text, most) {
  return text.length > most ? `${text.slice(0, most - 1)}…` : text
}

module.exports = { cut, isObject, isRecord, memberOf, messageOf, shown, unchecked, wellFormed }
