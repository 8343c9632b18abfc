// @ts-check
'use strict'

// `engine.destination`: destinations that are written in JavaScript. Rust keeps, schedules and retries
// the calls; this file calls the function and reads its result.

const { invalidArgument } = require('../errors.cjs')
const { inThisContext } = require('../events/listeners.cjs')
const { unknown: unknownName } = require('../suggest.cjs')
const {
  cut,
  described,
  isObject,
  isRecord,
  messageOf,
  unchecked,
  wellFormed,
} = require('../values.cjs')
const { customDestination } = require('./custom.cjs')

/** @typedef {(items: unknown[], context: { batchId: string }) => unknown} Deliver */
/** @typedef {{ job: number, destination: string, batch: string, items: unknown[] }} Job */

const OPTIONS = ['deliver', 'timeoutMs', 'concurrency', 'retry', 'batch']
const STATUSES = ['delivered', 'retry', 'failed']

/** Characters of a value that a message shows. */
const MAX_SHOWN = 300

/**
 * Checks the arguments of `engine.destination()`. Returns the destination, its function, which runs in
 * the async context of this moment, and the options as text.
 *
 * @param {unknown} name
 * @param {unknown} options
 * @returns {{ deliver: Deliver, destination: import('./index.cjs').Destination, text: string }}
 */
function checkDestination(name, options) {
  const refuse = (/** @type {string} */ message) =>
    invalidArgument(`engine.destination(): ${message}`)
  if (typeof name !== 'string') throw refuse('the name must be a text')
  if (!isObject(options)) throw refuse('the second argument must be { deliver }')
  const { deliver, ...others } = /** @type {Record<string, unknown>} */ (options)
  const unknown = Object.keys(others).find((key) => !OPTIONS.includes(key))
  if (unknown !== undefined) throw refuse(unknownName('option', unknown, OPTIONS))
  if (typeof deliver !== 'function') throw refuse('deliver must be a function')
  try {
    const bound = inThisContext(/** @type {Deliver} */ (deliver))
    return { deliver: bound, destination: customDestination(name), text: JSON.stringify(others) }
  } catch {
    throw refuse('the options are not values that JSON holds')
  }
}

/**
 * Runs one job: calls the function and hands its outcomes to Rust.
 *
 * @param {import('../native.cjs').EngineHandle} handle
 * @param {Map<string, { deliver: Deliver }>} destinations
 * @param {Job} job
 */
async function runJob(handle, destinations, { job, destination, batch, items }) {
  const deliver = destinations.get(destination)?.deliver
  let answer
  try {
    if (!deliver) throw new Error(`there is no destination ${destination}`)
    answer = answerOf(await deliver(items, { batchId: batch }), items.length)
  } catch (error) {
    answer = { threw: thrown(error) }
  }
  handle.answerJob(job, answer)
}

/**
 * @param {unknown} outcomes
 * @param {number} count
 */
function answerOf(outcomes, count) {
  if (outcomes === undefined || outcomes === null)
    return { outcomes: Array.from({ length: count }, () => ({ status: 'delivered' })) }
  if (!Array.isArray(outcomes)) return { nonsense: returned(outcomes) }
  const read = outcomes.map(outcomeOf)
  const odd = read.findIndex((outcome) => outcome === undefined)
  return odd === -1 ? { outcomes: read } : { nonsense: returned(outcomes[odd]) }
}

/** @param {unknown} given */
function outcomeOf(given) {
  /** @type {Record<string, unknown>} */
  const outcome = isRecord(given) ? given : { status: given }
  const { status, error, afterMs, response } = outcome
  if (typeof status !== 'string' || !STATUSES.includes(status)) return undefined
  return {
    status,
    ...(status !== 'delivered' && { error: reasonOf(status, error) }),
    ...(typeof afterMs === 'number' && Number.isFinite(afterMs) ? { afterMs } : {}),
    ...(response === undefined ? {} : { response: jsonable(response) }),
  }
}

/** @param {unknown} value what `deliver` returned, or an outcome in it */
function returned(value) {
  return wellFormed(cut(typeof value === 'string' ? `'${value}'` : described(value), MAX_SHOWN))
}

/** @param {string} status @param {unknown} error */
function reasonOf(status, error) {
  if (error === undefined || error === null || error === '')
    return `deliver returned '${status}' without an error`
  return wellFormed(messageOf(error))
}

/** @param {unknown} error */
function thrown(error) {
  /** @type {object} */
  const given = isObject(error) ? error : {}
  const afterMs = unchecked(given, 'afterMs')
  const message = messageOf(error)
  const isMessage = isObject(error)
    ? typeof unchecked(error, 'message') === 'string'
    : typeof error === 'string' && error !== ''
  return {
    status: unchecked(given, 'retryable') === true ? 'retry' : 'failed',
    error: wellFormed(isMessage ? message : `deliver threw ${message}`),
    ...(typeof afterMs === 'number' && Number.isFinite(afterMs) ? { afterMs } : {}),
  }
}

/** @param {unknown} value */
function jsonable(value) {
  try {
    return JSON.parse(JSON.stringify(value) ?? 'null')
  } catch {
    return returned(value)
  }
}

module.exports = { checkDestination, runJob }
