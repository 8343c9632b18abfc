// @ts-check
'use strict'

// Spells out the objects of which `JSON.stringify` takes nothing or too little, and refuses those that
// JSON cannot hold at all.

const { types } = require('node:util')

const {
  hasMethod,
  isBlob,
  isError,
  isForm,
  isHeaders,
  isNpmForm,
  isSearchParams,
  isStream,
  tagOf,
} = require('./brands.cjs')
const { isObject } = require('../values.cjs')
const { hasOwnSymbols, isPlainObject } = require('./plain.cjs')

/** Thrown for a value that cannot be recorded, with the reason and advice. */
class Refusal {
  /**
   * @param {string} reason
   * @param {(path: string) => string} [advice]
   */
  constructor(reason, advice) {
    this.reason = reason
    this.advice = advice
  }
}

/**
 * Returns what JSON.stringify is to make text of. A `toJSON` has been called already.
 *
 * @param {unknown} value
 * @param {(warning: string) => void} warn
 * @throws {Refusal}
 */
function spelledOut(value, warn) {
  if (typeof value === 'bigint' || types.isBigIntObject(value)) throw new Refusal('is a BigInt')
  if (!isObject(value) || Array.isArray(value)) return value
  if (isPlainObject(value)) {
    if (hasOwnSymbols(value)) refuseStream(value)
    return value
  }
  if (types.isMap(value)) return entriesOf(value)
  if (types.isSet(value)) return [...value]
  if (isError(value)) return errorOf(value)
  if (isHeaders(value)) return headersOf(value)
  if (isSearchParams(value)) return String(value)
  if (tagOf(value) === 'URL') return String(value)
  // Indexed values, text, numbers and booleans of their own.
  if (types.isTypedArray(value)) return value
  if (types.isBoxedPrimitive(value) && !types.isSymbolObject(value)) return value
  refuse(value)
  if (Object.keys(value).length === 0) judgeEmpty(value, warn)
  return value
}

/**
 * Returns the entries of a Map as an object.
 *
 * @param {Map<unknown, unknown>} map
 */
function entriesOf(map) {
  for (const key of map.keys()) {
    if (!isObject(key) && typeof key !== 'symbol' && typeof key !== 'function') continue
    throw new Refusal('is a Map with a key that is no text', () => 'send its entries as a list')
  }
  const entries = Object.fromEntries(map)
  if (Object.keys(entries).length === map.size) return entries
  throw new Refusal('is a Map with keys that are the same as text', () => 'rename them')
}

/**
 * Returns an error as its name, its message and the members that it was given. The stack is left out:
 * it names the files of the sender.
 *
 * @param {Error & Record<string, unknown>} error
 */
function errorOf(error) {
  /** @type {Record<string, unknown>} */
  const known = { name: error.name, message: error.message }
  for (const key of ['cause', 'errors']) if (Object.hasOwn(error, key)) known[key] = error[key]
  return { ...known, ...error }
}

/**
 * Returns headers, or any pairs, as an object: a name that comes again has a list.
 *
 * @param {Iterable<[string, unknown]>} headers
 */
function headersOf(headers) {
  /** @type {Map<string, unknown>} */
  const lines = new Map()
  for (const [name, value] of headers) {
    const text = String(name)
    lines.set(text, lines.has(text) ? [lines.get(text), value].flat() : value)
  }
  return Object.fromEntries(lines)
}

/** Brands whose content JSON has no form for, or whose content is not there yet. */
const REFUSED_BRANDS = [
  ...['RegExp', 'WeakMap', 'WeakSet', 'WeakRef', 'Request', 'Response', 'AbortSignal'],
  ...['ArrayBuffer', 'SharedArrayBuffer', 'DataView', 'Symbol', 'FormData', 'Blob', 'File'],
]

/**
 * Refuses objects that JSON cannot hold.
 *
 * @param {object} value
 */
function refuse(value) {
  refuseStream(value)
  if (types.isPromise(value) || hasMethod(value, 'then')) {
    throw new Refusal('is a Promise', () => 'await it first')
  }
  if (types.isAnyArrayBuffer(value) || types.isDataView(value)) {
    const base64 = (/** @type {string} */ path) =>
      `encode it, as in ${path}: bytes.toString('base64')`
    throw new Refusal('is binary data inside other data', base64)
  }
  if (isForm(value) || isNpmForm(value) || isBlob(value)) {
    const what = isBlob(value) ? 'Blob' : 'form'
    throw new Refusal(`is a ${what}`, () => '`data` of $send.http alone can be one')
  }
  if (types.isRegExp(value)) throw new Refusal('is a RegExp', () => 'send String(value)')
  const tag = types.isSymbolObject(value) ? 'Symbol' : tagOf(value)
  if (REFUSED_BRANDS.includes(tag)) throw noJson(tag)
}

/** @param {object} value */
function refuseStream(value) {
  if (!isStream(value)) return
  throw new Refusal(
    'is a stream',
    (path) => `read it first, as in ${path}: await buffer(stream), of node:stream/consumers`,
  )
}

/** @param {string} what */
const noJson = (what) =>
  new Refusal(`is a ${what}, of which JSON holds nothing`, () => 'send the members that matter')

/**
 * Refuses an instance of a class that is `{}` as JSON and is known to have more in it; warns of others.
 *
 * @param {object} value
 * @param {(warning: string) => void} warn
 */
function judgeEmpty(value, warn) {
  const { name } = classOf(value)
  if (tagOf(value) !== '' || hasAccessors(value)) throw noJson(tagOf(value) || name)
  if (name !== 'Object') warn(`is {} as JSON: ${name} has no members that JSON holds`)
}

/** @param {object} value @returns {{ name: string }} */
function classOf(value) {
  const { constructor } = value
  const named = typeof constructor === 'function' && typeof constructor.name === 'string'
  return { name: (named && constructor.name) || 'its class' }
}

/**
 * Returns whether the class of an object has getters, which stand for private state.
 *
 * @param {object} value
 */
function hasAccessors(value) {
  let prototype = Object.getPrototypeOf(value)
  while (prototype !== null && !isTop(prototype)) {
    const members = Object.values(Object.getOwnPropertyDescriptors(prototype))
    if (members.some(({ get }) => get !== undefined)) return true
    prototype = Object.getPrototypeOf(prototype)
  }
  return false
}

/** @param {object} prototype */
const isTop = (prototype) => Object.getPrototypeOf(prototype) === null

module.exports = { Refusal, headersOf, spelledOut }
