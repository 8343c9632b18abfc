// @ts-check
'use strict'

// Values become text here. The text is what JSON.stringify gives; what it would lose (a Map, a Set,
// binary data) or cannot do (a cycle, a BigInt) is looked after.

const { invalidArgument } = require('./errors.cjs')
const { isObject } = require('./check.cjs')

/**
 * @typedef {object} Body What takes the place of a member that JSON cannot hold.
 * @property {Buffer | undefined} bytes
 * @property {string | undefined} contentType
 * @property {Promise<ArrayBuffer> | undefined} later the bytes, where they can only be had so
 */

/**
 * The text of a value. `{}` in it may be a Map or a Set that JSON.stringify saw nothing in, and then
 * the text is made again with those spelled out.
 *
 * @param {string} name
 * @param {object} value
 * @returns {string}
 */
function textOf(name, value) {
  try {
    const text = JSON.stringify(value)
    return text.includes('{}') ? JSON.stringify(value, collections) : text
  } catch (error) {
    throw explained(name, value, error)
  }
}

/**
 * @this {any}
 * @param {string} _key
 * @param {unknown} value
 */
function collections(_key, value) {
  if (value instanceof Map) return Object.fromEntries(value)
  if (value instanceof Set) return [...value]
  if (value instanceof URLSearchParams) return value.toString()
  if (value instanceof Headers) return Object.fromEntries(value)
  return value
}

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
  if (!(error instanceof TypeError)) return error
  const found = culprit(value, [], [])
  if (found === undefined) return error
  return invalidArgument(
    `$send.${name}: ${found.path.join('.')} ${found.reason}, so it cannot be recorded`,
  )
}

/**
 * @param {unknown} value
 * @param {string[]} path
 * @param {object[]} above
 * @returns {{ path: string[], reason: string } | undefined}
 */
function culprit(value, path, above) {
  if (typeof value === 'bigint') return { path, reason: 'is a BigInt' }
  if (!isObject(value)) return undefined
  if (above.includes(value)) return { path, reason: 'refers back to what contains it' }
  if (above.length > 500) return { path: path.slice(0, 5).concat('…'), reason: 'is nested too deeply' }
  for (const key of Object.keys(value)) {
    const found = culprit(read(value, key), [...path, key], [...above, value])
    if (found) return found
  }
  return undefined
}

/**
 * @param {object} value
 * @param {string} key
 */
function read(value, key) {
  try {
    return /** @type {Record<string, unknown>} */ (value)[key]
  } catch {
    return undefined
  }
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
 * Request bodies that are bytes, or become bytes, rather than JSON.
 *
 * @param {unknown} data
 * @returns {Body | undefined}
 */
function bodyOf(data) {
  if (ArrayBuffer.isView(data)) {
    return now(Buffer.from(data.buffer, data.byteOffset, data.byteLength))
  }
  if (data instanceof ArrayBuffer || data instanceof SharedArrayBuffer) return now(Buffer.from(data))
  if (data instanceof URLSearchParams) {
    return now(Buffer.from(data.toString()), 'application/x-www-form-urlencoded;charset=utf-8')
  }
  if (data instanceof FormData) {
    const encoded = new Response(data)
    return later(encoded.arrayBuffer(), encoded.headers.get('content-type') ?? undefined)
  }
  if (data instanceof Blob) return later(data.arrayBuffer(), data.type || undefined)
  return undefined
}

/**
 * @param {Buffer} bytes
 * @param {string} [contentType]
 * @returns {Body}
 */
const now = (bytes, contentType) => ({ bytes, contentType, later: undefined })

/**
 * @param {Promise<ArrayBuffer>} bytes
 * @param {string} [contentType]
 * @returns {Body}
 */
const later = (bytes, contentType) => ({ bytes: undefined, contentType, later: bytes })

module.exports = { bodyOf, textOf, tooLarge }
