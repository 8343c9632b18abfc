// @ts-check
'use strict'

// `Engine`: a class around the native handle, which is never the owner of undelivered work.

const { resolve } = require('node:path')

const { Completions } = require('./completion.cjs')
const { answered, called, invalidArgument } = require('./errors.cjs')
const { Listeners } = require('./events/listeners.cjs')
const { Subscriptions } = require('./events/subscriptions.cjs')
const { checkedExecutionOptions } = require('./execution-options.cjs')
const { Execution, MAKER } = require('./execution.cjs')
const {
  checkMembers,
  checkSelection,
  DELIVERIES,
  EXECUTIONS,
  PAUSE,
  RETRY,
  STREAM_URL,
  TIMEOUT,
} = require('./filters.cjs')
const { EngineHandle } = require('./native.cjs')
const { optionsText } = require('./options.cjs')
const { loadDestinations } = require('./send.cjs')
const { memberOf } = require('./values.cjs')
const { Warehouse } = require('./warehouse/index.cjs')

/** @type {typeof import('./destinations/jobs.cjs')} Loaded with the first engine. */
let jobs

/** Passed to the constructor by `Engine.open()` alone. */
const OPENER = Symbol('Engine.open()')

/**
 * Engines that stay alive when no variable holds them: what was opened for others (a server, listeners,
 * destinations) lasts until `close()`, and a completion hook until its promise is settled.
 *
 * @type {Set<Engine>}
 */
const KEPT = new Set()

class Engine {
  #handle
  /** @type {import('./execution.cjs').Parent} */ #parent
  /** @type {Listeners} */ #listeners
  /** @type {Subscriptions} */ #subscriptions
  /** @type {Warehouse} */ #warehouse
  #signals = new jobs.Signals()
  #isKeptUntilClosed = false
  /** The ticket of the last replay. */
  #replays = 0

  /** @param {unknown} [options] */
  static async open(options) {
    loadDestinations()
    jobs ??= require('./destinations/jobs.cjs')
    const text = optionsText(options)
    const handle = await answered(called(() => EngineHandle.open(text)))
    return new Engine(OPENER, handle, dataDirOf(text))
  }

