// @ts-check
'use strict'

// Calls of destinations that `engine.destination()` adds: their function gets the argument as JSON
// holds it.

const { invalidArgument } = require('../errors.cjs')
const { refusal } = require('../recording/check.cjs')
const { isPlainTree } = require('../recording/plain.cjs')
const { textOf } = require('../recording/snapshot.cjs')
const { isRecord } = require('../values.cjs')

/**
 * Returns the destination of this name.
 *
 * @param {string} name
 * @returns {import('./index.cjs').Destination}
 */
const customDestination = (name) => ({ name, rules: [], isPlain, call: call.bind(undefined, name) })

/** @param {unknown} argument */
const isPlain = (argument) => isRecord(argument) && isPlainTree(argument)

/**
 * @param {string} name
 * @param {unknown} argument
 * @returns {import('./index.cjs').Call}
 */
function call(name, argument) {
  if (argument === undefined || ['function', 'symbol'].includes(typeof argument)) {
    throw refusal(name, argument, [])
  }
  /** @type {string[]} */
  const warnings = []
  const text = textOf(name, argument, warnings)
  if (text === undefined) {
    throw invalidArgument(`$send.${name}: toJSON() of the argument returns nothing that JSON holds`)
  }
  return { text, warnings }
}

module.exports = { customDestination }
