// @ts-check
'use strict'

// A call of `$send.email`, checked and snapshotted.

const { check, isObject, oddities, unchecked } = require('./check.cjs')
const { bytesOf, textOf, tooLarge } = require('./snapshot.cjs')

/** What a mail may have beyond the original's members; the delivery reads it, under its policy. */
const MAIL_MEMBERS = ['from', 'to', 'cc', 'bcc', 'replyTo', 'headers']

/**
 * @param {any} config
 * @param {number} limit bytes that a call may have
 * @returns {{ text: string, warnings: string[] }}
 */
function emailCall(config, limit) {
  const known = check('email', config)
  const warnings = oddities('email', config)
  /** @type {Record<string, unknown>} */
  const extra = {}
  for (const member of MAIL_MEMBERS) extra[member] = unchecked(config, member)
  try {
    extra.attachments = attached(unchecked(config, 'attachments'), limit)
    return { text: textOf('email', { ...known, ...extra }, warnings), warnings }
  } catch (error) {
    if (/** @type {any} */ (error)?.code === 'ERR_SEND_PAYLOAD_TOO_LARGE') throw error
  }
  // The original never looks at these, so nothing in them is an error.
  for (const [member, value] of Object.entries(extra)) {
    if (isText(value)) known[member] = value
    else warnings.push(`\`${member}\` is ignored: it is not a value that JSON holds`)
  }
  return { text: textOf('email', known, warnings), warnings }
}

/**
 * Whether JSON.stringify can make text of a value.
 *
 * @param {unknown} value
 */
function isText(value) {
  try {
    JSON.stringify(value)
    return true
  } catch {
    return false
  }
}

/**
 * Attachments with their bytes as base64 text.
 *
 * @param {unknown} attachments
 * @param {number} limit
 */
function attached(attachments, limit) {
  if (!Array.isArray(attachments)) return attachments
  let size = 0
  return attachments.map((attachment) => {
    if (!isObject(attachment)) return attachment
    const { filename, content, contentType, encoding, cid } = /** @type {any} */ (attachment)
    const bytes = bytesOf(content)
    if (!bytes) return { filename, content, contentType, encoding, cid }
    size += Math.ceil(bytes.length / 3) * 4
    // So that nothing huge is encoded first.
    if (size > limit) throw tooLarge('email', `attachments of ${size} bytes or more, encoded`)
    return { filename, content: bytes.toString('base64'), contentType, encoding: 'base64', cid }
  })
}

module.exports = { emailCall }
