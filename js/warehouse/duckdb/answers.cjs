// @ts-check
'use strict'

// The answers of the warehouse that do not come from DuckDB.

/** @typedef {{ code: string, message: string, retryable?: boolean }} Failed */
/** @typedef {{ done: unknown } | { failed: Failed }} Answer */

/**
 * A failure that another attempt does not mend.
 *
 * @param {string} message
 * @returns {Answer}
 */
function notConfigured(message) {
  return { failed: { code: 'ERR_SEND_NOT_CONFIGURED', message } }
}

/**
 * A failure that another attempt may mend.
 *
 * @param {string} message
 * @returns {Answer}
 */
function unavailable(message) {
  return { failed: { code: 'ERR_SEND_UNAVAILABLE', message, retryable: true } }
}

/** @param {string} message @returns {Answer} */
function queryFailed(message) {
  return { failed: { code: 'ERR_SEND_QUERY_FAILED', message } }
}

/** @param {number} timeoutMs @returns {Answer} */
function queryTooSlow(timeoutMs) {
  const message = `the query took longer than ${timeoutMs} ms (timeoutMs) and was interrupted`
  return { failed: { code: 'ERR_SEND_QUERY_TIMEOUT', message } }
}

module.exports = { notConfigured, queryFailed, queryTooSlow, unavailable }
