// @ts-check
'use strict'

// The package root.

const { Engine } = require('./engine.cjs')
const { Execution } = require('./execution.cjs')
const { flushAtExit } = require('./exit.cjs')
const { defineComponent } = require('./global.cjs')

flushAtExit()

// What runs steps is loaded by the first call: a runner of its own needs none of it.

/** @param {Parameters<import('./runner/workflow.cjs').runStep>} args */
function runStep(...args) {
  return require('./runner/workflow.cjs').runStep(...args)
}

/**
 * Loads a step file. The loader, too, is there only for those who call it.
 *
 * @param {string | URL} file
 */
function loadStep(file) {
  return require('./runner/load.cjs').loadStep(file)
}

/** @param {Parameters<import('./runner/workflow.cjs').runWorkflow>} args */
function runWorkflow(...args) {
  return require('./runner/workflow.cjs').runWorkflow(...args)
}

module.exports = { Engine, Execution, defineComponent, loadStep, runStep, runWorkflow }
