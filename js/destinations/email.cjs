// @ts-check
'use strict'

// `$send.email`: checks a call, and takes its snapshot. A wrong value in an optional member never costs
// the mail: it leaves a warning.

const { Buffer } = require('node:buffer')
const { basename } = require('node:path')

const { attachedFile } = require('../recording/attached-file.cjs')
const { bytesOf } = require('../recording/bytes.cjs')
const { check, ignoredMembers, optional } = require('../recording/check.cjs')
const { textOf, tooLarge } = require('../recording/snapshot.cjs')
const { isObject, isRecord, unchecked } = require('../values.cjs')

const NAME = 'email'

const RULES = [
  optional('string', 'html'),
  optional('string', 'subject'),
  optional('string', 'text'),
]

/** The one optional member that Pipedream never checked: what is not a boolean has no effect. */
const FLAG = 'include_collaborators'

/** Keys without an effect, with advice. */
const IGNORED = { body: 'the text goes into `text` or `html`' }

/** Members of a mail that Pipedream does not know; the delivery reads them, under its policy. */
const MAIL_MEMBERS = ['from', 'to', 'cc', 'bcc', 'replyTo', 'inReplyTo', 'references', 'headers']

/**
 * @typedef {object} Context What reading the attachments of a call needs.
 * @property {number} limit bytes that a call may have
 * @property {string | undefined} folder whose files may be attached
 * @property {string[]} warnings
 */

/**
 * Checks a call and takes its snapshot.
 *
 * @param {unknown} config
 * @param {{ maxPayloadBytes: number, attachmentFolder?: string }} settings
 * @returns {import('./index.cjs').Call}
 */
function call(config, { maxPayloadBytes: limit, attachmentFolder: folder }) {
  const known = check(NAME, RULES, config)
  const given = /** @type {object} */ (config)
  const warnings = ignoredMembers(IGNORED, given)
  const flag = unchecked(given, FLAG)
  if (flag === true) known[FLAG] = true
  if (!['boolean', 'undefined'].includes(typeof flag)) {
    warnings.push(`\`${FLAG}\` is ignored: it is not a boolean`)
  }
  for (const member of MAIL_MEMBERS) {
    known[member] = recorded(member, unchecked(given, member), warnings)
  }
  known.attachments = attached(unchecked(given, 'attachments'), { limit, folder, warnings })
  return { text: textOf(NAME, known, warnings), warnings }
}

/**
 * Returns a member as JSON holds it; nothing, with a warning, when JSON cannot hold it.
 *
 * @param {string} member
 * @param {unknown} value
 * @param {string[]} warnings
 * @returns {unknown} JSON
 */
function recorded(member, value, warnings) {
  try {
    return JSON.parse(textOf(NAME, { [member]: value }, warnings))[member]
  } catch (error) {
    warnings.push(`\`${member}\` is ignored: ${messageOf(error).replace('$send.email: ', '')}`)
    return undefined
  }
}

/** @param {unknown} error of a value, which may have thrown anything */
function messageOf(error) {
  const message = isObject(error) ? unchecked(error, 'message') : undefined
  return typeof message === 'string' ? message : 'it is not a value that JSON holds'
}

/**
 * Returns attachments, or the one that is in no list, with their bytes as base64 text. Those that cannot
 * be recorded are left out.
 *
 * @param {unknown} attachments
 * @param {Context} context
 */
function attached(attachments, context) {
  const { limit, warnings } = context
  const list = isRecord(attachments) ? [attachments] : attachments
  if (!Array.isArray(list)) return recorded('attachments', list, warnings)
  let size = 0
  const all = list.map((attachment, place) => {
    const path = `attachments.${place}`
    const { content, ...more } = contentOf(attachment, path, context)
    const bytes = bytesOf(content)
    const given = isObject(attachment) ? { ...members(attachment), ...more } : attachment
    const isText = isObject(given) && !bytes
    const known = recorded(path, isText ? { ...given, content } : given, warnings)
    if (!known || !bytes) return known
    size += Math.ceil(bytes.length / 3) * 4
    // So that nothing huge is encoded first.
    if (size > limit) throw tooLarge(NAME, `attachments of ${size} bytes or more, encoded`)
    return {
      .../** @type {object} */ (known),
      content: bytes.toString('base64'),
      encoding: 'base64',
    }
  })
  return all.filter((attachment) => attachment !== undefined)
}

/**
 * Returns the content of an attachment: given, as a `data:` URL, or in a file of the folder.
 *
 * @param {unknown} attachment
 * @param {string} place of the attachment in the call
 * @param {Context} context
 * @returns {{ content?: unknown, filename?: unknown, encoding?: undefined }}
 */
function contentOf(attachment, place, { limit, folder, warnings }) {
  if (!isObject(attachment)) return {}
  const content = unchecked(attachment, 'content')
  if (content !== undefined && content !== null) return { content: serialized(content) }
  const file = unchecked(attachment, 'path')
  if (typeof file !== 'string') return { content }
  if (/^data:/i.test(file)) return { content: file, encoding: undefined }
  const filename = unchecked(attachment, 'filename') ?? basename(file)
  try {
    return { content: attachedFile(folder, file, limit), filename, encoding: undefined }
  } catch (error) {
    warnings.push(`\`${place}.path\` is ignored: ${messageOf(error)}`)
    return { content }
  }
}

/**
 * Returns a Buffer that went through JSON as bytes, and every other value as it is.
 *
 * @param {unknown} content
 */
function serialized(content) {
  if (!isObject(content) || unchecked(content, 'type') !== 'Buffer') return content
  const data = unchecked(content, 'data')
  return Array.isArray(data) ? Buffer.from(data) : content
}

/**
 * Returns the members of an attachment that the delivery reads, but for its content.
 *
 * @param {object} attachment
 */
function members(attachment) {
  const names = ['filename', 'contentType', 'encoding', 'cid']
  return Object.fromEntries(names.map((name) => [name, unchecked(attachment, name)]))
}

/** A mail is never recorded as it is given: its addresses and attachments are read one by one. */
const isPlain = () => false

module.exports = { name: NAME, rules: RULES, isPlain, call }
