// @ts-check
'use strict'

// Values become text here. The text is what JSON.stringify gives; what it would lose (a Map, a Set,
// binary data) or cannot do (a cycle, a BigInt) is looked after.

const { types } = require('node:util')

const { isObject, unchecked } = require('./check.cjs')
const { invalidArgument } = require('./errors.cjs')

/**
 * @typedef {object} Body What takes the place of a member that JSON cannot hold.
 * @property {Buffer | undefined} bytes
 * @property {string | undefined} contentType
 * @property {Promise<ArrayBuffer> | undefined} later the bytes, where they can only be had so
 * @property {number} size the bytes there will be at least
 */

/**
 * The text of a value. `{}` in it may be a Map or a Set that JSON.stringify saw nothing in, and then
 * the text is made again with those spelled out.
 *
 * @param {string} name
 * @param {object} value
 * @param {string[]} warnings what is lost is added to them
 * @returns {string} nothing at all if the value's own `toJSON` answers nothing
 */
function textOf(name, value, warnings) {
  try {
    const text = JSON.stringify(value)
    if (!text?.includes('{}')) return text
    return JSON.stringify(value, (_key, member) => {
      const lost = lostInside(member)
      if (lost) warnings.push(`a ${lost} inside the call is not recorded: give it as \`data\``)
      return spelledOut(member)
    })
  } catch (error) {
    throw explained(name, value, error)
  }
}

/**
 * What JSON holds of the objects that JSON.stringify sees nothing in.
 *
 * @param {unknown} value
 * @returns {unknown}
 */
function spelledOut(value) {
  if (!isObject(value)) return value
  const known = /** @type {any} */ (value)
  if (types.isMap(value)) return Object.fromEntries(value)
  if (types.isSet(value)) return [...value]
  if (isBrand(value, ['Headers'], 'entries')) return Object.fromEntries(known.entries())
  if (isBrand(value, ['URLSearchParams'], 'toString')) return known.toString()
  return value
}

/** @param {unknown} value */
function lostInside(value) {
  if (isBrand(value, ['FormData'], 'entries')) return 'FormData'
  return isBrand(value, ['Blob', 'File'], 'arrayBuffer') ? 'Blob' : undefined
}

/**
 * Whether a value is of a kind, by its brand and the method that is used: its class may be that of
 * another realm or another package.
 *
 * @param {unknown} value
 * @param {string[]} brands
 * @param {string} method
 */
function isBrand(value, brands, method) {
  if (!isObject(value) || types.isProxy(value)) return false
  return (
    brands.includes(
      /** @type {any} */ (unchecked(value, /** @type {any} */ (Symbol.toStringTag))),
    ) && typeof unchecked(value, method) === 'function'
  )
}

/** What V8 says of values that have no JSON text; any other error is the value's own. */
const OWN_COMPLAINTS = /^(Converting circular structure|Do not know how to serialize a BigInt)/

/**
 * JSON.stringify's own complaints name no path: look for the culprit. Errors that come from getters
 * and `toJSON` pass through.
 *
 * @param {string} name
 * @param {object} value
 * @param {unknown} error
 */
function explained(name, value, error) {
  if (error instanceof RangeError && /string length/i.test(error.message)) {
    return tooLarge(name, 'more than a string can hold')
  }
  const complaint = error instanceof TypeError && OWN_COMPLAINTS.test(error.message)
  const overflow = error instanceof RangeError && /call stack/i.test(error.message)
  const found = complaint || overflow ? culprit(value, [], []) : undefined
  if (found === undefined) return error
  return invalidArgument(
    `$send.${name}: ${found.path.join('.')} ${found.reason}, so it cannot be recorded`,
  )
}

/** Levels of objects and arrays that are searched; JSON.stringify itself gives up after thousands. */
const MAX_DEPTH = 500

/**
 * @param {unknown} given
 * @param {string[]} path
 * @param {object[]} above
 * @returns {{ path: string[], reason: string } | undefined}
 */
function culprit(given, path, above) {
  if (typeof given === 'bigint' || types.isBigIntObject(given))
    return { path, reason: 'is a BigInt' }
  if (!isObject(given)) return undefined
  if (above.includes(given)) return { path, reason: 'refers back to what contains it' }
  if (above.length > MAX_DEPTH) {
    return { path: path.slice(0, 5).concat('…'), reason: 'is nested too deeply' }
  }
  const value = /** @type {object} */ (spelledOut(given))
  for (const key of Object.keys(value)) {
    const found = culprit(unchecked(value, key), [...path, key], [...above, given])
    if (found) return found
  }
  return undefined
}

/**
 * @param {string} name
 * @param {string} size
 */
