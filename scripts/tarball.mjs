// Reads the tarballs of npm: plain ustar with names of at most 255 bytes, or with pax headers.

import { readFileSync } from 'node:fs'
import { gunzipSync } from 'node:zlib'

const BLOCK = 512

/**
 * Returns the files of a package's tarball by their paths in the package.
 *
 * @param {string} path
 * @returns {Map<string, Buffer>}
 */
export function readTarball(path) {
  const archive = gunzipSync(readFileSync(path))
  const files = new Map()
  let longName
  for (let at = 0; at + BLOCK <= archive.length && archive[at] !== 0;) {
    const header = archive.subarray(at, at + BLOCK)
    const size = Number.parseInt(text(header, 124, 12), 8)
    const content = archive.subarray(at + BLOCK, at + BLOCK + size)
    const type = text(header, 156, 1)
    if (type === 'x') longName = /^\d+ path=(.*)$/m.exec(content.toString())?.[1]
    else {
      const prefix = text(header, 345, 155)
      const name = longName ?? (prefix ? `${prefix}/` : '') + text(header, 0, 100)
      longName = undefined
      if (type === '0' || type === '') files.set(name.replace(/^[^/]+\//, ''), content)
    }
    at += BLOCK + Math.ceil(size / BLOCK) * BLOCK
  }
  return files
}

/**
 * @param {Buffer} header
 * @param {number} start
 * @param {number} length
 */
function text(header, start, length) {
  const field = header.toString('utf8', start, start + length)
  return field.split('\0')[0].trim()
}
