// @ts-check
'use strict'

// `Execution`: the buffer of one run, as JavaScript holds it. The buffer itself is Rust's, and known
// by a number: an instance of a native class costs several times as much, and an execution is as
// short as its step.

const { answered, called, invalidArgument } = require('./errors.cjs')
const native = require('./native.cjs')
const { createSend } = require('./send.cjs')

/** Passed to the constructor by `engine.execution()` alone. */
const MAKER = Symbol('engine.execution()')

/**
 * @typedef {object} Parent What an execution has of its engine.
 * @property {object} engine the engine, which lives as long as its executions
 * @property {any} native its handle
 * @property {import('./engine.cjs').Settings} settings
 * @property {import('./completion.cjs').Completions} completions
 *
 * @typedef {object} Run
 * @property {string} workflowId
 * @property {string} [executionId]
 * @property {number} [attempt]
 * @property {number} [depth] emitted events in a row that led to it
 * @property {string} [trace]
 */

class Execution {
  /** @type {Parent} */ #parent
  /** @type {number} */ #number
  /** @type {string} */ #workflowId
  /** @type {string | undefined} */ #executionId

  /**
   * @param {symbol} maker
   * @param {Parent} parent
   * @param {Run} run
   */
  constructor(maker, parent, run) {
    if (maker !== MAKER) throw new TypeError('an execution is made by engine.execution()')
    const { workflowId, executionId, attempt, depth, trace } = run
    this.#parent = parent
    this.#workflowId = workflowId
    this.#executionId = executionId
    this.#number = called(() =>
      parent.native._execution(this, workflowId, executionId, attempt, depth, trace),
    )
  }

  get executionId() {
    return (this.#executionId ??= /** @type {string} */ (native._executionId(this.#number)))
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
    const step = called(() => native._step(this.#number, name))
    const $send = createSend(native, this.#parent.settings, step, (call, bytes, reason) =>
      native._fill(this.#number, call, bytes, reason),
    )
    return { name, $send, $: { send: $send } }
  }

  /**
   * Seals the buffer before it returns; a refusal is a rejection.
   *
   * @param {{ error?: unknown }} [options]
   */
  async complete(options) {
    const message = errorMessage(options?.error)
    return this.#handOver((ticket) => native._complete(this.#number, message, ticket))
  }

  async flush() {
    return this.#handOver((ticket) => native._flush(this.#number, ticket))
  }

  /** @returns {number} */
  discard() {
    return called(() => native._discard(this.#number))
  }

  /** @param {{ timeoutMs?: number }} [options] */
  async settled(options) {
    return JSON.parse(await answered(called(() => native._settled(this.#number, options))))
  }

  /** @param {(ticket: number) => number | undefined} handOver */
  #handOver(handOver) {
    return called(() => this.#parent.completions.receipt(this, handOver))
  }
}

/**
 * The message of whatever was thrown. It must not throw itself, or calls would be lost.
 *
 * @param {any} error
 */
function errorMessage(error) {
  if (error === undefined || error === null) return undefined
  try {
    return String(error.message ?? error)
  } catch {
    return Object.prototype.toString.call(error)
  }
}

module.exports = { Execution, MAKER }
