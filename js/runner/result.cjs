// @ts-check
'use strict'

/** How a step ended, and what becomes of the error that it threw. */

const { inspect, types } = require('node:util')
const { isObject } = require('./steps.cjs')

/** Results that were attached to errors: one may be replaced, a member of the step's own may not. */
const ATTACHED = new WeakSet()

/**
 * Returns the end that `$end()` left in a thrown value, ours or that of `@pipedream/platform`.
 *
 * @param {unknown} thrown
 * @returns {{ message?: unknown, ts: string } | undefined}
 */
function endOf(thrown) {
  try {
    if (!isObject(thrown) || !Object.hasOwn(thrown, '__pd_end')) return undefined
    const end = thrown.__pd_end
    return isObject(end) ? /** @type {{ message?: unknown, ts: string }} */ (end) : undefined
  } catch {
    // A proxy or a getter that throws.
    return undefined
  }
}

/** @param {unknown} value */
function isAttached(value) {
  return isObject(value) && ATTACHED.has(value)
}

/**
 * Adds a member to a thrown value that is not enumerable, if the value takes it.
 *
 * @param {unknown} thrown
 * @param {string} name
 * @param {object} value
 * @returns {boolean}
 */
function attach(thrown, name, value) {
  try {
    if (!isObject(thrown)) return false
    if (Object.hasOwn(thrown, name) && !isAttached(thrown[name])) return false
    Object.defineProperty(thrown, name, { value, configurable: true, writable: true })
    ATTACHED.add(value)
    return true
  } catch {
    return false
  }
}

/**
 * Completes the execution of a step that threw. Never rejects: the step's own error is the one to
 * report. Returns the receipt, if there is one.
 *
 * @template Receipt
 * @param {{ complete(outcome?: { error?: unknown }): Promise<Receipt> }} execution
 * @param {unknown} thrown
 */
async function completeFailed(execution, thrown) {
  const error = hasMessage(thrown) ? thrown : new Error(`The step threw ${shown(thrown)}`)
  try {
    return await execution.complete({ error })
  } catch (failure) {
    if (!attach(thrown, 'completionError', /** @type {Error} */ (failure))) {
      process.emitWarning(failure instanceof Error ? failure : String(failure))
    }
    return undefined
  }
}

/** @param {unknown} thrown */
function hasMessage(thrown) {
  try {
    return types.isNativeError(thrown) || (isObject(thrown) && typeof thrown.message === 'string')
  } catch {
    return false
  }
}

/** @param {unknown} thrown */
function shown(thrown) {
  try {
    return inspect(thrown, { depth: 1 })
  } catch {
    return 'a value that cannot be shown'
  }
}

module.exports = { attach, completeFailed, endOf }
