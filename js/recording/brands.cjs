// @ts-check
'use strict'

// Recognises values by brand (`util.types`, `Symbol.toStringTag`) and by the methods that are used,
// never by class: a value may be of another realm or of another package.

const { types } = require('node:util')

const { isObject, unchecked } = require('../values.cjs')

/**
 * Returns the value of `Symbol.toStringTag`, or an empty text.
 *
 * @param {object} value
 */
function tagOf(value) {
  const tag = unchecked(value, Symbol.toStringTag)
  return typeof tag === 'string' ? tag : ''
}

/**
 * @param {object} value
 * @param {string | symbol} name
 */
const hasMethod = (value, name) => typeof unchecked(value, name) === 'function'

/**
 * Returns a check for objects with one of these tags and with this method.
 *
 * @param {string[]} tags
 * @param {string | symbol} method
 * @returns {(value: unknown) => boolean}
 */
const branded = (tags, method) => (value) =>
  isObject(value) && tags.includes(tagOf(value)) && hasMethod(value, method)

const isHeaders = /** @type {(value: unknown) => value is Iterable<[string, string]>} */ (
  branded(['Headers'], Symbol.iterator)
)
const isSearchParams = branded(['URLSearchParams'], 'toString')
const isForm = /** @type {(value: unknown) => value is Iterable<[string, unknown]>} */ (
  branded(['FormData'], Symbol.iterator)
)
const isBlob = /** @type {(value: unknown) => value is Blob & { name?: unknown }} */ (
  branded(['Blob', 'File'], 'arrayBuffer')
)

/**
 * Returns whether a value is a form of the npm package `form-data`, which is not a `FormData` of the web.
 *
 * @param {unknown} value
 * @returns {value is { getBuffer(): Uint8Array, getHeaders(): Record<string, string>, _streams?: unknown }}
 */
const isNpmForm = (value) =>
  isObject(value) && hasMethod(value, 'getBuffer') && hasMethod(value, 'getHeaders')

/**
 * Returns whether an object can only be read later: a stream of Node or of the web, an async iterable.
 *
 * @param {object} value
 */
const isStream = (value) =>
  hasMethod(value, 'pipe') ||
  hasMethod(value, 'getReader') ||
  hasMethod(value, Symbol.asyncIterator) ||
  ['WritableStream', 'TransformStream'].includes(tagOf(value))

/**
 * @param {object} value
 * @returns {value is Error & Record<string, unknown>}
 */
const isError = (value) => types.isNativeError(value) || tagOf(value) === 'DOMException'

module.exports = {
  hasMethod,
  isBlob,
  isError,
  isForm,
  isHeaders,
  isNpmForm,
  isSearchParams,
  isStream,
  tagOf,
}
