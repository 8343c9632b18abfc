// @ts-check
'use strict'

// `$send.emit`: v1 `emit({ raw_event })`, v2 `emit(event, channel?)`. Its argument here is the pair
// `{ event, channel }`.

const { refusal } = require('../recording/check.cjs')
const { isPlainTree } = require('../recording/plain.cjs')
const { textOf } = require('../recording/snapshot.cjs')
const { isObject, isRecord, unchecked } = require('../values.cjs')

const NAME = 'emit'

/** @typedef {{ event: unknown, channel: unknown }} Emitted */

/**
 * Returns whether the event stands for itself, and the text of the call is what `JSON.stringify` makes
 * of it.
 *
 * @param {unknown} emitted
 */
function isPlain(emitted) {
  const { event, channel } = /** @type {Emitted} */ (emitted)
  const isNamed = channel === undefined || typeof channel === 'string'
  return isNamed && isRecord(event) && !isObject(event.raw_event) && isPlainTree(event)
}

/**
 * Checks a call and takes its snapshot.
 *
 * @param {unknown} emitted
 * @returns {import('./index.cjs').Call}
 */
function call(emitted) {
  const { event, channel } = /** @type {Emitted} */ (emitted)
  if (!isObject(event)) throw refusal(NAME, event, [])
  /** @type {string[]} */
  const warnings = []
  const name = isObject(channel) ? unchecked(channel, 'name') : channel
  if (!['string', 'undefined'].includes(typeof name)) {
    warnings.push('the channel is ignored: it is neither a text nor an object with a `name`')
  }
  const known = {
    ...unwrapped(event, warnings),
    channel: typeof name === 'string' ? name : undefined,
  }
  return { text: textOf(NAME, known, warnings), warnings }
}

/**
 * Returns the event in the argument of `emit`. Of the keys beside `raw_event` Pipedream reads `event`
 * alone.
 *
 * @param {{ raw_event?: unknown, event?: unknown }} given
 * @param {string[]} warnings
 */
function unwrapped(given, warnings) {
  const { raw_event: raw } = given
  if (!isObject(raw)) return { event: given }
  const { event } = given
  if (event !== undefined && !isObject(event)) return { event: given }
  const ignored = Object.keys(given).filter((key) => !['raw_event', 'event'].includes(key))
  warnings.push(...ignored.map((key) => `\`${key}\` is ignored: it stands beside \`raw_event\``))
  return event === undefined ? { raw_event: raw } : { event: { raw_event: raw, event } }
}

/**
 * @param {unknown} event
 * @param {unknown} channel
 * @returns {Emitted}
 */
const argumentOf = (event, channel) => ({ event, channel })

module.exports = { name: NAME, rules: [], isPlain, call, argumentOf }
