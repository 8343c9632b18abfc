// @ts-check
'use strict'

// `engine.destination`: destinations that are written in JavaScript. Rust keeps, schedules and
// retries the calls; what is here calls the function and reads its answer.

const { isObject, shown } = require('./check.cjs')
const { invalidArgument } = require('./errors.cjs')
const { handleOf } = require('./handle.cjs')

/** @typedef {(items: any[], context: { batchId: string }) => unknown} Deliver */

/** @typedef {{ number: number, deliver: Deliver }} Destination as Rust knows it, and its function */

const OPTIONS = ['deliver', 'timeoutMs', 'concurrency', 'retry', 'batch']
const STATUSES = ['delivered', 'retry', 'failed']

/**
 * @param {unknown} name
 * @param {any} options
 * @returns {{ deliver: Deliver, text: string }}
 */
function checked(name, options) {
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
    return { deliver, text: JSON.stringify(others) }
  } catch {
    throw refuse('the options cannot be made text of')
  }
}

/**
 * Gives engines `destination`. `prepare` sees to it that jobs reach `work`.
 *
 * @param {{ prototype: any }} Engine
 * @param {(engine: any) => void} prepare
 */
function addDestination(Engine, prepare) {
  /**
   * @param {string} name
   * @param {unknown} options
   */
  Engine.prototype.destination = function destination(name, options) {
    const { deliver, text } = checked(name, options)
    prepare(this)
    const number = this._destination(name, text)
    handleOf(this).destinations.set(name, { number, deliver })
    return this
  }
}

/**
 * One job: calls the function and answers.
 *
 * @param {any} engine
 * @param {{ job: number, destination: string, batch: string, items: any[] }} job
 */
async function work(engine, { job, destination, batch, items }) {
  const deliver = handleOf(engine).destinations.get(destination)?.deliver
  let answer
  try {
    if (!deliver) throw new Error(`${destination} is not there`)
    answer = answerOf(await deliver(items, { batchId: batch }), items.length)
  } catch (error) {
    answer = { threw: thrown(error) }
  }
  engine._answerJob(job, JSON.stringify(answer))
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

module.exports = { addDestination, work }
