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

/** @typedef {{ batchId: string, readonly signal: AbortSignal }} Context */
/** @typedef {(items: unknown[], context: Context) => unknown} Deliver */
/**
 * @typedef {{ job: number, destination: string, batch: string, timeoutMs: number, items: unknown[] }} Job
 */

const OPTIONS = ['deliver', 'timeoutMs', 'concurrency', 'retry', 'batch']
const STATUSES = ['delivered', 'retry', 'failed']

/** How long after the deadline of an attempt its signal is aborted: by then it is known to be late. */
const AFTER_MS = 10

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

/** The signals of attempts in progress, of those functions that look at theirs. */
class Signals {
  /** @type {Map<AbortController, NodeJS.Timeout>} */
  #open = new Map()

  /**
   * Runs an attempt with its context.
   *
   * @template T
   * @param {Job} job
   * @param {(context: Context) => Promise<T>} attempt
   */
  async run({ destination, batch, timeoutMs }, attempt) {
    const until = performance.now() + timeoutMs + AFTER_MS
    /** @type {AbortController | undefined} */
    let controller
    const begin = () => {
      const begun = new AbortController()
      const message = `deliver of ${destination} was not done within ${timeoutMs} ms (timeoutMs)`
      const abort = () => begun.abort(new DOMException(message, 'TimeoutError'))
      this.#open.set(begun, setTimeout(abort, until - performance.now()))
      return begun
    }
    const context = {
      batchId: batch,
      get signal() {
        return (controller ??= begin()).signal
      },
    }
    try {
      return await attempt(context)
    } finally {
      if (controller) this.#end(controller)
    }
  }

  /** Aborts all attempts: the engine is closed. */
  abort() {
    for (const controller of [...this.#open.keys()]) {
      this.#end(controller)
      controller.abort(new DOMException('the engine was closed', 'AbortError'))
    }
  }

  /** @param {AbortController} controller */
  #end(controller) {
    clearTimeout(this.#open.get(controller))
    this.#open.delete(controller)
  }
}

/**
 * Runs one job: calls the function and hands its outcomes to Rust.
 *
 * @param {import('../native.cjs').EngineHandle} handle
 * @param {Map<string, { deliver: Deliver }>} destinations
 * @param {Signals} signals
 * @param {Job} job
 */
async function runJob(handle, destinations, signals, job) {
  const { destination, items } = job
  const deliver = destinations.get(destination)?.deliver
  let answer
  try {
    if (!deliver) throw new Error(`there is no destination ${destination}`)
    const outcomes = await signals.run(job, async (context) => deliver(items, context))
    answer = answerOf(outcomes, items.length)
  } catch (error) {
    answer = { threw: thrown(error) }
  }
  handle.answerJob(job.job, answer)
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

module.exports = { Signals, checkDestination, runJob }
