// @ts-check
'use strict'

// Binary data of any realm.

const { Buffer } = require('node:buffer')
const { types } = require('node:util')

/**
 * Returns the bytes of binary data, not copied unless their number may change; `undefined` for any
 * other value.
 *
 * @param {unknown} value
 * @returns {Buffer | undefined}
 */
function bytesOf(value) {
  if (ArrayBuffer.isView(value)) {
    // A view whose buffer was transferred away has no bytes, and none can be made over it.
    if (value.byteLength === 0) return Buffer.alloc(0)
    const bytes = Buffer.from(value.buffer, value.byteOffset, value.byteLength)
    return isFixed(value.buffer) ? bytes : Buffer.from(bytes)
  }
  if (!types.isAnyArrayBuffer(value)) return undefined
  if (value.byteLength === 0) return Buffer.alloc(0)
  return isFixed(value) ? Buffer.from(value) : Buffer.from(Buffer.from(value))
}

/** @param {ArrayBufferLike & { resizable?: boolean, growable?: boolean }} buffer */
const isFixed = (buffer) => !buffer.resizable && !buffer.growable

module.exports = { bytesOf }
