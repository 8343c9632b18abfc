// @ts-check
'use strict'

// `Engine`: a class around the native handle, which is never the owner of undelivered work.

const { loadCalls } = require('./send.cjs')
const { Completions } = require('./completion.cjs')
const { checkDestination, runJob } = require('./destination.cjs')
const { answered, called, invalidArgument } = require('./errors.cjs')
const { Listeners } = require('./events.cjs')
const { Execution, MAKER } = require('./execution.cjs')
const native = require('./native.cjs')
const { optionsText } = require('./options.cjs')
const { Subscriptions, emitDepth } = require('./subscribe.cjs')
const { Warehouse } = require('./warehouse.cjs')

/**
 * @typedef {object} Settings What recording a call needs to know of its engine.
 * @property {boolean} strict whether warnings throw
 * @property {number} maxPayloadBytes bytes that one call may have
 * @property {Map<string, import('./destination.cjs').Destination>} destinations those that are written
 *   in JavaScript, by their names
 */

/** Passed to the constructor by `Engine.open()` alone. */
const OPENER = Symbol('Engine.open()')

/**
 * Engines that stay when no variable holds them: what was opened for others (a server, listeners,
 * destinations) lasts until `close()`, and a completion hook until it is answered.
 *
 * @type {Set<Engine>}
 */
const KEPT = new Set()

class Engine {
  /** @type {any} */ #native
  /** @type {import('./execution.cjs').Parent} */ #parent
  /** @type {Listeners} */ #listeners
  /** @type {Subscriptions} */ #subscriptions
  /** @type {Warehouse} */ #warehouse
  #isKeptUntilClosed = false

  /** @param {unknown} [options] */
  static async open(options) {
    loadCalls()
    const text = optionsText(options)
    const handle = await answered(called(() => native.Engine.open(text)))
    return new Engine(OPENER, handle)
  }

