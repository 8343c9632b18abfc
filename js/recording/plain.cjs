// @ts-check
'use strict'

// Plain values: those of which `JSON.stringify` loses nothing, in this realm and in others.

/**
 * Returns whether an object is no instance of a class: it has no prototype, or the last one of its
 * realm.
 *
 * @param {object} value
 */
function isPlainObject(value) {
  const prototype = Object.getPrototypeOf(value)
  return prototype === null || Object.getPrototypeOf(prototype) === null
}

/** Levels of objects and arrays that are searched. */
const MAX_DEPTH = 1000

/**
 * Returns whether `JSON.stringify` loses nothing of a value but `undefined` and symbols: it consists of
 * plain objects, arrays and dates. A value is not plain if it throws while it is read, is nested too
 * deeply, or has methods, which may make it a form.
 *
 * Every call passes here, so the loops below are written for their speed.
 *
 * @param {unknown} value
 * @returns {boolean}
 */
function isPlainTree(value) {
  // A member of all objects would look like one of the value's own.
  for (const _ in Object.prototype) return false
  if (typeof value !== 'object' || value === null) return typeof value !== 'bigint'
  searching = true
  try {
    return isPlainNode(/** @type {Node} */ (value), MAX_DEPTH)
  } catch {
    return false
  } finally {
    searching = false
  }
}

/** Whether {@link isPlainTree} reads a value. */
let searching = false

/**
 * Returns whether the running code is a getter of a value that is only searched. A call that the getter
 * makes is recorded when `JSON.stringify` reads the value after that.
 */
const isSearching = () => searching

/** @typedef {Record<string, unknown> & { toJSON?: unknown }} Node */

/**
 * @param {Node} value
 * @param {number} depth levels that may follow
 * @returns {boolean}
 */
function isPlainNode(value, depth) {
  if (value.toJSON !== undefined) return isPlainDate(value)
  if (depth === 0) return false
  if (Array.isArray(value)) return isPlainArray(value, depth)
  const prototype = Object.getPrototypeOf(value)
  if (prototype !== Object.prototype && !isPlainObject(value)) return false
  let isEmpty = true
  // The loop that V8 makes fastest.
  for (const key in value) {
    const member = value[key]
    isEmpty = false
    if (typeof member === 'object') {
      if (member !== null && !isPlainNode(/** @type {Node} */ (member), depth - 1)) return false
    } else if (typeof member === 'bigint' || typeof member === 'function') return false
  }
  if (!isEmpty && prototype === Object.prototype) return true
  return Object.keys(value).length > 0 || !hasOwnSymbols(value)
}

/**
 * @param {unknown[]} values
 * @param {number} depth levels that may follow
 * @returns {boolean}
 */
function isPlainArray(values, depth) {
  for (let index = 0; index < values.length; index++) {
    const item = values[index]
    if (typeof item === 'object') {
      if (item !== null && !isPlainNode(/** @type {Node} */ (item), depth - 1)) return false
    } else if (typeof item === 'bigint' || typeof item === 'function') return false
  }
  return true
}

/** @param {Node} value */
const isPlainDate = (value) =>
  Object.getPrototypeOf(value) === Date.prototype && value.toJSON === Date.prototype.toJSON

/**
 * Returns whether an object has symbols for keys, as iterables have that were written as literals.
 *
 * @param {object} value
 */
const hasOwnSymbols = (value) => Object.getOwnPropertySymbols(value).length > 0

module.exports = { hasOwnSymbols, isPlainObject, isPlainTree, isSearching }
