// @ts-check
'use strict'

// `Execution`: the buffer of one run, as JavaScript holds it. The buffer itself is in Rust, known by a
// number: an instance of a native class costs several times as much, and an execution is as short as
// its step.

const { answered, called, invalidArgument } = require('./errors.cjs')
const { checkMembers, TIMEOUT } = require('./filters.cjs')
const native = require('./native.cjs')
const { createSend } = require('./send.cjs')
const { cut, messageOf, shown, unchecked, wellFormed } = require('./values.cjs')

/** Passed to the constructor by `engine.execution()` alone. */
const MAKER = Symbol('engine.execution()')

/**
 * @typedef {object} Parent The parts of an engine that its executions use.
 * @property {object} engine the engine, which lives as long as its executions
 * @property {import('./native.cjs').EngineHandle} handle
 * @property {import('./send.cjs').Settings} settings
 * @property {import('./completion.cjs').Completions} completions
 *
 * @typedef {object} Failure A step that threw, for the events of `$errors`.
 * @property {unknown} error
 * @property {string} cellId
 * @property {unknown} event
 * @property {unknown} context
 *
 * @typedef {object} Run
 * @property {string} workflowId
 * @property {string} [executionId]
 * @property {number} [attempt]
 * @property {number} [depth] emitted events in a row that led to it
 * @property {string} [trace]
 * @property {string} [trigger]
 */

/** What running a step needs of an execution that is not of this copy of the package. */
const FOREIGN = { kept: {}, attempt: 1 }

/** @type {(execution: object) => import('./runner/services.cjs').HostState} */
let stateOf

class Execution {
  static {
    stateOf = (execution) =>
      #parent in execution
        ? {
            kept: execution.#parent.settings.kept,
            attempt: execution.#attempt,
            onThrown: (/** @type {Failure} */ failure) => {
              execution.#failure = failure
            },
            onEnded: (/** @type {unknown} */ message) => {
              execution.#message = endMessage(message)
            },
          }
        : FOREIGN
  }

  /** @type {Parent} */ #parent
  /** @type {number} */ #number
  /** @type {string} */ #workflowId
  /** @type {string | undefined} */ #executionId
  /** @type {number} */ #attempt
  /** @type {Failure | undefined} The last step that threw. */ #failure
  /** @type {string | undefined} The text of the last step that ended the run. */ #message

  /**
   * @param {symbol} maker
   * @param {Parent} parent
   * @param {Run} run
   */
  constructor(maker, parent, run) {
    if (maker !== MAKER) throw new TypeError('an execution is made by engine.execution()')
    this.#parent = parent
    this.#workflowId = run.workflowId
    this.#executionId = run.executionId
    this.#attempt = run.attempt ?? 1
    this.#number = called(() => parent.handle.begin(this, run))
  }

  get executionId() {
    return (this.#executionId ??= native.executionId(this.#number))
  }

  get workflowId() {
    return this.#workflowId
  }

  /** @param {unknown} name */
  step(name) {
    if (typeof name !== 'string' || name === '') {
      throw invalidArgument(
        'execution.step(): the name of the step must be a text that is not empty',
      )
    }
    const step = called(() => native.step(this.#number, name))
    const $send = createSend({
      settings: this.#parent.settings,
      step,
      fill: (call, bytes, reason) => native.fill(this.#number, call, bytes, reason),
      onLate: lateWarning(name, this.#workflowId),
    })
    return { name, $send, $: { send: $send } }
  }

  /**
   * Runs a step. Never rejects for what the step throws, and completes nothing.
   *
   * @param {string} name
   * @param {unknown} target
   * @param {unknown} [options]
   */
  async run(name, target, options) {
    const { runGiven } = require('./runner/run.cjs')
    return runGiven(this, stateOf(this), name, target, options)
  }

  /**
   * Completes the buffer before it returns; a refusal is a rejection.
   *
   * @param {{ error?: unknown, message?: unknown }} [options]
   */
  async complete(options) {
    const { error, message: given } = options ?? {}
    if (given !== undefined && typeof given !== 'string') {
      throw invalidArgument('execution.complete(): message must be a text')
    }
    const text = given === undefined ? this.#message : endMessage(given)
    if (text !== undefined) native.describeEnd(this.#number, text)
    const message = error === undefined || error === null ? undefined : messageOf(error)
    if (message !== undefined) {
      native.describeError(this.#number, errorDetails(error, this.#failure))
    }
    return this.#handOver((ticket) => native.complete(this.#number, message, ticket))
  }

  async flush() {
    return this.#handOver((ticket) => native.flush(this.#number, ticket))
  }

  /** @returns {number} */
  discard() {
    return called(() => native.discard(this.#number))
  }

  /** @param {{ timeoutMs?: number }} [options] */
  async settled(options) {
    checkMembers('execution.settled()', options, TIMEOUT)
    return JSON.parse(await answered(called(() => native.settled(this.#number, options))))
  }

  /** @param {(ticket: number) => number | null | undefined} handOver */
  #handOver(handOver) {
    return called(() => this.#parent.completions.receipt(this, handOver))
  }
}

/**
 * Returns the function that warns of calls after the end of the execution: once for each step.
 *
 * @param {string} step
 * @param {string} workflowId
 */
function lateWarning(step, workflowId) {
  let warned = false
  return (/** @type {string} */ destination) => {
    if (warned) return
    warned = true
    process.emitWarning(
      `step ${step} of workflow ${workflowId} called $send.${destination}() after its execution was ` +
        'over: the call is discarded. Await what the step starts before it returns',
      { type: 'DollarSendWarning', code: 'ERR_SEND_EXECUTION_COMPLETED' },
    )
  }
}

/** Characters of the text of an end that the log keeps. */
const MAX_MESSAGE = 1000

/**
 * Returns the text of an end for the log; a text that is empty is none.
 *
 * @param {unknown} message
 */
function endMessage(message) {
  if (message === undefined || message === null || message === '') return undefined
  return cut(typeof message === 'string' ? message : shown(message), MAX_MESSAGE)
}

/** Characters that an event may have in an event of `$errors`. */
const MAX_EVENT = 1 << 20

/**
 * Returns the details of an error beside its message, as JSON.
 *
 * @param {unknown} error
 * @param {Failure | undefined} failure
 */
function errorDetails(error, failure) {
  /** @type {Partial<Failure>} */
  const { cellId, event, context } = failure?.error === error ? (failure ?? {}) : {}
  const texts = {
    code: JSON.stringify(textIn(error, 'code')),
    stack: JSON.stringify(textIn(error, 'stack')),
    cellId: cellId === undefined ? undefined : JSON.stringify(wellFormed(cellId)),
    event: jsonOf(event),
    context: jsonOf(context),
  }
  const members = Object.entries(texts).filter(([, text]) => text !== undefined)
  return `{${members.map(([name, text]) => `"${name}":${text}`).join(',')}}`
}

/**
 * Returns a member of a thrown value that is a text or a number, as text.
 *
 * @param {unknown} error
 * @param {string} name
 */
function textIn(error, name) {
  const value = unchecked(Object(error), name)
  return typeof value === 'string' || typeof value === 'number'
    ? wellFormed(String(value))
    : undefined
}

/**
 * Returns a value as JSON, unless it is too long.
 *
 * @param {unknown} value
 * @returns {string | undefined}
 */
function jsonOf(value) {
  try {
    const text = JSON.stringify(value)
    return text?.length > MAX_EVENT ? undefined : text
  } catch {
    return undefined
  }
}

module.exports = {
  Execution,
  MAKER,
  stateOf: (/** @type {object} */ execution) => stateOf(execution),
}
