// @ts-check
'use strict'

// A call of `$send.email`, checked and snapshotted. An odd value in an optional member never costs the
// mail: it leaves a warning.

const { bytesOf } = require('./bytes.cjs')
const { check, isObject, oddities, unchecked } = require('./check.cjs')
const { textOf, tooLarge } = require('./snapshot.cjs')

/** Members of a mail that Pipedream does not know; the delivery reads them, under its policy. */
const MAIL_MEMBERS = ['from', 'to', 'cc', 'bcc', 'replyTo', 'headers']

/**
 * @param {any} config
 * @param {number} limit bytes that a call may have
 * @returns {{ text: string, warnings: string[] }}
 */
function emailCall(config, limit) {
  const known = check('email', config)
  const warnings = oddities('email', config)
  for (const member of MAIL_MEMBERS) {
    known[member] = recorded(member, unchecked(config, member), warnings)
  }
  known.attachments = attached(unchecked(config, 'attachments'), limit, warnings)
  return { text: textOf('email', known, warnings), warnings }
}

/**
 * Returns a member as JSON holds it; nothing, with a warning, when JSON cannot hold it.
 *
 * @param {string} member
 * @param {unknown} value
 * @param {string[]} warnings
 */
function recorded(member, value, warnings) {
  try {
    return JSON.parse(textOf('email', { [member]: value }, warnings))[member]
  } catch (error) {
    warnings.push(`\`${member}\` is ignored: ${messageOf(error).replace('$send.email: ', '')}`)
    return undefined
  }
}

/** @param {any} error of a value, which may have thrown anything */
function messageOf(error) {
  const message = isObject(error) ? unchecked(error, 'message') : undefined
  return typeof message === 'string' ? message : 'it is not a value that JSON holds'
}

/**
 * Attachments with their bytes as base64 text. Those that cannot be recorded are left out.
 *
 * @param {unknown} attachments
 * @param {number} limit
 * @param {string[]} warnings
 */
function attached(attachments, limit, warnings) {
  if (!Array.isArray(attachments)) return recorded('attachments', attachments, warnings)
  let size = 0
  const all = attachments.map((attachment, place) => {
    const content = isObject(attachment) ? unchecked(attachment, 'content') : undefined
    const bytes = bytesOf(content)
    const given = bytes ? members(attachment) : { ...members(attachment), content }
    const known = recorded(`attachments.${place}`, given, warnings)
    if (!known || !bytes) return known
    size += Math.ceil(bytes.length / 3) * 4
    // So that nothing huge is encoded first.
    if (size > limit) throw tooLarge('email', `attachments of ${size} bytes or more, encoded`)
    return { ...known, content: bytes.toString('base64'), encoding: 'base64' }
  })
  return all.filter((attachment) => attachment !== undefined)
}

/**
 * The members of an attachment that the delivery reads, but for its content.
 *
 * @param {unknown} attachment
 */
function members(attachment) {
  if (!isObject(attachment)) return undefined
  const names = ['filename', 'contentType', 'encoding', 'cid']
  return Object.fromEntries(names.map((name) => [name, unchecked(attachment, name)]))
}

module.exports = { emailCall }
