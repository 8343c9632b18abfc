// @ts-check
'use strict'

// Reads values of any kind, without a failure.

const { inspect, types } = require('node:util')

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

const UNSHOWN = 'a value that cannot be shown'

/** Characters of a value that a message shows. */
const MAX_SHOWN = 100

/**
 * Returns a value as text for a message, cut to a reasonable length.
 *
 * @param {unknown} value
 */
function shown(value) {
  let text = UNSHOWN
  try {
    text = String(value)
  } catch {
    if (isObject(value) && !types.isProxy(value)) text = Object.prototype.toString.call(value)
  }
  return text.length > MAX_SHOWN ? `${text.slice(0, MAX_SHOWN)}…` : text
}

/** Causes of causes that a message names. */
const MAX_CAUSES = 3

/**
 * Returns the message of a thrown value with those of its causes, or the value as text. It is never empty.
 *
 * @param {unknown} error
 * @param {number} [depth] how many causes deep it is
 * @returns {string}
 */
function messageOf(error, depth = 0) {
  try {
    return isObject(error) && 'message' in error ? ofError(error, depth) : described(error)
  } catch {
    return UNSHOWN
  }
}

/**
 * @param {{ message: unknown, name?: unknown, code?: unknown, cause?: unknown, errors?: unknown }} error
 * @param {number} depth
 */
function ofError({ message, name, code, cause, errors }, depth) {
  const own = message === undefined || message === null || message === '' ? '' : described(message)
  const all = [...(Array.isArray(errors) ? errors : []), ...(isObject(cause) ? [cause] : [])]
  const others = depth < MAX_CAUSES ? all.map((one) => messageOf(one, depth + 1)) : []
  const causes = [...new Set(others)].filter((text) => !own.includes(text)).join('; ')
  if (own !== '' || causes !== '') return [own, causes].filter((text) => text !== '').join(': ')
  const kind = typeof name === 'string' && name !== '' ? name : 'Error'
  return typeof code === 'string' ? `${kind} with the code ${code}` : `${kind} without a message`
}

/**
 * Returns a value as text in one line: a text as it is, an object with its members. Runs no code of it.
 *
 * @param {unknown} value
 * @returns {string}
 */
function described(value) {
  if (typeof value === 'string') return value === '' ? 'an empty text' : value
  return inspect(value, {
    ...{ depth: 0, breakLength: Infinity, customInspect: false },
    ...{ maxArrayLength: 10, maxStringLength: MAX_SHOWN },
  })
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

module.exports = {
  ...{ cut, described, isObject, isRecord, memberOf, messageOf, shown, unchecked, wellFormed },
}
