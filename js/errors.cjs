// @ts-check
'use strict'

// Errors of this package. Converts those of the addon to errors of the realm that runs this file.

const { sep } = require('node:path')

/** @typedef {import('../index.d.ts').ErrorCode} ErrorCode */

/** The folder of this package's JavaScript. */
const OWN = __dirname + sep

/**
 * Returns the error with a stack that begins at the caller of this package. If the stack has no other
 * code, it stays as it is.
 *
 * @template {Error} E
 * @param {E} error
 * @returns {E}
 */
function fromCaller(error) {
  const { stack } = error
  const at = typeof stack === 'string' ? stack.search(/\n\s+at /) : -1
  if (stack === undefined || at < 0) return error
  const frames = stack.slice(at + 1).split('\n')
  const first = frames.findIndex((frame) => !frame.includes(OWN) && !frame.includes('(node:'))
  if (first > 0) error.stack = `${stack.slice(0, at)}\n${frames.slice(first).join('\n')}`
  return error
}

/**
 * Returns an error with a code.
 *
 * @param {new (message: string) => Error} Type
 * @param {ErrorCode} code
 * @param {string} message
 * @returns {Error & { code: ErrorCode }}
 */
function sendError(Type, code, message) {
  return fromCaller(Object.assign(new Type(message), { code }))
}

/**
 * Returns the error for a wrong argument.
 *
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

/** @typedef {{ name: string, message: string, code?: unknown, cause?: unknown }} NativeError */

/**
 * Converts an error of the addon to one of this realm, so that `instanceof Error` holds where it is
 * caught, in a `vm` context as well; its stack is that of the caller. Returns other values as they are.
 *
 * @param {unknown} given
 * @returns {unknown}
 */
function localError(given) {
  const error = /** @type {NativeError | null | undefined} */ (given)
  if (typeof error?.message !== 'string') return given
  const Type = TYPES[/** @type {keyof typeof TYPES} */ (error.name)] ?? Error
  const options = error.cause === undefined ? undefined : { cause: localError(error.cause) }
  const local = new Type(error.message, options)
  if (error.code !== undefined) Object.assign(local, { code: error.code })
  return fromCaller(local)
}

module.exports = { answered, called, invalidArgument, localError, sendError }
