// @ts-check
'use strict'

// The package root.

const { Engine } = require('./engine.cjs')
const { Execution } = require('./execution.cjs')
const { flushAtExit } = require('./exit.cjs')
require('./global.cjs')

flushAtExit()

/**
 * Runs one step. Its module is loaded by the first call: a runner of its own needs none of it.
 *
 * @param {Parameters<import('./run-step.cjs').runStep>} args
 */
function runStep(...args) {
  return require('./run-step.cjs').runStep(...args)
}

module.exports = { Engine, Execution, runStep }
