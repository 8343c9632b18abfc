// @ts-check
'use strict'

// Loads DuckDB's package, an optional peer: it may be beside this package or beside the program.

const { WarehouseError } = require('./failure.cjs')

const PACKAGE = '@duckdb/node-api'

/** Error codes of a system that lacks a resource, as opposed to a missing file. */
const PASSES = /EMFILE|ENFILE|ENOMEM|Cannot allocate memory|Too many open files/

/**
 * @param {import('./main.cjs').Settings} settings
 * @returns {typeof import('@duckdb/node-api')}
 */
function loadPackage({ places, purpose }) {
  try {
    return require(require.resolve(PACKAGE, { paths: places }))
  } catch (error) {
    const { code, message } = /** @type {{ code: string, message: string }} */ (error)
    if (PASSES.test(message)) throw error
    throw new WarehouseError('ERR_SEND_NOT_CONFIGURED', reasonOf(code, message, places, purpose))
  }
}

/**
 * @param {string} code
 * @param {string} message
 * @param {string[]} places
 * @param {string} purpose
 */
function reasonOf(code, message, places, purpose) {
  if (code === 'MODULE_NOT_FOUND' && message.includes(`'${PACKAGE}'`)) {
    return (
      `${purpose} DuckDB, whose package is not installed: npm install ${PACKAGE} ` +
      `(looked for from ${places.join(' and from ')})`
    )
  }
  return `${purpose} DuckDB, whose package does not load: ${message.split('\n')[0]}`
}

module.exports = { loadPackage }
