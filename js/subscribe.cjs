// @ts-check
'use strict'

// `engine.subscribe`: emitted events, for listeners of this process.

const { AsyncLocalStorage } = require('node:async_hooks')

const { isObject } = require('./check.cjs')
const { invalidArgument } = require('./errors.cjs')
const { call, inThisContext } = require('./events.cjs')

/** @typedef {(event: any) => unknown} Listener */

/**
 * The event that the running code was called for: executions that begin there are caused by it.
 *
 * @type {AsyncLocalStorage<{ depth: number }>}
 */
const cause = new AsyncLocalStorage()

/** How many emitted events in a row led to the running code. */
function emitDepth() {
  const event = cause.getStore()
  return event === undefined ? 0 : event.depth + 1
}

/**
 * @param {any} wanted
 * @param {unknown} listener
 */
function checkArguments(wanted, listener) {
  if (!isObject(wanted)) {
    throw invalidArgument(
      'engine.subscribe(): the first argument must be { emitterId, eventName? }',
    )
  }
  const { emitterId, eventName, listenerId, ...others } = /** @type {any} */ (wanted)
  const unknown = Object.keys(others)[0]
  if (unknown !== undefined) {
    throw invalidArgument(
      `engine.subscribe(): unknown member ${unknown}; known are emitterId, eventName, listenerId`,
    )
  }
  for (const [name, value] of Object.entries({ emitterId, eventName, listenerId })) {
    if (value !== undefined && typeof value !== 'string') {
      throw invalidArgument(`engine.subscribe(): ${name} must be a text`)
    }
  }
  if (Boolean(emitterId) === Boolean(listenerId)) {
    throw invalidArgument('engine.subscribe(): give either emitterId or listenerId')
  }
  if (listenerId && eventName !== undefined) {
    throw invalidArgument(
      'engine.subscribe(): the subscriptions of a listenerId have their eventName',
    )
  }
  if (typeof listener !== 'function') {
    throw invalidArgument('engine.subscribe(): the listener must be a function')
  }
  return {
    emitterId,
    eventName: eventName ?? '',
    listenerId,
    listener: /** @type {Listener} */ (listener),
  }
}

/** The subscriptions of one engine, by the numbers that the addon names them by. */
class Subscriptions {
  /** @type {any} */ #native
  /** @type {Map<number, Listener>} */ #bound = new Map()
  #lastNumber = 0

  /** @param {any} native the handle of the engine */
  constructor(native) {
    this.#native = native
  }

  /**
   * Returns a function that unsubscribes.
   *
   * @param {unknown} wanted
   * @param {unknown} listener
   */
  add(wanted, listener) {
    const { listener: run, ...checked } = checkArguments(wanted, listener)
    const number = ++this.#lastNumber
    const caused = (/** @type {any} */ event) => cause.run(event, run, event)
    this.#bound.set(number, inThisContext(caused))
    this.#native._listenTo(number, checked.emitterId, checked.eventName, checked.listenerId)
    return () => {
      if (this.#bound.delete(number)) this.#native._ignoreFrom(number)
    }
  }

  /**
   * Calls the listeners that an event is for. What they begin is caused by the event.
   *
   * @param {{ to: number[], event: any }} told
   */
  tell({ to, event }) {
    for (const number of to) {
      const listener = this.#bound.get(number)
      if (listener) call(listener, event)
    }
  }
}

module.exports = { Subscriptions, emitDepth }
