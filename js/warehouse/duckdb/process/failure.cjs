// @ts-check
'use strict'

const { messageOf, wellFormed } = require('../../../values.cjs')

// What an error of DuckDB means. Its messages begin with their kind.

/** Kinds that say that what was asked for is wrong, however often it is asked. */
const WRONG =
  /^(Binder|Catalog|Constraint|Conversion|Invalid Input|Not implemented|Out of Range|Parser|Permission|Syntax|Dependency) Error/

/** After these DuckDB does nothing more with a database that is open: the disk was full, for one. */
const GIVEN_UP = /^FATAL Error|^(IO|TransactionContext) Error.* has been invalidated/s

/** An error with its code and whether another attempt may mend it. */
class WarehouseError extends Error {
  /**
   * @param {string} code
   * @param {string} message
   */
  constructor(code, message) {
    super(message)
    this.code = code
  }
}

/**
 * @param {unknown} error
 * @param {string} whenFull what to do when it needs more memory
 * @returns {{ code: string, message: string, retryable: boolean }}
 */
function failure(error, whenFull) {
  // Rust reads no lone surrogates.
  const message = wellFormed(messageOf(error))
  const { code } = /** @type {{ code?: unknown }} */ (error ?? {})
  if (code === 'ERR_SEND_UNAVAILABLE') return { code, message, retryable: true }
  if (error instanceof WarehouseError) return { code: error.code, message, retryable: false }
  if (/Could not set lock on file/.test(message)) {
    return {
      code: 'ERR_SEND_UNAVAILABLE',
      message: `another process has the warehouse open: ${message.split('\n')[0]}`,
      retryable: true,
    }
  }
  if (/^Out of Memory Error/.test(message)) {
    return {
      code: 'ERR_SEND_UNAVAILABLE',
      message: `DuckDB needs more memory (${whenFull}): ${message.split('\n')[0]}`,
      retryable: true,
    }
  }
  const retryable = !WRONG.test(message)
  return { code: retryable ? 'ERR_SEND_UNAVAILABLE' : 'ERR_SEND_REFUSED', message, retryable }
}

/**
 * Returns whether the database has to be opened again.
 *
 * @param {unknown} error
 */
function isGivenUp(error) {
  return GIVEN_UP.test(messageOf(error))
}

module.exports = { WarehouseError, failure, isGivenUp }
