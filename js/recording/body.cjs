// @ts-check
'use strict'

// Request bodies that are bytes, or become bytes, rather than JSON.

const { Buffer } = require('node:buffer')

const { isBlob, isForm, isNpmForm, isSearchParams } = require('./brands.cjs')
const { bytesOf } = require('./bytes.cjs')
const { blobBytes, multipartOf, readBytes, sizeOf, textBytes } = require('./multipart.cjs')
const { isPlainObject } = require('./plain.cjs')
const { Refusal } = require('./spelled-out.cjs')
const { isObject, messageOf } = require('../values.cjs')

/**
 * @typedef {object} Body What takes the place of a member that JSON cannot hold.
 * @property {Buffer | undefined} bytes
 * @property {string | undefined} contentType
 * @property {Promise<Buffer> | undefined} later the bytes, where they can only be had so
 * @property {number} size the bytes there will be at least
 */

/**
 * Returns the body that data is, unless it is JSON.
 *
 * @param {unknown} data
 * @returns {Body | undefined}
 * @throws {Refusal}
 */
function binaryBody(data) {
  const bytes = bytesOf(data)
  if (bytes) return now(bytes)
  if (isNpmForm(data)) return npmFormBody(data)
  if (!isObject(data) || isPlainObject(data)) return undefined
  if (isSearchParams(data)) {
    return now(Buffer.from(String(data)), 'application/x-www-form-urlencoded;charset=utf-8')
  }
  if (isForm(data)) return formBody(data)
  return isBlob(data) ? blobBody(data) : undefined
}

/** @param {Iterable<[string, unknown]>} form */
function formBody(form) {
  const multipart = multipartOf(form)
  const contentType = `multipart/form-data; boundary=${multipart.boundary}`
  const bytes = textBytes(multipart)
  return bytes
    ? now(bytes, contentType)
    : later(readBytes(multipart), sizeOf(multipart), contentType)
}

/** @param {Blob} blob */
function blobBody(blob) {
  const size = Number(blob.size) || 0
  const untyped = size > 0 ? 'application/octet-stream' : undefined
  return later(blobBytes(blob), size, blob.type ? String(blob.type) : untyped)
}

/**
 * The body of a form of the npm package `form-data`, whose boundary its headers name.
 *
 * @param {{ getBuffer(): Uint8Array, getHeaders(): Record<string, string>, _streams?: unknown }} form
 * @returns {Body}
 */
function npmFormBody(form) {
  const { _streams: pieces } = form
  // Texts, bytes, and functions that end a part; anything else is a stream.
  if (Array.isArray(pieces) && pieces.some((piece) => isObject(piece) && !bytesOf(piece))) {
    throw new Refusal(
      'is a form with a stream in it',
      () => 'read it first, as in form.append(name, await buffer(stream), filename)',
    )
  }
  const headers = Object.entries(form.getHeaders())
  const contentType = headers.find(([name]) => name.toLowerCase() === 'content-type')?.[1]
  const bytes = bytesOf(getBuffer(form))
  if (!bytes) throw new Refusal('is a form whose getBuffer() returns no bytes')
  return now(bytes, contentType)
}

/** @param {{ getBuffer(): Uint8Array }} form */
function getBuffer(form) {
  try {
    return form.getBuffer()
  } catch (error) {
    throw new Refusal(`is a form whose getBuffer() throws (${messageOf(error)})`)
  }
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
 * @param {Promise<Buffer>} bytes
 * @param {number} size
 * @param {string} [contentType]
 * @returns {Body}
 */
function later(bytes, size, contentType) {
  // The call may be refused before the bytes are awaited; a failure to read them is not an error then.
  bytes.catch(() => {})
  return { bytes: undefined, contentType, later: bytes, size }
}

module.exports = { binaryBody }