  /**
   * @param {symbol} opener
   * @param {import('./native.cjs').EngineHandle} handle
   * @param {string | undefined} dataDir absolute
   */
  constructor(opener, handle, dataDir) {
    if (opener !== OPENER) throw new TypeError('an engine is opened by Engine.open()')
    this.#handle = handle
    this.#parent = {
      engine: this,
      handle,
      settings: {
        strict: handle.strict,
        maxPayloadBytes: handle.maxPayloadBytes,
        attachmentFolder: handle.attachmentFolder,
        destinations: new Map(),
        lateCallsThrow: handle.lateCallsThrow,
        kept: { dataDir },
      },
      completions: new Completions(handle, (waiting) => this.#keepWhile(waiting)),
    }
    handle.attach(Engine.#waker(new WeakRef(this)))
    this.#listeners = new Listeners(handle)
    this.#subscriptions = new Subscriptions(handle)
    this.#warehouse = new Warehouse(handle, Engine.#keeper(new WeakRef(this)))
    if (handle.engine.address()) this.#keep()
  }

  /** @param {unknown} options */
  execution(options) {
    return new Execution(MAKER, this.#parent, checkedExecutionOptions(options))
  }

  /**
   * Runs a function with an execution that is completed when the function has ended.
   *
   * @template T
   * @param {unknown} options those of `execution()`
   * @param {(execution: import('./execution.cjs').Execution) => T | Promise<T>} run
   */
  async run(options, run) {
    return require('./runner/workflow.cjs').runExecution(this, options, run)
  }

  /**
   * @param {unknown} [filter]
   * @returns {Promise<import('../index.d.ts').Delivery[]>}
   */
  async deliveries(filter) {
    checkMembers('engine.deliveries()', filter, DELIVERIES, 'filter')
    return this.#parsed(() => this.#handle.engine.deliveries(filter))
  }

  /**
   * @param {unknown} [filter]
   * @returns {Promise<import('../index.d.ts').ExecutionSummary[]>}
   */
  async executions(filter) {
    checkMembers('engine.executions()', filter, EXECUTIONS, 'filter')
    return this.#parsed(() => this.#handle.engine.executions(filter))
  }

  /**
   * @param {unknown} selection
   * @param {unknown} [options]
   */
  async replay(selection, options) {
    checkSelection('engine.replay()', selection)
    const { dryRun, signal } = checkedReplayOptions(options)
    const ticket = (this.#replays = (this.#replays + 1) % 2 ** 32)
    const cancel = () => this.#handle.engine._cancelReplay(ticket)
    const aborted = signal?.aborted ?? false
    const replayed = this.#parsed(() =>
      this.#handle.engine.replay(selection, dryRun, ticket, aborted),
    )
    signal?.addEventListener('abort', cancel)
    try {
      return await replayed
    } finally {
      signal?.removeEventListener('abort', cancel)
    }
  }

  /** @param {unknown} selection */
  async dismiss(selection) {
    checkSelection('engine.dismiss()', selection)
    return answered(called(() => this.#handle.engine.dismiss(selection)))
  }

  /** @param {unknown} [options] */
  async ready(options) {
    checkMembers('engine.ready()', options, TIMEOUT)
    await answered(called(() => this.#handle.engine.ready(options)))
  }

  /**
   * @param {unknown} target
   * @returns {Promise<import('../index.d.ts').Pause[]>}
   */
  async pause(target) {
    const checked = checkMembers('engine.pause()', target, PAUSE) ?? {}
    return this.#parsed(() => this.#handle.engine.pause(checked))
  }

  /**
   * @param {unknown} target
   * @returns {Promise<import('../index.d.ts').Pause[]>}
   */
  async resume(target) {
    const checked = checkMembers('engine.resume()', target, PAUSE) ?? {}
    return this.#parsed(() => this.#handle.engine.resume(checked))
  }

  /** @param {unknown} filter */
  async retryNow(filter) {
    const checked = checkMembers('engine.retryNow()', filter, RETRY, 'filter') ?? {}
    return answered(called(() => this.#handle.engine.retryNow(checked)))
  }

  /** @param {unknown} [options] */
  async flush(options) {
    checkMembers('engine.flush()', options, TIMEOUT)
    await answered(called(() => this.#handle.engine.flush(options)))
  }

  /** @param {unknown} [options] */
  async close(options) {
    checkMembers('engine.close()', options, TIMEOUT)
    const closing = called(() => this.#handle.engine.close(options))
    try {
      return { ...(await answered(closing)) }
    } finally {
      this.#wake()
      this.#signals.abort()
      await this.#warehouse.close()
      // Another thread that has the engine open may run the warehouse from here on, and not before.
      this.#handle.detach()
      this.#isKeptUntilClosed = false
      KEPT.delete(this)
    }
  }

  async [Symbol.asyncDispose ?? Symbol.for('nodejs.asyncDispose')]() {
    await this.close()
  }

  stats() {
    return JSON.parse(called(() => this.#handle.engine.stats()))
  }

  egressAddresses() {
    return [...this.#handle.engine.egressAddresses()]
  }

  address() {
    const address = this.#handle.engine.address()
    return address && { ...address }
  }

  /**
   * @param {string} workflowId
   * @param {unknown} [options]
   */
  streamUrl(workflowId, options) {
    checkMembers('engine.streamUrl()', options, STREAM_URL)
    return called(() => this.#handle.engine.streamUrl(workflowId, options))
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
   * @param {unknown} filter
   * @param {unknown} listener
   */
  subscribe(filter, listener) {
    const unsubscribe = this.#subscriptions.add(filter, listener)
    this.#keep()
    return unsubscribe
  }

  /**
   * @param {unknown} name
   * @param {unknown} options
   */
  destination(name, options) {
    const { deliver, destination, text } = jobs.checkDestination(name, options)
    const number = called(() => this.#handle.addDestination(destination.name, text))
    this.#parent.settings.destinations.set(destination.name, { destination, number, deliver })
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

  /** Takes the completions and events that wait for this engine. */
  #wake() {
    this.#parent.completions.settle()
    const events = this.#handle.takeEvents()
    if (events === '') return
    for (const [topic, event] of JSON.parse(events)) this.#dispatch(topic, event)
  }

  /**
   * @param {string} topic
   * @param {unknown} event as Rust wrote it for this topic
   */
  #dispatch(topic, event) {
    if (topic === 'emitted') {
      return this.#subscriptions.publish(/** @type {{ to: number[], event: unknown }} */ (event))
    }
    if (topic !== 'job') return this.#listeners.publish(topic, event)
    const job = /** @type {import('./destinations/jobs.cjs').Job} */ (event)
    if (this.#warehouse.runs(job.destination)) return this.#warehouse.work(job)
    return jobs.runJob(this.#handle, this.#parent.settings.destinations, this.#signals, job)
  }
}

/**
 * Returns the data directory in the options' text, made absolute.
 *
 * @param {string} text
 * @returns {string | undefined}
 */
function dataDirOf(text) {
  if (!text.includes('"dataDir"')) return undefined
  const { dataDir } = JSON.parse(text)
  return typeof dataDir === 'string' ? resolve(dataDir) : undefined
}

/** @typedef {import('../index.d.ts').ReplaySignal} ReplaySignal */

/**
 * @param {unknown} options
 * @returns {{ dryRun: boolean, signal?: ReplaySignal }}
 */
function checkedReplayOptions(options) {
  const given = /** @type {Record<string, unknown>} */ (options ?? {})
  const { dryRun = false, signal, ...rest } = given
  const unknown = Object.keys(rest)[0]
  if (unknown) throw invalidArgument(`engine.replay(): unknown option ${unknown}`)
  if (typeof dryRun !== 'boolean') {
    throw invalidArgument('engine.replay(): dryRun must be true or false')
  }
  if (signal !== undefined && typeof memberOf(signal, 'addEventListener') !== 'function') {
    throw invalidArgument('engine.replay(): signal must be an AbortSignal')
  }
  return { dryRun, signal: /** @type {ReplaySignal | undefined} */ (signal) }
}

module.exports = { Engine }
