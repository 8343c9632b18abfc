// @ts-check
'use strict'

// Filters and options of the engine's methods: unknown members and wrong types are refused before they
// reach the addon.

const { invalidArgument } = require('./errors.cjs')
const { unknown } = require('./suggest.cjs')

/** @typedef {'text' | 'texts' | 'count' | 'number' | 'flag'} Type */

/** @type {Record<Type, [wanted: string, is: (value: unknown) => boolean]>} */
const TYPES = {
  text: ['a text', (value) => typeof value === 'string'],
  texts: [
    'a list of texts',
    (value) => Array.isArray(value) && value.every((one) => typeof one === 'string'),
  ],
  count: [
    'a whole number from 0',
    (value) =>
      typeof value === 'number' && Number.isInteger(value) && value >= 0 && value < 2 ** 32,
  ],
  number: ['a number', (value) => typeof value === 'number'],
  flag: ['true or false', (value) => typeof value === 'boolean'],
}

/** The members by which every filter of deliveries selects. */
const CALLS = /** @type {const} */ ({
  ids: 'texts',
  workflowId: 'text',
  executionId: 'text',
  step: 'text',
  destination: 'text',
  status: 'text',
})
/** The part of a list. */
const PAGE = /** @type {const} */ ({ limit: 'count', before: 'text' })

/** @type {Record<string, Type>} */
const DELIVERIES = { ...CALLS, ...PAGE, settledSince: 'text' }

/** @type {Record<string, Type>} */
const EXECUTIONS = { workflowId: 'text', ...PAGE }

/** @type {Record<string, Type>} */
const SELECTION = { plan: 'text', force: 'flag', ...CALLS, ...PAGE }

/** @type {Record<string, Type>} */
const PAUSE = { host: 'text', destination: 'text', workflowId: 'text', all: 'flag' }

/** @type {Record<string, Type>} */
const RETRY = { ...CALLS, host: 'text', errorCode: 'text' }

/** @type {Record<string, Type>} */
const TIMEOUT = { timeoutMs: 'number' }

/** @type {Record<string, Type>} */
const STREAM_URL = { expiresInMs: 'number' }

/**
 * Returns the object, or `undefined` without one.
 *
 * @param {string} method for messages
 * @param {unknown} given
 * @param {Record<string, Type>} known the members, with their types
 * @param {'filter' | 'option'} [noun]
 * @returns {object | undefined}
 */
function checkMembers(method, given, known, noun = 'option') {
  if (given === undefined || given === null) return undefined
  if (typeof given !== 'object' || Array.isArray(given)) {
    const what = noun === 'filter' ? 'the filter' : 'the options'
    throw invalidArgument(`${method}: ${what} must be an object, not ${shown(given)}`)
  }
  for (const [name, value] of Object.entries(given)) {
    if (!Object.hasOwn(known, name))
      throw invalidArgument(`${method}: ${unknown(noun, name, Object.keys(known))}`)
    const [wanted, is] = TYPES[known[name]]
    if (value !== undefined && value !== null && !is(value))
      throw invalidArgument(`${method}: ${name} must be ${wanted}, not ${shown(value)}`)
  }
  return given
}

/**
 * Checks the filter of a method that needs one.
 *
 * @param {string} method
 * @param {unknown} given
 */
function checkSelection(method, given) {
  const checked = checkMembers(method, given, SELECTION, 'filter')
  if (checked) return checked
  throw invalidArgument(`${method}: needs { ids } or a filter, such as { status: 'failed' }`)
}

/** @param {unknown} value */
function shown(value) {
  if (Array.isArray(value)) return 'a list'
  if (value !== null && typeof value === 'object') return 'an object'
  return typeof value === 'string' ? JSON.stringify(value.slice(0, 80)) : String(value)
}

module.exports = {
  checkMembers,
  checkSelection,
  DELIVERIES,
  EXECUTIONS,
  PAUSE,
  RETRY,
  STREAM_URL,
  TIMEOUT,
}
