// @ts-check
'use strict'

// `engine.on` and `engine.off`: the listeners of one engine.

const { AsyncResource } = require('node:async_hooks')

const { invalidArgument } = require('./errors.cjs')

/** @typedef {(event: any) => unknown} Listener */

const TOPICS = ['delivery', 'execution', 'batch', 'warning']

/** The listeners of one engine. Events wait in Rust until the loop turns, and arrive together. */
class Listeners {
  /** @type {any} */ #native
  /**
   * By topic; each listener with the function that runs it in the async context that added it.
   *
   * @type {Map<string, Map<Listener, Listener>>}
   */
  #bound = new Map()

  /** @param {any} native the handle of the engine */
  constructor(native) {
    this.#native = native
  }

  /**
   * @param {unknown} topic
   * @param {unknown} listener
   */
  add(topic, listener) {
    const checked = checkArguments('on', topic, listener)
    const bound = this.#bound.get(checked.topic) ?? new Map()
    this.#bound.set(checked.topic, bound)
    if (!bound.has(checked.listener)) bound.set(checked.listener, inThisContext(checked.listener))
    this.#native._listen(checked.topic, true)
  }

  /**
   * @param {unknown} topic
   * @param {unknown} listener
   */
  remove(topic, listener) {
    const checked = checkArguments('off', topic, listener)
    const bound = this.#bound.get(checked.topic)
    bound?.delete(checked.listener)
    if (bound?.size === 0) this.#native._listen(checked.topic, false)
  }

  /**
   * Calls the listeners of a topic.
   *
   * @param {string} topic
   * @param {unknown} event
   */
  tell(topic, event) {
    const listeners = [...(this.#bound.get(topic)?.values() ?? [])]
    for (const listener of listeners) call(listener, event)
    // Sent without being asked for: events were dropped.
    if (topic === 'warning' && listeners.length === 0) warn(/** @type {any} */ (event))
  }
}

/** @param {{ code: string, message: string }} warning */
function warn({ code, message }) {
  process.emitWarning(message, { type: 'DollarSendWarning', code })
}

/**
 * The function, run in the async context of this moment: what it records belongs to the step that
 * added it, not to the one that happens to run when it is called.
 *
 * @param {Listener} listener
 * @returns {Listener}
 */
function inThisContext(listener) {
  return AsyncResource.bind(listener, 'dollar-send')
}

/**
 * A listener that throws is an uncaught exception of its owner, and does not disturb the others.
 *
 * @param {Listener} listener
 * @param {unknown} event
 */
function call(listener, event) {
  try {
    listener(event)
  } catch (error) {
    process.nextTick(() => {
      throw error
    })
  }
}

/**
 * @param {string} method
 * @param {unknown} topic
 * @param {unknown} listener
 */
function checkArguments(method, topic, listener) {
  if (typeof topic !== 'string' || !TOPICS.includes(topic)) {
    throw invalidArgument(
      `engine.${method}(): there is no event ${String(topic)}; there are ${TOPICS.join(', ')}`,
    )
  }
  if (typeof listener !== 'function') {
    throw invalidArgument(`engine.${method}(): the listener must be a function`)
  }
  return { topic, listener: /** @type {Listener} */ (listener) }
}

module.exports = { Listeners, call, inThisContext }
