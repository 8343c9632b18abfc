// @ts-check
'use strict'

const { sendError } = require('../errors.cjs')
const { prototypeWith } = require('../unknown-destination.cjs')

/**
 * Returns the error for something that only the runner can provide.
 *
 * @param {string} used what the step used, such as `$.flow.suspend()`
 * @param {string} option the option that provides it
 */
function unsupported(used, option) {
  return sendError(
    Error,
    'ERR_SEND_NOT_SUPPORTED',
    `${used} is not supported by this runner: it needs the option ${option}`,
  )
}

/** Stands for `$.files`: reading a member is harmless, calling it says what is missing. */
const NO_FILES = Object.create(
  prototypeWith((name) => () => {
    throw unsupported(`$.files.${name}()`, 'files')
  }),
)

module.exports = { NO_FILES, unsupported }
