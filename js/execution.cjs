// @ts-check
'use strict'

// `Execution`: the buffer of one run, as JavaScript holds it. The buffer itself is Rust's, and known
// by a number: an instance of a native class costs several times as much, and an execution is as
// short as its step.

const binding = require('./native.cjs')
const { createReceipts } = require('./completion.cjs')
const { invalidArgument } = require('./errors.cjs')
const { handleOf } = require('./handle.cjs')
const { createSend } = require('./send.cjs')

/** Who may make executions: `engine.execution()`. */
const MAKER = Symbol('engine.execution()')

const receipt = createReceipts(binding)

class Execution {
  /** @type {number} */ #number
  /** @type {import('./handle.cjs').Handle} */ #handle
  /** @type {string} */ #workflowId
  /** @type {string | undefined} */ #executionId

  /**
   * @param {symbol} maker
   * @param {object} engine
   * @param {{ workflowId: string, executionId?: string, attempt?: number, depth?: number, trace?: string }} run
   */
  constructor(maker, engine, { workflowId, executionId, attempt, depth, trace }) {
    if (maker !== MAKER) throw new TypeError('executions are made by engine.execution()')
    this.#handle = handleOf(engine)
    this.#workflowId = workflowId
    this.#executionId = executionId
    this.#number = /** @type {any} */ (engine)._execution(
      this,
      workflowId,
      executionId,
      attempt,
      depth,
      trace,
    )
  }

  get executionId() {
    return (this.#executionId ??= /** @type {string} */ (binding._executionId(this.#number)))
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
    const step = binding._step(this.#number, name)
    const $send = createSend(binding, this.#handle, step, (call, bytes, reason) =>
      binding._fill(this.#number, call, bytes, reason),
    )
    return { name, $send, $: { send: $send } }
  }

  /**
   * Sealed when it returns; a refusal is a rejection.
   *
   * @param {{ error?: unknown }} [options]
   */
  async complete(options) {
    const message = errorMessage(options?.error)
    return receipt(this, (ticket) => binding._complete(this.#number, message, ticket))
  }

  async flush() {
    return receipt(this, (ticket) => binding._flush(this.#number, ticket))
  }

  /** @returns {number} */
  discard() {
    return binding._discard(this.#number)
  }

  /** @param {{ timeoutMs?: number }} [options] */
  settled(options) {
    return binding._settled(this.#number, options)
  }
}

/**
 * The message of whatever was thrown; it must not throw itself, or calls would be lost.
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
