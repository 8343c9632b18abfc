// @ts-check
'use strict'

// Plain values: what JSON.stringify takes as it is, in this realm and in others.

/**
 * Whether an object is no instance of a class: its prototype is none, or the last one of its realm.
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
 * Whether JSON.stringify loses nothing of a value but what JSON has no form for (`undefined`,
 * functions, symbols): there are only plain objects, arrays and dates in it. What throws while it is
 * read, and what is nested too deeply, is not plain.
 *
 * @param {unknown} value
 * @returns {boolean}
 */
function isPlainTree(value) {
  try {
    return isPlainValue(value, MAX_DEPTH)
  } catch {
    return false
  }
}

/**
 * @param {any} value
 * @param {number} depth
 * @returns {boolean}
 */
function isPlainValue(value, depth) {
  if (typeof value !== 'object' || value === null) return typeof value !== 'bigint'
  if (value.toJSON !== undefined) return isPlainDate(value)
  if (depth === 0) return false
  if (Array.isArray(value)) {
    for (let index = 0; index < value.length; index++)
      if (!isPlainValue(value[index], depth - 1)) return false
    return true
  }
  if (!isPlainObject(value)) return false
  const keys = Object.keys(value)
  if (keys.length === 0) return !hasOwnSymbols(value)
  for (const key of keys) if (!isPlainValue(value[key], depth - 1)) return false
  return true
}

/** @param {Date} value */
const isPlainDate = (value) =>
  Object.getPrototypeOf(value) === Date.prototype && value.toJSON === Date.prototype.toJSON

/**
 * Whether an object has symbols for keys, as iterables have that were written as literals.
 *
 * @param {object} value
 */
const hasOwnSymbols = (value) => Object.getOwnPropertySymbols(value).length > 0

module.exports = { hasOwnSymbols, isPlainObject, isPlainTree }
