// @ts-check
'use strict'

// `engine.on` and `engine.off`: the listeners of one engine.

const { AsyncResource } = require('node:async_hooks')

const { invalidArgument } = require('../errors.cjs')

/** @typedef {(event: unknown) => unknown} Listener */

const TOPICS = ['delivery', 'execution', 'batch', 'replay', 'alert', 'warning']

/** The most messages that become warnings of the process. */
const MAX_WARNED = 1000

/** The listeners of one engine. Events wait in Rust until the loop turns, and arrive together. */
class Listeners {
  #handle
  /**
   * By topic; each listener with the function that runs it in the async context that added it.
   *
   * @type {Map<string, Map<Listener, Listener>>}
   */
  #bound = new Map()
  /** @type {Set<string>} */ #warned = new Set()

  /** @param {import('../native.cjs').EngineHandle} handle */
  constructor(handle) {
    this.#handle = handle
    // Without a listener they become process warnings.
    handle.listen('warning', true)
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
    this.#handle.listen(checked.topic, true)
  }

  /**
   * @param {unknown} topic
   * @param {unknown} listener
   */
  remove(topic, listener) {
    const checked = checkArguments('off', topic, listener)
    const bound = this.#bound.get(checked.topic)
    bound?.delete(checked.listener)
    if (bound?.size === 0 && checked.topic !== 'warning') this.#handle.listen(checked.topic, false)
  }

  /**
   * Warns in the process, once for each message.
   *
   * @param {{ code: string, message: string }} warning
   */
  #warn({ code, message }) {
    if (this.#warned.has(message) || this.#warned.size === MAX_WARNED) return
    this.#warned.add(message)
    process.emitWarning(message, { type: 'DollarSendWarning', code })
  }

  /**
   * Calls the listeners of a topic.
   *
   * @param {string} topic
   * @param {unknown} event
   */
  publish(topic, event) {
    const listeners = [...(this.#bound.get(topic)?.values() ?? [])]
    for (const listener of listeners) call(listener, event)
    if (topic === 'warning' && listeners.length === 0)
      this.#warn(/** @type {{ code: string, message: string }} */ (event))
  }
}

/**
 * Binds a function to the async context of this moment: what it records belongs to the step that added
 * it, not to the one that happens to run when it is called.
 *
 * @template {(...args: never[]) => unknown} Bound
 * @param {Bound} listener
 * @returns {Bound}
 */
function inThisContext(listener) {
  return /** @type {Bound} */ (/** @type {unknown} */ (AsyncResource.bind(listener, 'dollar-send')))
}

/**
 * Calls a listener. One that throws is an uncaught exception of its owner, and does not disturb the
 * others.
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
