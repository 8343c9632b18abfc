// @ts-check
'use strict'

/** The options of the functions that run steps: names and types. */

const { inspect } = require('node:util')
const { invalidArgument } = require('../errors.cjs')
const { unknown: unknownName } = require('../suggest.cjs')
const { isObject } = require('./steps.cjs')

/**
 * @typedef {object} Input
 * @property {any} [event]
 * @property {Record<string, any>} [steps]
 * @property {Record<string, any>} [props]
 * @property {Record<string, any>} [auths]
 * @property {Record<string, any>} [flow]
 * @property {Record<string, any>} [services]
 * @property {Record<string, any>} [context]
 * @property {(response: any) => unknown} [respond]
 * @property {Record<string, any>} [attachments]
 * @property {object} [files]
 * @property {number} [timeoutMs]
 */

/** What one run of an execution takes: the options of `engine.execution()`. */
const RUN = ['executionId', 'attempt', 'trigger', 'traceparent', 'tracestate', 'emitDepth']
/** What the runner provides. */
const HOST = ['flow', 'services', 'context', 'respond', 'attachments', 'files', 'timeoutMs']
const STEP = ['event', 'steps', 'props', 'auths', ...HOST]

const SERVICES = ['db', 'checkpoint']

const OBJECTS = ['steps', 'props', 'auths', 'flow', 'context', 'attachments', 'files', 'services']

/** The longest delay of a timer. */
const MAX_TIMEOUT_MS = 2 ** 31 - 1

/**
 * Checks an options object.
 *
 * @param {string} where the function, for messages
 * @param {any} options
 * @param {readonly string[]} known
 */
function checkOptions(where, options, known) {
  if (!isObject(options) || Array.isArray(options)) {
    throw invalidArgument(`${where}: the options must be an object, not ${shown(options)}`)
  }
  for (const name of Object.keys(options)) {
    if (!known.includes(name)) {
      throw invalidArgument(`${where}: ${unknownName('option', name, known)}`)
    }
  }
  for (const name of OBJECTS) checkObject(`${where}: ${name}`, options[name])
  checkServices(where, options.services)
  if (options.respond !== undefined && typeof options.respond !== 'function') {
    throw invalidArgument(`${where}: respond must be a function`)
  }
  checkTimeout(where, options.timeoutMs)
}

/** @param {string} where @param {unknown} value */
function checkObject(where, value) {
  if (value === undefined || (isObject(value) && !Array.isArray(value))) return
  throw invalidArgument(`${where} must be an object, not ${shown(value)}`)
}

/** @param {string} where @param {any} services */
function checkServices(where, services) {
  if (services === undefined) return
  const unknown = Object.keys(services).find((name) => !SERVICES.includes(name))
  if (unknown !== undefined) {
    throw invalidArgument(`${where}: ${unknownName('option', unknown, SERVICES, 'services.')}`)
  }
  const { db, checkpoint } = services
  if (db !== undefined && typeof db !== 'function' && typeof db?.get !== 'function') {
    throw invalidArgument(
      `${where}: services.db must be a store, or a function that returns one for a name`,
    )
  }
  if (
    checkpoint !== undefined &&
    !(typeof checkpoint?.get === 'function' && typeof checkpoint.set === 'function')
  ) {
    throw invalidArgument(`${where}: services.checkpoint must have the functions get and set`)
  }
}

/** @param {string} where @param {unknown} timeoutMs */
function checkTimeout(where, timeoutMs) {
  if (timeoutMs === undefined) return
  const isNumber = typeof timeoutMs === 'number' && timeoutMs > 0 && timeoutMs <= MAX_TIMEOUT_MS
  if (isNumber) return
  throw invalidArgument(
    `${where}: timeoutMs must be above 0 and at most ${MAX_TIMEOUT_MS}, not ${shown(timeoutMs)}`,
  )
}

/**
 * Checks that a value is a text that is not empty.
 *
 * @param {string} where
 * @param {unknown} value
 */
function checkName(where, value) {
  if (typeof value === 'string' && value !== '') return
  throw invalidArgument(`${where} must be a text that is not empty`)
}

/**
 * Returns the members that an object has, without those that are undefined.
 *
 * @param {Record<string, any>} options
 * @param {readonly string[]} names
 * @returns {Record<string, any>}
 */
function pick(options, names) {
  /** @type {Record<string, any>} */
  const picked = {}
  for (const name of names) if (options[name] !== undefined) picked[name] = options[name]
  return picked
}

/** @param {unknown} value */
function shown(value) {
  return inspect(value, { depth: 0 })
}

module.exports = { HOST, RUN, STEP, checkName, checkOptions, pick, shown }
