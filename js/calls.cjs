// @ts-check
'use strict'

// Calls that are not the common ones: checked, and snapshotted with care.

const { URL } = require('node:url')
const { types } = require('node:util')

const { check, isObject, oddities, refusal, unchecked } = require('./check.cjs')
const { emailCall } = require('./email-call.cjs')
const { bodyOf } = require('./body.cjs')
const { isSearchParams } = require('./brands.cjs')
const { bytesOf } = require('./bytes.cjs')
const { invalidArgument } = require('./errors.cjs')
const { refusing, textOf, tooLarge } = require('./snapshot.cjs')
const { Refusal, headersOf } = require('./spelled-out.cjs')

/**
 * @typedef {object} Call One checked call, snapshotted.
 * @property {string} text
 * @property {string[]} warnings
 * @property {import('./body.cjs').Body} [body]
 */

/**
 * @param {any} config
 * @param {boolean} strict
 * @returns {Call}
 */
function httpCall(config, strict) {
  const known = check('http', config)
  const timeout = unchecked(config, 'timeout')
  const warnings = oddities('http', config)
  if (strict) warnings.push(...deliveryOddities(known, timeout))
  const body = refusing('http', ['data'], () => bodyOf(known.data))
  if (body) delete known.data
  if (isObject(known.headers)) known.headers = checkedHeaders(known.headers)
  if (typeof timeout === 'number') known.timeout = timeout
  else if (timeout !== undefined && timeout !== null) {
    warnings.push('the timeout is ignored: it is not a number of milliseconds')
  }
  const maxRedirects = unchecked(config, 'maxRedirects')
  if (typeof maxRedirects === 'number') known.maxRedirects = maxRedirects
  else if (maxRedirects !== undefined && maxRedirects !== null) {
    warnings.push('maxRedirects is ignored: it is not a number')
  }
  const retry = retryOf(unchecked(config, 'retry'), warnings)
  if (retry !== undefined) known.retry = retry
  return { text: textOf('http', known, warnings), warnings, body }
}

/**
 * Headers as far as they are more than JSON: pairs of a URLSearchParams, and values that are no text.
 *
 * @param {object} headers
 */
function checkedHeaders(headers) {
  const given = isSearchParams(headers) ? headersOf(/** @type {any} */ (headers)) : headers
  for (const name of Object.keys(given)) {
    const value = unchecked(given, name)
    if (!bytesOf(value) && !types.isMap(value)) continue
    refusing('http', ['headers', name], () => {
      throw new Refusal('is neither a text nor a list of texts', () => 'give a text')
    })
  }
  return given
}

/**
 * What a call says of its retries, as far as it is text; the delivery reads it. The original knows
 * no such key, so nothing in it is an error.
 *
 * @param {unknown} retry
 * @param {string[]} warnings
 */
function retryOf(retry, warnings) {
  if (retry === undefined || retry === null) return undefined
  try {
    return JSON.parse(JSON.stringify(retry))
  } catch {
    warnings.push('`retry` is ignored: it is not a value that JSON holds')
    return undefined
  }
}

/**
 * A call of the other destinations, checked and snapshotted with care.
 *
 * @param {'s3' | 'sql' | 'sse'} name
 * @param {any} config
 * @returns {Call}
 */
function namedCall(name, config) {
  const known = check(name, config)
  const warnings = oddities(name, config)
  const bytes = bytesOf(known.payload)
  if (bytes) known.payload = bytes.toString('base64')
  return { text: textOf(name, known, warnings), warnings }
}

/**
 * A call of a destination that is written in JavaScript: its function gets the argument as JSON says it.
 *
 * @param {string} name
 * @param {unknown} argument
 * @returns {Call}
 */
function customCall(name, argument) {
  if (argument === undefined || ['function', 'symbol'].includes(typeof argument)) {
    throw refusal(name, argument, [])
  }
  /** @type {string[]} */
  const warnings = []
  const text = textOf(name, argument, warnings)
  if (text === undefined) {
    throw invalidArgument(`$send.${name}: toJSON() of the argument returns nothing that JSON holds`)
  }
  return { text, warnings }
}

/**
 * v1: `emit({ raw_event })`, v2: `emit(event, channel?)`.
 *
 * @param {unknown} event
 * @param {unknown} channel
 * @returns {Call}
 */
function emitCall(event, channel) {
  if (!isObject(event)) throw refusal('emit', event, [])
  /** @type {string[]} */
  const warnings = []
  const name = isObject(channel) ? unchecked(channel, 'name') : channel
  if (!['string', 'undefined'].includes(typeof name)) {
    warnings.push('the channel is ignored: it is neither a text nor an object with a `name`')
  }
  const known = {
    event: unwrapped(event, warnings),
    channel: typeof name === 'string' ? name : undefined,
  }
  return { text: textOf('emit', known, warnings), warnings }
}

/**
 * The event in the argument of `emit`. Of the keys beside `raw_event` the original knows `event`
 * alone, and never looks at the others.
 *
 * @param {{ raw_event?: unknown, event?: unknown }} given
 * @param {string[]} warnings
 */
function unwrapped(given, warnings) {
  const { raw_event: raw } = given
  if (!isObject(raw)) return given
  const { event } = given
  if (event !== undefined && !isObject(event)) return given
  const ignored = Object.keys(given).filter((key) => !['raw_event', 'event'].includes(key))
  warnings.push(...ignored.map((key) => `\`${key}\` is ignored: it stands beside \`raw_event\``))
  return event === undefined ? raw : { raw_event: raw, event }
}

/** The longest `timeout` that a call may ask for, in milliseconds: the bound of the delivery. */
const MAX_TIMEOUT_MS = 300_000

/**
 * What the delivery would warn of or fail for, where warnings are errors.
 *
 * @param {Record<string, unknown>} known
 * @param {unknown} timeout
 * @returns {string[]}
 */
function deliveryOddities({ method, url }, timeout) {
  const found = []
  if (!method) found.push('the method is missing')
  if (/[a-z]/.test(String(method ?? ''))) found.push('the method is not in upper case')
  if (typeof url === 'string' && !URL.canParse(url)) found.push('`url` does not parse')
  if (typeof timeout === 'number' && !(timeout >= 1 && timeout <= MAX_TIMEOUT_MS)) {
    found.push(`the timeout is not from 1 to ${MAX_TIMEOUT_MS} milliseconds`)
  }
  return found
}

module.exports = { customCall, emailCall, emitCall, httpCall, namedCall, tooLarge }
