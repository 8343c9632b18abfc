// @ts-check
'use strict'

/** The options of the functions that run steps: names and types. */

const { inspect } = require('node:util')
const { invalidArgument } = require('../errors.cjs')
const { unknown: unknownName } = require('../suggest.cjs')
const { memberOf } = require('../values.cjs')
const { isObject } = require('./steps.cjs')

/**
 * @typedef {import('./steps.cjs').Dictionary} Dictionary
 *
 * @typedef {object} Input The options that were checked.
 * @property {unknown} [event]
 * @property {Dictionary} [steps]
 * @property {Dictionary} [props]
 * @property {Dictionary} [auths]
 * @property {Dictionary} [flow]
 * @property {{ db?: unknown, checkpoint?: import('./checkpoint.cjs').CheckpointStore }} [services]
 * @property {Dictionary} [context]
 * @property {(response: unknown) => unknown} [respond]
 * @property {Dictionary} [attachments]
 * @property {object} [files]
 * @property {number} [timeoutMs]
 */

/** What one run of an execution takes: the options of `engine.execution()`. */
const RUN = ['executionId', 'attempt', 'trigger', 'traceparent', 'tracestate', 'emitDepth']
/** What the runner provides. */
const HOST = /** @type {const} */ ([
  ...['flow', 'services', 'context', 'respond', 'attachments', 'files', 'timeoutMs'],
])
const STEP = /** @type {const} */ (['event', 'steps', 'props', 'auths', ...HOST])

const SERVICES = ['db', 'checkpoint']

const OBJECTS = ['steps', 'props', 'auths', 'flow', 'context', 'attachments', 'files', 'services']

/** The longest delay of a timer. */
const MAX_TIMEOUT_MS = 2 ** 31 - 1

/**
 * Checks an options object, and returns it.
 *
 * @param {string} where the function, for messages
 * @param {unknown} options
 * @param {readonly string[]} known
 * @returns {Dictionary & Input}
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
  return options
}

/** @param {string} where @param {unknown} value */
function checkObject(where, value) {
  if (value === undefined || (isObject(value) && !Array.isArray(value))) return
  throw invalidArgument(`${where} must be an object, not ${shown(value)}`)
}

/** @param {string} where @param {unknown} services an object, or nothing */
function checkServices(where, services) {
  if (!isObject(services)) return
  const unknown = Object.keys(services).find((name) => !SERVICES.includes(name))
  if (unknown !== undefined) {
    throw invalidArgument(`${where}: ${unknownName('option', unknown, SERVICES, 'services.')}`)
  }
  const { db, checkpoint } = services
  if (db !== undefined && typeof db !== 'function' && typeof memberOf(db, 'get') !== 'function') {
    throw invalidArgument(
      `${where}: services.db must be a store, or a function that returns one for a name`,
    )
  }
  if (
    checkpoint !== undefined &&
    !['get', 'set'].every((name) => typeof memberOf(checkpoint, name) === 'function')
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
 * Returns a value that is a text and not empty; refuses any other.
 *
 * @param {string} where
 * @param {unknown} value
 */
function checkName(where, value) {
  if (typeof value === 'string' && value !== '') return value
  throw invalidArgument(`${where} must be a text that is not empty`)
}

/**
 * Returns the members that an object has, without those that are undefined.
 *
 * @template {object} Options
 * @template {keyof Options} Name
 * @param {Options} options
 * @param {readonly Name[]} names
 */
function pick(options, names) {
  /** @type {Partial<Pick<Options, Name>>} */
  const picked = {}
  for (const name of names) if (options[name] !== undefined) picked[name] = options[name]
  return picked
}

/** @param {unknown} value */
function shown(value) {
  return inspect(value, { depth: 0 })
}

module.exports = { HOST, RUN, STEP, checkName, checkOptions, pick, shown }
