// @ts-check
'use strict'

/**
 * An error of this package, made on the JavaScript side.
 *
 * @param {new (message: string) => Error} Type
 * @param {import('../index.d.ts').ErrorCode} code
 * @param {string} message
 * @returns {Error & { code: import('../index.d.ts').ErrorCode }}
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

module.exports = { sendError, invalidArgument }
