// @ts-check
'use strict'

// A FormData of any brand as multipart/form-data, written as browsers write it: Node's own encoder
// takes its own FormData alone, and needs globals that a runner may have replaced.

const { Buffer } = require('node:buffer')
const { randomBytes } = require('node:crypto')

const { isBlob } = require('./brands.cjs')
const { bytesOf } = require('./bytes.cjs')
const { Refusal } = require('./spelled-out.cjs')

/**
 * @typedef {object} Part
 * @property {string} head its lines, without the empty one
 * @property {string | Blob} content
 *
 * @typedef {object} Multipart
 * @property {Part[]} parts
 * @property {string} boundary
 */

/** @param {string} text */
const withNetworkLines = (text) => text.replace(/\r\n?|\n/g, '\r\n')

/**
 * Escapes a name between quotes, as the HTML standard escapes it.
 *
 * @param {string} name
 */
const escaped = (name) =>
  name.replaceAll('\n', '%0A').replaceAll('\r', '%0D').replaceAll('"', '%22')

/**
 * Takes the parts that a form has now.
 *
 * @param {Iterable<[string, unknown]>} form
 * @returns {Multipart}
 */
function multipartOf(form) {
  const parts = [...form].map(([name, content]) => partOf(String(name), content))
  return { parts, boundary: `----dollar-send-${randomBytes(16).toString('hex')}` }
}

/**
 * @param {string} name
 * @param {unknown} content
 * @returns {Part}
 */
function partOf(name, content) {
  const head = `Content-Disposition: form-data; name="${escaped(withNetworkLines(name))}"`
  if (typeof content === 'string') return { head, content: withNetworkLines(content) }
  if (!isBlob(content)) {
    const advice = () => 'append a Blob: form.append(name, new Blob([bytes]), filename)'
    throw new Refusal(`has a part ${JSON.stringify(name)} that cannot be read`, advice)
  }
  const filename = escaped(String(content.name ?? 'blob'))
  const type = String(content.type || 'application/octet-stream')
  return { head: `${head}; filename="${filename}"\r\nContent-Type: ${type}`, content }
}

/**
 * Returns the least number of bytes that there will be.
 *
 * @param {Multipart} multipart
 */
function sizeOf({ parts }) {
  const sizes = parts.map(({ head, content }) => {
    const size = typeof content === 'string' ? content.length : Number(content.size)
    return head.length + size
  })
  return sizes.reduce((sum, size) => sum + size, 0)
}

/**
 * Returns the bytes of a form that has texts alone.
 *
 * @param {Multipart} multipart
 * @returns {Buffer | undefined}
 */
function textBytes({ parts, boundary }) {
  const texts = parts.map(({ content }) => content)
  return texts.every((text) => typeof text === 'string')
    ? encoded(
        boundary,
        parts,
        texts.map((text) => Buffer.from(text)),
      )
    : undefined
}

/**
 * Reads the bytes of any form, its files one after the other.
 *
 * @param {Multipart} multipart
 * @returns {Promise<Buffer>}
 */
async function readBytes({ parts, boundary }) {
  const contents = []
  for (const { content } of parts) {
    contents.push(typeof content === 'string' ? Buffer.from(content) : await blobBytes(content))
  }
  return encoded(boundary, parts, contents)
}

/**
 * @param {string} boundary
 * @param {Part[]} parts
 * @param {Buffer[]} contents
 */
function encoded(boundary, parts, contents) {
  const pieces = parts.flatMap(({ head }, place) => [
    Buffer.from(`--${boundary}\r\n${head}\r\n\r\n`),
    contents[place],
    Buffer.from('\r\n'),
  ])
  return Buffer.concat([...pieces, Buffer.from(`--${boundary}--\r\n`)])
}

/**
 * Reads the bytes of a Blob of any brand.
 *
 * @param {Blob} blob
 */
async function blobBytes(blob) {
  const bytes = bytesOf(await blob.arrayBuffer())
  if (bytes) return bytes
  throw new TypeError('its arrayBuffer() gives no bytes')
}

module.exports = { blobBytes, multipartOf, readBytes, sizeOf, textBytes }
