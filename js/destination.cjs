// @ts-check
'use strict'

// `engine.destination`: destinations that are written in JavaScript. Rust keeps, schedules and
// retries the calls; what is here calls the function and reads its answer.

const { isObject, shown } = require('./check.cjs')
const { invalidArgument } = require('./errors.cjs')
const { inThisContext } = require('./events.cjs')

/** @typedef {(items: any[], context: { batchId: string }) => unknown} Deliver */

/** @typedef {{ number: number, deliver: Deliver }} Destination as Rust knows it, and its function */

const OPTIONS = ['deliver', 'timeoutMs', 'concurrency', 'retry', 'batch']
const STATUSES = ['delivered', 'retry', 'failed']

/**
 * Checks the arguments of `engine.destination()`. Returns the function, which runs in the async
 * context of this moment, and the options as text.
 *
 * @param {unknown} name
 * @param {any} options
 * @returns {{ deliver: Deliver, text: string }}
 */
function checkDestination(name, options) {
  const refuse = (/** @type {string} */ message) =>
    invalidArgument(`engine.destination(): ${message}`)
  if (typeof name !== 'string') throw refuse('the name must be a text')
  if (!isObject(options)) throw refuse('the second argument must be { deliver }')
  const { deliver, ...others } = /** @type {any} */ (options)
  const unknown = Object.keys(others).find((key) => !OPTIONS.includes(key))
  if (unknown !== undefined)
    throw refuse(`unknown option ${unknown}; known are ${OPTIONS.join(', ')}`)
  if (typeof deliver !== 'function') throw refuse('deliver must be a function')
  try {
    return { deliver: inThisContext(deliver), text: JSON.stringify(others) }
  } catch {
    throw refuse('the options cannot be made text of')
  }
}

/**
 * Runs one job: calls the function and answers with its outcomes.
 *
 * @param {any} native the handle of the engine
 * @param {Map<string, Destination>} destinations
 * @param {{ job: number, destination: string, batch: string, items: any[] }} job
 */
async function runJob(native, destinations, { job, destination, batch, items }) {
  const deliver = destinations.get(destination)?.deliver
  let answer
  try {
    if (!deliver) throw new Error(`${destination} is not there`)
    answer = answerOf(await deliver(items, { batchId: batch }), items.length)
  } catch (error) {
    answer = { threw: thrown(error) }
  }
  native._answerJob(job, JSON.stringify(answer))
}

/**
 * @param {unknown} outcomes
 * @param {number} count
 */
function answerOf(outcomes, count) {
  if (outcomes === undefined || outcomes === null)
    return { outcomes: Array.from({ length: count }, () => ({ status: 'delivered' })) }
  if (!Array.isArray(outcomes)) return { nonsense: shown(outcomes) }
  const read = outcomes.map(outcomeOf)
  const odd = read.findIndex((outcome) => outcome === undefined)
  return odd === -1 ? { outcomes: read } : { nonsense: shown(outcomes[odd]) }
}

/** @param {any} given */
function outcomeOf(given) {
  const { status, error, afterMs, response } = isObject(given)
    ? /** @type {any} */ (given)
    : { status: given }
  if (!STATUSES.includes(status)) return undefined
  return {
    status,
    ...(error === undefined || error === null ? {} : { error: messageOf(error) }),
    ...(typeof afterMs === 'number' && Number.isFinite(afterMs) ? { afterMs } : {}),
    ...(response === undefined ? {} : { response: jsonable(response) }),
  }
}

/** @param {any} error */
function thrown(error) {
  const { retryable, afterMs } = isObject(error) ? /** @type {any} */ (error) : {}
  return {
    status: retryable === true ? 'retry' : 'failed',
    error: messageOf(error),
    ...(typeof afterMs === 'number' && Number.isFinite(afterMs) ? { afterMs } : {}),
  }
}

/** @param {any} error */
function messageOf(error) {
  try {
    // Rust reads no lone surrogates.
    return /** @type {any} */ (String(error?.message ?? error)).toWellFormed()
  } catch {
    return Object.prototype.toString.call(error)
  }
}

/** @param {unknown} value */
function jsonable(value) {
  try {
    return JSON.parse(JSON.stringify(value) ?? 'null')
  } catch {
    return shown(value)
  }
}

module.exports = { checkDestination, runJob }
