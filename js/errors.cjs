// @ts-check
'use strict'

// Errors of this package, and those of the addon as errors of the realm that runs this file.

/** @typedef {import('../index.d.ts').ErrorCode} ErrorCode */

/**
 * Returns an error with a code.
 *
 * @param {new (message: string) => Error} Type
 * @param {ErrorCode} code
 * @param {string} message
 * @returns {Error & { code: ErrorCode }}
 */
function sendError(Type, code, message) {
  return Object.assign(new Type(message), { code })
}

/**
 * @param {string} message
 */
function invalidArgument(message) {
  return sendError(TypeError, 'ERR_SEND_INVALID_ARGUMENT', message)
}

/**
 * Calls a function of the addon.
 *
 * @template T
 * @param {() => T} call
 * @returns {T}
 */
function called(call) {
  try {
    return call()
  } catch (error) {
    throw localError(error)
  }
}

/**
 * Waits for a promise of the addon.
 *
 * @template T
 * @param {Promise<T>} promise
 * @returns {Promise<T>}
 */
async function answered(promise) {
  try {
    return await promise
  } catch (error) {
    throw localError(error)
  }
}

const TYPES = /** @type {const} */ ({ TypeError, RangeError })

/**
 * An error of the addon as one of this realm, so that `instanceof Error` holds where it is caught, in
 * a `vm` context as well; its stack is that of the caller. Other values are returned as they are.
 *
 * @param {any} error
 * @returns {unknown}
 */
function localError(error) {
  if (typeof error?.message !== 'string') return error
  const Type = TYPES[/** @type {keyof typeof TYPES} */ (error.name)] ?? Error
  const options = error.cause === undefined ? undefined : { cause: localError(error.cause) }
  const local = new Type(error.message, options)
  return error.code === undefined ? local : Object.assign(local, { code: error.code })
}

module.exports = { answered, called, invalidArgument, localError, sendError }
