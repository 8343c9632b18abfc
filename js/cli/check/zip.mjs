// Reads ZIP files that come from elsewhere. A reader of our own, because the package has no dependencies:
// it reads what exports are made of (stored and deflated entries), refuses all else, and extracts nothing.

import { inflateRawSync } from 'node:zlib'

import { UsageError } from '../usage.mjs'

/** Entries that a file may have. */
const MAX_ENTRIES = 10_000
/** Bytes that one entry may have when it is inflated. */
const MAX_ENTRY_BYTES = 64 * 1024 * 1024
/** Bytes that all entries may have when they are inflated. */
const MAX_TOTAL_BYTES = 256 * 1024 * 1024

const END = 0x06054b50
const CENTRAL = 0x02014b50
const LOCAL = 0x04034b50
const END_BYTES = 22
const CENTRAL_BYTES = 46
const LOCAL_BYTES = 30
const MAX_COMMENT_BYTES = 0xffff
const IS_ENCRYPTED = 1
const STORED = 0
const DEFLATED = 8

/** Entries that macOS and Windows add: views of folders, resource forks, thumbnails. */
const OF_SYSTEMS = /^__MACOSX\/|(^|\/)(\.DS_Store|\._[^/]*|Thumbs\.db|desktop\.ini)$/i

/** @typedef {{ name: string, method: number, crc: number, packed: number, size: number, offset: number }} Entry */

/** @param {Buffer} bytes @returns {boolean} */
export function isZip(bytes) {
  return (
    bytes.length >= 4 &&
    bytes.readUInt16LE(0) === 0x4b50 &&
    [0x0403, 0x0605].includes(bytes.readUInt16LE(2))
  )
}

/**
 * The entries of a ZIP file, without its folders and what systems add to them.
 *
 * @param {Buffer} bytes
 * @param {string} file for messages
 * @returns {{ name: string, content: Buffer }[]}
 * @throws {UsageError}
 */
export function readZip(bytes, file) {
  /** @param {string} reason @returns {never} */
  const refuse = (reason) => {
    throw new UsageError(`${file}: ${reason}.`)
  }
  let total = 0
  return entriesOf(bytes, refuse)
    .filter(({ name }) => !name.endsWith('/') && !OF_SYSTEMS.test(name))
    .map((entry) => {
      const content = contentOf(bytes, entry, refuse)
      total += content.length
      if (total > MAX_TOTAL_BYTES) refuse(`its entries have more than ${MAX_TOTAL_BYTES} bytes`)
      return { name: entry.name, content }
    })
}

/**
 * @param {Buffer} bytes
 * @param {(reason: string) => never} refuse
 * @returns {Entry[]}
 */
function entriesOf(bytes, refuse) {
  const end = endOf(bytes)
  if (end < 0) return refuse('it is cut off or no ZIP file: its directory is missing')
  const count = bytes.readUInt16LE(end + 10)
  const offset = bytes.readUInt32LE(end + 16)
  if (bytes.readUInt16LE(end + 4) !== 0 || count !== bytes.readUInt16LE(end + 8)) {
    refuse('it is part of a ZIP file of several volumes')
  }
  if (count === 0xffff || offset === 0xffffffff)
    refuse('it is a ZIP64 file, which is not supported')
  if (count > MAX_ENTRIES) refuse(`it has ${count} entries, more than ${MAX_ENTRIES}`)
  const entries = []
  let at = offset
  for (let number = 0; number < count; number++) {
    if (at + CENTRAL_BYTES > end || bytes.readUInt32LE(at) !== CENTRAL) {
      refuse(`it is damaged: its directory ends after ${number} of ${count} entries`)
    }
    const length = bytes.readUInt16LE(at + 28)
    const name = bytes.toString('utf8', at + CENTRAL_BYTES, at + CENTRAL_BYTES + length)
    entries.push(entryAt(bytes, at, name, refuse))
    at += CENTRAL_BYTES + length + bytes.readUInt16LE(at + 30) + bytes.readUInt16LE(at + 32)
  }
  return entries
}

/** @param {Buffer} bytes @returns {number} where the end record is, or -1 */
function endOf(bytes) {
  const first = Math.max(0, bytes.length - END_BYTES - MAX_COMMENT_BYTES)
  for (let at = bytes.length - END_BYTES; at >= first; at--) {
    const isEnd = bytes.readUInt32LE(at) === END
    if (isEnd && at + END_BYTES + bytes.readUInt16LE(at + 20) <= bytes.length) return at
  }
  return -1
}

/**
 * @param {Buffer} bytes
 * @param {number} at
 * @param {string} name
 * @param {(reason: string) => never} refuse
 * @returns {Entry}
 */
function entryAt(bytes, at, name, refuse) {
  const shown = JSON.stringify(name)
  if (/(^|[\\/])\.\.([\\/]|$)|^[\\/]|^[a-z]:|\0/i.test(name)) {
    refuse(`its entry ${shown} leads out of its folder`)
  }
  if (bytes.readUInt16LE(at + 8) & IS_ENCRYPTED) refuse(`its entry ${shown} is encrypted`)
  const method = bytes.readUInt16LE(at + 10)
  if (method !== STORED && method !== DEFLATED) {
    refuse(`its entry ${shown} is compressed by method ${method}, which is not supported`)
  }
  return {
    name,
    method,
    crc: bytes.readUInt32LE(at + 16),
    packed: bytes.readUInt32LE(at + 20),
    size: bytes.readUInt32LE(at + 24),
    offset: bytes.readUInt32LE(at + 42),
  }
}

/**
 * @param {Buffer} bytes
 * @param {Entry} entry
 * @param {(reason: string) => never} refuse
 * @returns {Buffer}
 */
function contentOf(bytes, entry, refuse) {
  const { name, method, crc, packed, size, offset } = entry
  const shown = JSON.stringify(name)
  if (size > MAX_ENTRY_BYTES) refuse(`its entry ${shown} has more than ${MAX_ENTRY_BYTES} bytes`)
  if (offset + LOCAL_BYTES > bytes.length || bytes.readUInt32LE(offset) !== LOCAL) {
    refuse(`it is damaged or cut off: its entry ${shown} is not there`)
  }
  const begin =
    offset + LOCAL_BYTES + bytes.readUInt16LE(offset + 26) + bytes.readUInt16LE(offset + 28)
  if (begin + packed > bytes.length) refuse(`it is cut off in its entry ${shown}`)
  const data = bytes.subarray(begin, begin + packed)
  const content = method === STORED ? data : inflate(data, size, shown, refuse)
  if (content.length !== size || crc32(content) !== crc) {
    refuse(
      `it is damaged: its entry ${shown} does not have the content that its directory promises`,
    )
  }
  return content
}

/**
 * @param {Buffer} data
 * @param {number} size
 * @param {string} shown
 * @param {(reason: string) => never} refuse
 */
function inflate(data, size, shown, refuse) {
  try {
    // One byte more than promised is enough to see that the promise is broken.
    return inflateRawSync(data, { maxOutputLength: size + 1 })
  } catch (error) {
    return refuse(`its entry ${shown} cannot be inflated: ${/** @type {Error} */ (error).message}`)
  }
}

const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1
  return value
})

/** @param {Buffer} bytes @returns {number} */
function crc32(bytes) {
  let crc = 0xffffffff
  for (const byte of bytes) crc = (crc >>> 8) ^ CRC_TABLE[(crc ^ byte) & 0xff]
  return (crc ^ 0xffffffff) >>> 0
}
