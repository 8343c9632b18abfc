// @ts-check
'use strict'

// `engine.subscribe`: emitted events, for listeners of this process.

const { AsyncLocalStorage } = require('node:async_hooks')

const { isObject } = require('./check.cjs')
const { invalidArgument } = require('./errors.cjs')

/** @typedef {(event: any) => unknown} Listener */

/**
 * The event that the running code was called for: executions that begin there are caused by it.
 *
 * @type {AsyncLocalStorage<{ depth: number }>}
 */
const cause = new AsyncLocalStorage()

/**
 * The listeners of each handle by their numbers, which are Rust's way to name them.
 *
 * @type {WeakMap<object, Map<number, Listener>>}
 */
const LISTENERS = new WeakMap()

let nextNumber = 1

/** How many emitted events in a row led to the running code. */
function emitDepth() {
  const event = cause.getStore()
  return event === undefined ? 0 : event.depth + 1
}

/**
 * The listeners that an event is for, each as a function that knows its cause.
 *
 * @param {object} engine
 * @param {{ to: number[], event: any }} told
 * @returns {Listener[]}
 */
function listenersFor(engine, { to }) {
  const listeners = LISTENERS.get(engine)
  return to.flatMap((number) => {
    const listener = listeners?.get(number)
    return listener ? [(/** @type {any} */ event) => cause.run(event, listener, event)] : []
  })
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
  return { emitterId, eventName: eventName ?? '', listenerId }
}

/**
 * Gives engines `subscribe`. `prepare` sees to it that events reach `listenersFor`.
 *
 * @param {{ prototype: any }} Engine
 * @param {(engine: any) => void} prepare
 */
function addSubscribe(Engine, prepare) {
  /**
   * @param {unknown} wanted
   * @param {Listener} listener
   */
  Engine.prototype.subscribe = function subscribe(wanted, listener) {
    const { emitterId, eventName, listenerId } = checkArguments(wanted, listener)
    prepare(this)
    const listeners = LISTENERS.get(this) ?? new Map()
    LISTENERS.set(this, listeners)
    const number = nextNumber++
    listeners.set(number, listener)
    this._listenTo(number, emitterId, eventName, listenerId)
    return () => {
      if (listeners.delete(number)) this._ignoreFrom(number)
    }
  }
}

module.exports = { addSubscribe, emitDepth, listenersFor }
