// @ts-check
'use strict'

// `engine.subscribe`: emitted events, for listeners of this process.

const { AsyncLocalStorage } = require('node:async_hooks')

const { invalidArgument } = require('../errors.cjs')
const { unknown: unknownName } = require('../suggest.cjs')
const { isRecord } = require('../values.cjs')
const { call, inThisContext } = require('./listeners.cjs')

/** The members of a filter. */
const MEMBERS = ['emitterId', 'eventName', 'listenerId']

/** @typedef {import('./listeners.cjs').Listener} Listener */
/** @typedef {{ depth: number }} Caused the part of an event that counts the events before it */

/**
 * The event that the running code was called for: executions that begin there are caused by it.
 *
 * @type {AsyncLocalStorage<Caused>}
 */
const cause = new AsyncLocalStorage()

/** Returns how many emitted events in a row led to the running code. */
function emitDepth() {
  const event = cause.getStore()
  return event === undefined ? 0 : event.depth + 1
}

/**
 * @param {unknown} filter
 * @param {unknown} listener
 */
function checkArguments(filter, listener) {
  if (!isRecord(filter)) {
    throw invalidArgument(
      'engine.subscribe(): the first argument must be { emitterId, eventName? }',
    )
  }
  const { emitterId, eventName, listenerId, ...others } =
    /** @type {Record<string, string | undefined>} */ (filter)
  const unknown = Object.keys(others)[0]
  if (unknown !== undefined) {
    throw invalidArgument(`engine.subscribe(): ${unknownName('member', unknown, MEMBERS)}`)
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
  #handle
  /** @type {Map<number, Listener>} */ #bound = new Map()
  #lastNumber = 0

  /** @param {import('../native.cjs').EngineHandle} handle */
  constructor(handle) {
    this.#handle = handle
  }

  /**
   * Returns a function that unsubscribes.
   *
   * @param {unknown} filter
   * @param {unknown} listener
   */
  add(filter, listener) {
    const { listener: run, ...checked } = checkArguments(filter, listener)
    const number = ++this.#lastNumber
    const caused = (/** @type {unknown} */ event) =>
      cause.run(/** @type {Caused} */ (event), run, event)
    this.#bound.set(number, inThisContext(caused))
    this.#handle.listenTo(number, checked)
    return () => {
      if (this.#bound.delete(number)) this.#handle.ignoreFrom(number)
    }
  }

  /**
   * Calls the listeners of an event. The executions that they begin are caused by the event.
   *
   * @param {{ to: number[], event: unknown }} emitted
   */
  publish({ to, event }) {
    for (const number of to) {
      const listener = this.#bound.get(number)
      if (listener) call(listener, event)
    }
  }
}

module.exports = { Subscriptions, emitDepth }
