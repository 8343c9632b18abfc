'use strict'

/**
 * The step that the running code belongs to.
 *
 * This module owns the one `AsyncLocalStorage` of the package. It knows nothing of engines or runners:
 * `run-step.cjs` sets the step, `global.cjs` reads it. Each worker thread loads its own copy, so a step
 * never leaks from one thread to another.
 */

const { AsyncLocalStorage } = require('node:async_hooks')
const { invalidArgument, sendError } = require('./errors.cjs')

/**
 * What the context needs of a step: `execution.step(name)` gives one.
 *
 * @typedef {object} CurrentStep
 * @property {string} name
 * @property {Record<string, unknown>} $send
 */

/** @type {AsyncLocalStorage<CurrentStep>} */
const storage = new AsyncLocalStorage()

/**
 * Calls `fn` with `step` as the current step of everything it does, synchronously or later: the globals
 * `$send` and `$end` of `dollar-send/global` resolve to it. Nesting is allowed, the innermost step wins.
 * Completing the execution stays the caller's duty.
 *
 * @template {unknown[]} Arguments
 * @template Result
 * @param {CurrentStep} step what `execution.step(name)` returned
 * @param {(...args: Arguments) => Result} fn
 * @param {Arguments} args handed to `fn`
 * @returns {Result} what `fn` returns
 */
function runInStep(step, fn, ...args) {
  if (typeof step?.$send !== 'object' || step.$send === null) {
    throw invalidArgument(
      'runInStep(): the first argument must be a step, as execution.step(name) returns it',
    )
  }
  if (typeof fn !== 'function') {
    throw invalidArgument('runInStep(): the second argument must be a function')
  }
  return storage.run(step, fn, ...args)
}

/**
 * The step of the current async context.
 *
 * @param {string} name what the caller used, for the message: `$send.http`, `$end`
 * @returns {CurrentStep}
 * @throws `ERR_SEND_NO_STEP` outside a step
 */
function currentStep(name) {
  const step = storage.getStore()
  if (step) return step
  throw sendError(
    Error,
    'ERR_SEND_NO_STEP',
    `${name} was used outside a step: call it from code that runStep(), runInStep() or the dollar-send command runs`,
  )
}

/**
 * Whether the running code belongs to a step.
 *
 * @returns {boolean}
 */
function insideStep() {
  return storage.getStore() !== undefined
}

module.exports = { currentStep, insideStep, runInStep }
