// @ts-check
'use strict'

// Checks the argument of a `$send` call against the rules of its destination. The decisions of
// Pipedream's checker are the floor: whatever it accepts is accepted here, and a refusal has the form
// of its message.

const { invalidArgument } = require('../errors.cjs')
const { isObject, isRecord, shown, unchecked } = require('../values.cjs')

/** @typedef {'string' | 'object' | 'record' | 'content' | 'url'} Shape */

/**
 * @typedef {object} Rule The rule of one member.
 * @property {Shape} shape
 * @property {boolean} required
 * @property {string[]} path
 * @property {(value: unknown) => unknown} [read] checks the members of the value, and returns what is recorded
 */

/** @type {Record<Shape, (value: unknown) => boolean>} */
const SHAPES = {
  string: (value) => typeof value === 'string',
  object: isObject,
  record: isRecord,
  content: (value) => typeof value === 'string' || isObject(value),
  url: (value) => typeof value === 'string' || isUrl(value),
}

/**
 * @param {Shape} shape
 * @param {...string} path
 * @returns {Rule}
 */
const required = (shape, ...path) => ({ shape, required: true, path })

/**
 * @param {Shape} shape
 * @param {...string} path
 * @returns {Rule}
 */
const optional = (shape, ...path) => ({ shape, required: false, path })

/** Members whose values may be credentials: a refusal does not repeat them. */
const SECRET = ['auth', 'headers', 'params']

/**
 * Returns whether a value is a `URL`, of this realm or of another one.
 *
 * @param {unknown} value
 */
function isUrl(value) {
  if (!isObject(value)) return false
  const tag = unchecked(value, Symbol.toStringTag)
  return tag === 'URL' && typeof unchecked(value, 'href') === 'string'
}

/** The original says nothing after "for". */
const ADVICE = 'it must be an object'

/**
 * Returns the error for a value that a destination does not take.
 *
 * @param {string} name of the destination
 * @param {unknown} value
 * @param {string[]} path
 */
function refusal(name, value, path) {
  const hidden = SECRET.includes(path[0]) && value !== undefined && value !== null
  const text = hidden ? '[redacted]' : shown(value)
  if (path.length === 0)
    return invalidArgument(`$send.${name}: invalid value ${text} for the argument: ${ADVICE}`)
  return invalidArgument(`$send.${name}: invalid value ${text} for ${path.join('.')}`)
}

/**
 * Checks the argument of one call. Returns the members that its destination knows.
 *
 * @param {string} name of the destination
 * @param {Rule[]} rules in the order in which they are checked
 * @param {unknown} config
 * @returns {Record<string, unknown>}
 */
function check(name, rules, config) {
  if (!isRecord(config)) throw refusal(name, config, [])
  /** @type {Record<string, unknown>} */
  const known = {}
  for (const rule of rules) {
    const [key] = rule.path
    const value = config[key]
    apply(name, rule, value)
    if (value !== undefined) known[key] = rule.read ? rule.read(value) : value
  }
  return known
}

/**
 * Throws unless a value is what its rule asks for.
 *
 * @param {string} name of the destination
 * @param {Rule} rule
 * @param {unknown} value
 */
function apply(name, rule, value) {
  if (value === undefined && !rule.required) return
  if (!SHAPES[rule.shape](value)) throw refusal(name, value, rule.path)
}

/**
 * Returns a warning for each member of a call that has no effect.
 *
 * @param {Record<string, string>} ignored the advice, by the member's name
 * @param {object} config
 * @returns {string[]}
 */
function ignoredMembers(ignored, config) {
  return Object.entries(ignored)
    .filter(([key]) => unchecked(config, key) !== undefined)
    .map(([key, advice]) => `\`${key}\` is ignored: ${advice}`)
}

module.exports = { apply, check, ignoredMembers, optional, refusal, required }
