// @ts-check
'use strict'

const { addDestination, work } = require('./destination.cjs')
const { invalidArgument } = require('./errors.cjs')
const { addSubscribe, listenersFor } = require('./subscribe.cjs')
const warehouse = require('./warehouse.cjs')

/** @typedef {(event: any) => void} Listener */

const TOPICS = ['delivery', 'execution', 'batch', 'warning']

/**
 * The listeners of each handle. They wait in Rust until the loop turns, and arrive together: one
 * call across the border for many events.
 *
 * @type {WeakMap<object, Map<string, Set<Listener>>>}
 */
const LISTENERS = new WeakMap()

/**
 * @param {any} engine
 * @returns {Map<string, Set<Listener>>}
 */
function listenersOf(engine) {
  const known = LISTENERS.get(engine)
  if (known) return known
  const listeners = new Map(TOPICS.map((topic) => [topic, new Set()]))
  LISTENERS.set(engine, listeners)
  // The callback must not hold the handle: a forgotten engine can then be collected.
  const handle = new WeakRef(engine)
  engine._subscribe(() => tell(handle.deref(), listeners))
  return listeners
}

/**
 * @param {any} engine
 * @param {Map<string, Set<Listener>>} listeners
 */
function tell(engine, listeners) {
  if (!engine) return
  for (const [topic, event] of JSON.parse(engine._takeEvents())) {
    if (topic === 'job') {
      const does = event.destination === 'sql' ? warehouse.work : work
      does(engine, event)
      continue
    }
    if (topic === 'emitted') {
      for (const listener of listenersFor(engine, event)) call(listener, event.event)
      continue
    }
    for (const listener of listeners.get(topic) ?? []) call(listener, event)
  }
}

/**
 * A listener that throws is its owner's uncaught exception, and no other listener's concern.
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
}

/**
 * Gives engines `on`, `off`, `subscribe` and `destination`.
 *
 * @param {{ prototype: any }} Engine
 */
function addEvents(Engine) {
  addSubscribe(Engine, listenersOf)
  addDestination(Engine, listenersOf)

  /**
   * @param {string} topic
   * @param {Listener} listener
   */
  Engine.prototype.on = function on(topic, listener) {
    checkArguments('on', topic, listener)
    listenersOf(this).get(topic)?.add(listener)
    this._listen(topic, true)
    return this
  }

  /**
   * @param {string} topic
   * @param {Listener} listener
   */
  Engine.prototype.off = function off(topic, listener) {
    checkArguments('off', topic, listener)
    const listeners = listenersOf(this).get(topic)
    listeners?.delete(listener)
    if (listeners?.size === 0) this._listen(topic, false)
    return this
  }
}

module.exports = { addEvents, listenersOf }
