// @ts-check
'use strict'

// The addon, as the JavaScript of this package sees it. No other file names its loader, or a function
// of it that begins with an underscore.

const { createRequire } = require('node:module')
const { isAbsolute } = require('node:path')

const { candidates } = require('./addon-file.cjs')
const { version } = require('../package.json')

/** @typedef {import('./native.d.ts').Addon} Addon */
/** @typedef {import('./native.d.ts').NativeEngine} NativeEngine */
/** @typedef {import('./native.d.ts').Extras} Extras */
/** @typedef {import('./native.d.ts').WarehouseHold} WarehouseHold */

/**
 * Loads the addon.
 *
 * @returns {Addon}
 * @throws `ERR_SEND_ADDON` when it cannot be loaded, or is of another version.
 */
function load() {
  const places = candidates()
  const found = places[places.length - 1]
  if (found?.path && found.fault) throw require('./addon-error.cjs').loadError(places)
  const native = required(places, found?.path)
  const own = native._version?.()
  if (own === version) return native
  throw require('./addon-error.cjs').versionError(places, version, own)
}

/**
 * Loads the file that was found. The generated loader looks for it again, which takes a tenth of what
 * loading this package takes; it is for bundled code, where no file is found, and leads tools that copy
 * what is required to the addon.
 *
 * @param {import('./addon-file.cjs').Candidate[]} places
 * @param {string | undefined} path
 * @returns {Addon}
 */
function required(places, path) {
  try {
    return path && isAbsolute(path) ? createRequire(path)(path) : require('../binding.cjs')
  } catch (error) {
    throw require('./addon-error.cjs').loadError(places, error)
  }
}

const addon = load()

/** The handle of an engine. It never owns undelivered work. */
class EngineHandle {
  #native

  /** @param {NativeEngine} native */
  constructor(native) {
    this.#native = native
  }

  /**
   * Opens an engine with these options, as JSON.
   *
   * @param {string} options
   */
  static async open(options) {
    return new EngineHandle(await addon.Engine.open(options))
  }

  /** The methods that are public as they are. */
  get engine() {
    return this.#native
  }

  get strict() {
    return this.#native._strict
  }

  get lateCallsThrow() {
    return this.#native._lateCallsThrow
  }

  get maxPayloadBytes() {
    return this.#native._maxPayloadBytes
  }

  get attachmentFolder() {
    return this.#native._attachmentFolder ?? undefined
  }

  /**
   * Begins an execution, which lasts as long as `object`. Returns its number.
   *
   * @param {object} object
   * @param {import('./execution.cjs').Run} run
   */
  begin(object, { workflowId, executionId, attempt, depth, trace, trigger }) {
    return this.#native._execution(object, workflowId, executionId, attempt, depth, trace, trigger)
  }

  /** @param {() => void} wake called when completions or events wait */
  attach(wake) {
    this.#native._attach(wake)
  }

  /** Forgets everything that calls this thread: its destinations, its warehouse, its listeners. */
  detach() {
    this.#native._detach()
  }

  /** @param {string} topic @param {boolean} on */
  listen(topic, on) {
    this.#native._listen(topic, on)
  }

  /**
   * Adds a listener for emitted events.
   *
   * @param {number} number
   * @param {{ emitterId?: string, eventName: string, listenerId?: string }} filter
   */
  listenTo(number, { emitterId, eventName, listenerId }) {
    this.#native._listenTo(number, emitterId, eventName, listenerId)
  }

  /** @param {number} number of a listener for emitted events, which is removed */
  ignoreFrom(number) {
    this.#native._ignoreFrom(number)
  }

  /** Takes the events that wait, as a JSON array of `[topic, event]`; empty when none does. */
  takeEvents() {
    return this.#native._takeEvents()
  }

  /** Takes the completion hooks that are done: the ticket, the calls (-1: refused) and durability of each. */
  takeCompletions() {
    return this.#native._takeCompletions()
  }

  /** @param {number} ticket of a hook that was refused, whose error is thrown */
  throwRefusal(ticket) {
    this.#native._throwRefusal(ticket)
  }

  /**
   * Adds a destination that is written in JavaScript. Returns its number.
   *
   * @param {string} name
   * @param {string} options as JSON
   */
  addDestination(name, options) {
    return this.#native._destination(name, options)
  }

  /** @param {number} job @param {object} answer */
  answerJob(job, answer) {
    this.#native._answerJob(job, JSON.stringify(answer))
  }

  /** Returns the settings of DuckDB as JSON, by the destinations that have this thread run it from here on. */
  attachDuckDb() {
    return this.#native._attachDuckDb()
  }

  /** @param {string} query as JSON */
  query(query) {
    return this.#native._query(query)
  }
}

module.exports = {
  EngineHandle,
  destinations: addon._destinations,
  isMainThread: addon._isMainThread,
  watchExit: addon._watchExit,
  flushAtExit: addon._flushAtExit,
  readExecutions: addon._readExecutions,
  openAtExit: addon._openAtExit,
  readLog: addon._readLog,
  readSettled: addon._readSettled,
  migrate: addon._migrate,
  migrated: addon._migrated,
  recorder: addon._recorder,
  recordWith: addon._recordWith,
  logLate: addon._logLate,
  executionId: addon._executionId,
  step: addon._step,
  describeEnd: addon._describeEnd,
  describeError: addon._describeError,
  complete: addon._complete,
  flush: addon._flush,
  discard: addon._discard,
  settled: addon._settled,
  fill: addon._fill,
  holdWarehouse: addon._holdWarehouse,
  releaseWarehouse: addon._releaseWarehouse,
  beginWarehouseProcess: addon._beginWarehouseProcess,
  endWarehouseProcess: addon._endWarehouseProcess,
}