function tooLarge(name, size) {
  return Object.assign(
    new RangeError(
      `$send.${name}: the call has ${size}, over maxPayloadBytes. Send less, or raise the limit in Engine.open()`,
    ),
    { code: /** @type {const} */ ('ERR_SEND_PAYLOAD_TOO_LARGE') },
  )
}

/**
 * The bytes of binary data, not copied; nothing for any other value.
 *
 * @param {unknown} value
 * @returns {Buffer | undefined}
 */
function bytesOf(value) {
  if (ArrayBuffer.isView(value)) {
    // A view whose buffer was transferred away has no bytes, and none can be made over it.
    if (value.byteLength === 0) return Buffer.alloc(0)
    return Buffer.from(value.buffer, value.byteOffset, value.byteLength)
  }
  if (!types.isAnyArrayBuffer(value)) return undefined
  return value.byteLength === 0 ? Buffer.alloc(0) : Buffer.from(value)
}

/**
 * Request bodies that are bytes, or become bytes, rather than JSON.
 *
 * @param {unknown} data
 * @returns {Body | undefined}
 */
function bodyOf(data) {
  const bytes = bytesOf(data)
  if (bytes) return now(bytes)
  if (!isObject(data)) return undefined
  const given = /** @type {any} */ (data)
  if (isBrand(data, ['URLSearchParams'], 'toString')) {
    const text = Buffer.from(String(given))
    return now(text, 'application/x-www-form-urlencoded;charset=utf-8')
  }
  if (isBrand(data, ['FormData'], 'entries')) return formBody(given)
  if (isBrand(data, ['Blob', 'File'], 'arrayBuffer')) {
    const untyped = given.size > 0 ? 'application/octet-stream' : undefined
    return later(given.arrayBuffer(), given.size, given.type || untyped)
  }
  if (typeof unchecked(data, 'getBuffer') === 'function') return formDataBody(given)
  refuseStreams(data)
  return undefined
}

/**
 * The body of a `FormData`, of this realm or of another package.
 *
 * @param {any} form
 * @returns {Body}
 */
function formBody(form) {
  const native = form instanceof FormData ? form : nativeForm(form)
  const encoded = new Response(native)
  const contentType = encoded.headers.get('content-type') ?? undefined
  return later(encoded.arrayBuffer(), sizeOf(native), contentType)
}

/**
 * The form as Node's own, which alone can be encoded.
 *
 * @param {any} form
 */
function nativeForm(form) {
  const native = new FormData()
  for (const [name, part] of form.entries()) {
    if (typeof part === 'string') native.append(name, part)
    else if (part instanceof Blob) native.append(name, part, /** @type {any} */ (part).name)
    else {
      throw invalidArgument(
        `$send.http: data has the file ${JSON.stringify(name)} of another package's FormData, which cannot be read here. ` +
          'Put it into a FormData of Node: form.append(name, new Blob([bytes]), filename)',
      )
    }
  }
  return native
}

/**
 * The body of a form of the npm package `form-data`.
 *
 * @param {any} form
 * @returns {Body | undefined}
 */
function formDataBody(form) {
  if (typeof unchecked(form, 'getHeaders') !== 'function') return undefined
  try {
    const headers = form.getHeaders()
    return now(Buffer.from(form.getBuffer()), headers['content-type'])
  } catch {
    throw invalidArgument(
      '$send.http: data is a form-data form with streams, which cannot be recorded. ' +
        'Read them first: form.append(name, await buffer(stream), filename)',
    )
  }
}

/**
 * Refuses values whose content can only be read later, and once.
 *
 * @param {object} data
 */
function refuseStreams(data) {
  const isStream = ['pipe', 'getReader'].some((name) => typeof unchecked(data, name) === 'function')
  if (!isStream) return
  throw invalidArgument(
    '$send.http: data is a stream, which cannot be recorded. ' +
      "Read it first, with `await buffer(stream)` of 'node:stream/consumers'",
  )
}

/**
 * What the parts of a form have together, without what separates them.
 *
 * @param {FormData} form
 */
function sizeOf(form) {
  let size = 0
  for (const part of form.values()) size += typeof part === 'string' ? part.length : part.size
  return size
}

/**
 * @param {Buffer} bytes
 * @param {string} [contentType]
 * @returns {Body}
 */
function now(bytes, contentType) {
  return { bytes, contentType, later: undefined, size: bytes.length }
}

/**
 * @param {Promise<ArrayBuffer>} bytes
 * @param {number} size
 * @param {string} [contentType]
 * @returns {Body}
 */
function later(bytes, size, contentType) {
  // The call may be refused before anyone waits for the bytes; their loss is nobody's error then.
  bytes.catch(() => {})
  return { bytes: undefined, contentType, later: bytes, size }
}

module.exports = { bodyOf, bytesOf, textOf, tooLarge }
