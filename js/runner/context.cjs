// @ts-check
'use strict'

/**
 * The step that the running code belongs to.
 *
 * This module owns the one `AsyncLocalStorage` of the package. It knows nothing of engines or runners:
 * `run.cjs` sets the step, `globals.cjs` reads it. Each worker thread loads its own copy, so a step
 * never leaks from one thread to another.
 */

const { AsyncLocalStorage } = require('node:async_hooks')
const { invalidArgument, sendError } = require('../errors.cjs')

/**
 * What the context needs of a step: `execution.step(name)` returns one. A step that the runner of this
 * package runs has a `host` too, for the globals beside `$send` and `$end`.
 *
 * @typedef {object} CurrentStep
 * @property {string} name
 * @property {object} $send
 * @property {import('./host.cjs').StepHost} [host]
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
 * Returns the step of the current async context.
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
 * Returns the step of the current async context, or nothing outside a step.
 *
 * @returns {CurrentStep | undefined}
 */
function stepIfAny() {
  return storage.getStore()
}

/**
 * Returns the host of the current step.
 *
 * @param {string} name what the caller used, for the message
 * @returns {import('./host.cjs').StepHost}
 * @throws `ERR_SEND_NO_STEP` outside a step, `ERR_SEND_NOT_SUPPORTED` under `runInStep()`
 */
function currentHost(name) {
  const { host } = currentStep(name)
  if (host) return host
  throw sendError(
    Error,
    'ERR_SEND_NOT_SUPPORTED',
    `${name} is not supported by runInStep(): run the step with runStep() or execution.run()`,
  )
}

module.exports = { currentHost, currentStep, runInStep, stepIfAny }
