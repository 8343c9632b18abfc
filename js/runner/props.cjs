// @ts-check
'use strict'

/** The types of props: which the runner provides, which are required, and which values fit. */

const { inspect } = require('node:util')
const { HttpRequest } = require('./http-request.cjs')
const { dataStore } = require('./services.cjs')
const { memberOf } = require('../values.cjs')
const { isObject } = require('./steps.cjs')

/** @typedef {import('./steps.cjs').Dictionary} Dictionary */
/** @typedef {import('./http-request.cjs').Settings} Settings */
/** @typedef {{ host: import('./host.cjs').StepHost, services: import('./services.cjs').Services }} Provider */

/**
 * What the runner puts in the place of a value, by the type of the prop.
 *
 * @type {Record<string, (name: string, value: unknown, provider: Provider) => unknown>}
 */
const PROVIDED = {
  '$.service.db': (name, _, { services }) => services.open(`${services.key}/${name}`),
  '$.interface.http': (_name, _value, { host }) => ({
    respond: (/** @type {unknown} */ response) => host.respond(response),
  }),
  '$.interface.timer': (_name, value) => (isObject(value) ? { ...value } : {}),
  data_store: (name, value, { services }) =>
    dataStore(() => services.open(typeof value === 'string' && value !== '' ? value : name)),
  http_request: (name, value) => new HttpRequest(name, /** @type {Settings | undefined} */ (value)),
}

/**
 * Returns whether the runner provides a prop. A store that the caller gives as the value stays.
 *
 * @param {Dictionary} definition
 * @param {unknown} value
 */
function isProvided({ type }, value) {
  if (!Object.hasOwn(PROVIDED, String(type))) return false
  const given = ['get', 'execute', 'respond'].map((name) => memberOf(value, name))
  return typeof given.find((member) => member !== undefined && member !== null) !== 'function'
}

/** Props that are no values: texts for the person who configures the step. */
const WITHOUT_VALUE = ['alert', 'dir', 'app']

/**
 * Returns the names of the required props that have no value.
 *
 * @param {Record<string, { definition: Dictionary, value: unknown }>} props
 */
function missingProps(props) {
  const isMissing = (/** @type {string} */ name) => {
    const { definition, value } = props[name]
    const { type, optional, hidden, disabled } = definition
    // What declares no type is a default or a note, not a question to the caller.
    if (value !== undefined || typeof type !== 'string' || WITHOUT_VALUE.includes(type))
      return false
    return optional !== true && hidden !== true && disabled !== true && type !== 'any'
  }
  return Object.keys(props).filter(isMissing)
}

/** @type {Record<string, (value: unknown) => boolean>} */
const FITS = {
  string: (value) => typeof value === 'string',
  integer: Number.isInteger,
  boolean: (value) => typeof value === 'boolean',
  object: isObject,
}

/**
 * Returns one sentence for each value that its prop's type does not fit. The step gets it all the same:
 * Pipedream converts nothing either.
 *
 * @param {Record<string, { definition: Dictionary, value: unknown }>} props
 */
function typeWarnings(props) {
  return Object.entries(props).flatMap(([name, { definition, value }]) => {
    const { type } = definition
    if (value === undefined || value === null || typeof type !== 'string') return []
    const isList = type.endsWith('[]')
    const fits = FITS[isList ? type.slice(0, -2) : type]
    if (!fits || (isList ? Array.isArray(value) && value.every(fits) : fits(value))) return []
    return [`prop ${name} is declared as ${type}, its value is ${inspect(value, { depth: 0 })}`]
  })
}

module.exports = { PROVIDED, isProvided, missingProps, typeWarnings }
