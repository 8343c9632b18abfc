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
  if (value instanceof Map || value instanceof Headers) return Object.fromEntries(value)
  if (value instanceof Set) return [...value]
  if (value instanceof URLSearchParams) return value.toString()
  return value
}

/** @param {unknown} value */
function lostInside(value) {
  if (value instanceof FormData) return 'FormData'
  return value instanceof Blob ? 'Blob' : undefined
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
  if (!(value instanceof ArrayBuffer || value instanceof SharedArrayBuffer)) return undefined
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
  if (data instanceof URLSearchParams) {
    const text = Buffer.from(data.toString())
    return now(text, 'application/x-www-form-urlencoded;charset=utf-8')
  }
  if (data instanceof FormData) {
    const encoded = new Response(data)
    const contentType = encoded.headers.get('content-type') ?? undefined
    return later(encoded.arrayBuffer(), sizeOf(data), contentType)
  }
  if (data instanceof Blob) {
    const untyped = data.size > 0 ? 'application/octet-stream' : undefined
    return later(data.arrayBuffer(), data.size, data.type || untyped)
  }
  return undefined
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