  /**
   * @param {symbol} opener
   * @param {any} handle
   */
  constructor(opener, handle) {
    if (opener !== OPENER) throw new TypeError('an engine is opened by Engine.open()')
    this.#native = handle
    this.#parent = {
      engine: this,
      native: handle,
      settings: {
        strict: handle._strict,
        maxPayloadBytes: handle._maxPayloadBytes,
        destinations: new Map(),
      },
      completions: new Completions(handle, (waiting) => this.#keepWhile(waiting)),
    }
    handle._attach(Engine.#waker(new WeakRef(this)))
    this.#listeners = new Listeners(handle)
    this.#subscriptions = new Subscriptions(handle)
    this.#warehouse = new Warehouse(handle, Engine.#keeper(new WeakRef(this)))
    if (handle.address()) this.#keep()
  }

  /** @param {any} options */
  execution(options) {
    return new Execution(MAKER, this.#parent, checkedExecutionOptions(options))
  }

  /** @param {unknown} [filter] */
  async deliveries(filter) {
    return this.#parsed(() => this.#native.deliveries(filter))
  }

  /** @param {unknown} [filter] */
  async executions(filter) {
    return this.#parsed(() => this.#native.executions(filter))
  }

  /** @param {unknown} selection */
  async replay(selection) {
    return this.#parsed(() => this.#native.replay(selection))
  }

  /** @param {unknown} [options] */
  async flush(options) {
    await answered(called(() => this.#native.flush(options)))
  }

  /** @param {unknown} [options] */
  async close(options) {
    const closing = called(() => this.#native.close(options))
    try {
      return { ...(await answered(closing)) }
    } finally {
      await this.#warehouse.close()
      // Another thread that has the engine open may run the warehouse from here on, and not before.
      this.#native._detach()
      this.#isKeptUntilClosed = false
      KEPT.delete(this)
    }
  }

  async [Symbol.asyncDispose ?? Symbol.for('nodejs.asyncDispose')]() {
    await this.close()
  }

  stats() {
    return JSON.parse(called(() => this.#native.stats()))
  }

  egressAddresses() {
    return [...this.#native.egressAddresses()]
  }

  address() {
    const address = this.#native.address()
    return address && { ...address }
  }

  /**
   * @param {string} workflowId
   * @param {unknown} [options]
   */
  streamUrl(workflowId, options) {
    return called(() => this.#native.streamUrl(workflowId, options))
  }

  /**
   * @param {unknown} topic
   * @param {unknown} listener
   */
  on(topic, listener) {
    this.#listeners.add(topic, listener)
    this.#keep()
    return this
  }

  /**
   * @param {unknown} topic
   * @param {unknown} listener
   */
  off(topic, listener) {
    this.#listeners.remove(topic, listener)
    return this
  }

  /**
   * @param {unknown} wanted
   * @param {unknown} listener
   */
  subscribe(wanted, listener) {
    const unsubscribe = this.#subscriptions.add(wanted, listener)
    this.#keep()
    return unsubscribe
  }

  /**
   * @param {unknown} name
   * @param {unknown} options
   */
  destination(name, options) {
    const { deliver, text } = checkDestination(name, options)
    const number = called(() => this.#native._destination(name, text))
    this.#parent.settings.destinations.set(/** @type {string} */ (name), { number, deliver })
    this.#keep()
    return this
  }

  /**
   * @param {unknown} query
   * @param {unknown} [options]
   */
  async sql(query, options) {
    return this.#warehouse.query(query, options)
  }

  /** @param {() => Promise<string>} ask */
  async #parsed(ask) {
    return JSON.parse(await answered(called(ask)))
  }

  /**
   * The callback that the addon holds. It must not hold the engine, so that a forgotten one can be
   * collected: made here, where no `this` is in its scope.
   *
   * @param {WeakRef<Engine>} self
   */
  static #waker(self) {
    return () => {
      const engine = self.deref()
      if (engine) engine.#wake()
    }
  }

  /**
   * The function that keeps the engine until it is closed. Returns `false` when it is gone.
   *
   * @param {WeakRef<Engine>} self
   */
  static #keeper(self) {
    return () => {
      const engine = self.deref()
      if (engine) engine.#keep()
      return engine !== undefined
    }
  }

  #keep() {
    this.#isKeptUntilClosed = true
    KEPT.add(this)
  }

  /** @param {boolean} waiting whether completion hooks wait */
  #keepWhile(waiting) {
    if (waiting) KEPT.add(this)
    else if (!this.#isKeptUntilClosed) KEPT.delete(this)
  }

  /** Called when the addon has something for this engine's JavaScript. */
  #wake() {
    this.#parent.completions.settle()
    const events = this.#native._takeEvents()
    if (events === '') return
    for (const [topic, event] of JSON.parse(events)) this.#take(topic, event)
  }

  /**
   * @param {string} topic
   * @param {any} event
   */
  #take(topic, event) {
    if (topic === 'emitted') return this.#subscriptions.tell(event)
    if (topic !== 'job') return this.#listeners.tell(topic, event)
    if (event.destination === 'sql') return this.#warehouse.work(event)
    return runJob(this.#native, this.#parent.settings.destinations, event)
  }
}

/** @param {any} options */
function checkedExecutionOptions(options) {
  const { workflowId, executionId, attempt, emitDepth: depth, traceparent } = options ?? {}
  if (typeof workflowId !== 'string' || workflowId === '') {
    throw invalidArgument('engine.execution(): workflowId must be a text that is not empty')
  }
  if (executionId !== undefined && (typeof executionId !== 'string' || executionId === '')) {
    throw invalidArgument('engine.execution(): executionId must be a text that is not empty')
  }
  if (attempt !== undefined && !(Number.isInteger(attempt) && attempt >= 1 && attempt < 2 ** 32)) {
    throw invalidArgument('engine.execution(): attempt must be a whole number from 1')
  }
  if (depth !== undefined && !(Number.isInteger(depth) && depth >= 0 && depth < 2 ** 32)) {
    throw invalidArgument('engine.execution(): emitDepth must be a whole number from 0')
  }
  const trace = traceparent === undefined ? undefined : traceText(options)
  return { workflowId, executionId, attempt, depth: depth ?? emitDepth(), trace }
}

/** `traceparent` of version 00, and of later ones, which may go on (W3C Trace Context). */
const TRACEPARENT =
  /^(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(-|$)/

/**
 * The trace of an execution as one text. A malformed trace context is ignored, as its specification
 * asks for: it may come from anywhere.
 *
 * @param {{ traceparent: unknown, tracestate?: unknown }} options
 */
function traceText({ traceparent, tracestate }) {
  for (const [name, value] of Object.entries({ traceparent, tracestate })) {
    if (value !== undefined && typeof value !== 'string') {
      throw invalidArgument(`engine.execution(): ${name} must be a text`)
    }
  }
  const parent = /** @type {string} */ (traceparent)
  if (parent.length > 256 || !TRACEPARENT.test(parent)) return undefined
  const state = /** @type {string | undefined} */ (tracestate)
  const usable = state && state.length <= 512 && /^[\x20-\x7e]+$/.test(state)
  return usable ? `${parent}\n${state}` : parent
}

module.exports = { Engine }
