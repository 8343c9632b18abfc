// @ts-check
'use strict'

// What a `$send` call may be given. The decisions of the original's checker are the floor: whatever
// it accepts is accepted here, and a refusal has the form of its message.

const { types } = require('node:util')

const { invalidArgument } = require('./errors.cjs')

/** @typedef {'string' | 'object' | 'record' | 'content' | 'url'} Shape */
/** @typedef {{ shape: Shape, required: boolean, path: string[] }} Rule */

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

/** The rules of each destination, in the order in which they are checked. */
const RULES = {
  http: [
    optional('string', 'method'),
    required('url', 'url'),
    optional('record', 'auth'),
    optional('content', 'data'),
    optional('object', 'headers'),
    optional('object', 'params'),
  ],
  email: [optional('string', 'html'), optional('string', 'subject'), optional('string', 'text')],
  s3: [required('string', 'bucket'), required('content', 'payload'), optional('string', 'prefix')],
  sql: [required('content', 'payload'), required('string', 'table')],
  sse: [required('string', 'channel'), required('content', 'payload')],
}

/** The one optional member that the original never checked: what is no boolean has no effect. */
const FLAG = 'include_collaborators'

const AUTH_RULES = [required('string', 'auth', 'password'), required('string', 'auth', 'username')]

/** The members whose values may be credentials: a refusal does not repeat them. */
const SECRET = ['auth', 'headers', 'params']

/**
 * Keys that people give in the belief that they do something.
 * @type {Partial<Record<keyof typeof RULES, Record<string, string>>>}
 */
const IGNORED = {
  http: {
    body: 'the request body goes into `data`',
    json: 'an object in `data` is sent as JSON',
    form: 'send a URLSearchParams as `data`',
    validateStatus: 'only a 2xx response counts as delivered',
  },
  email: {
    body: 'the text goes into `text` or `html`',
  },
}

/**
 * @param {unknown} value
 * @returns {value is object}
 */
function isObject(value) {
  return typeof value === 'object' && value !== null
}

/** Whether a value is a `URL`, of this realm or of another one. @param {unknown} value */
function isUrl(value) {
  if (!isObject(value)) return false
  const tag = unchecked(value, /** @type {any} */ (Symbol.toStringTag))
  return tag === 'URL' && typeof unchecked(value, 'href') === 'string'
}

/**
 * @param {unknown} value
 * @returns {value is object}
 */
function isRecord(value) {
  return isObject(value) && !Array.isArray(value)
}

/**
 * @param {string} name
 * @param {unknown} value
 * @param {string[]} path
 */
function refusal(name, value, path) {
  const hidden = SECRET.includes(path[0]) && value !== undefined && value !== null
  const text = hidden ? '[redacted]' : shown(value)
  return invalidArgument(`$send.${name}: invalid value ${text} for ${path.join('.')}`)
}

/**
 * A value as the original's messages show it, cut to a reasonable length.
 * @param {unknown} value
 */
function shown(value) {
  let text = 'a value that cannot be shown'
  try {
    text = String(value)
  } catch {
    if (isObject(value) && !types.isProxy(value)) text = Object.prototype.toString.call(value)
  }
  return text.length > 100 ? `${text.slice(0, 100)}…` : text
}

/**
 * Checks the argument of one call and answers the members that its destination knows.
 *
 * @param {keyof typeof RULES} name
 * @param {unknown} config
 * @returns {Record<string, unknown>}
 */
function check(name, config) {
  if (!isRecord(config)) throw refusal(name, config, [])
  const source = /** @type {Record<string, unknown>} */ (config)
  /** @type {Record<string, unknown>} */
  const known = {}
  for (const rule of RULES[name]) {
    const key = rule.path[0]
    const value = source[key]
    apply(name, rule, value)
    if (value === undefined) continue
    known[key] = key === 'auth' ? checkAuth(/** @type {Record<string, unknown>} */ (value)) : value
  }
  if (name === 'email' && flag(source) === true) known[FLAG] = true
  return known
}

/** @param {Record<string, unknown>} auth */
function checkAuth({ username, password }) {
  apply('http', AUTH_RULES[0], password)
  apply('http', AUTH_RULES[1], username)
  return { username, password }
}

/**
 * @param {string} name
 * @param {Rule} rule
 * @param {unknown} value
 */
function apply(name, rule, value) {
  if (value === undefined && !rule.required) return
  if (!SHAPES[rule.shape](value)) throw refusal(name, value, rule.path)
}

/**
 * What a key holds that the original never looks at: reading it must not be able to fail.
 *
 * @param {object} source
 * @param {string} key
 * @returns {unknown}
 */
function unchecked(source, key) {
  try {
    return /** @type {Record<string, unknown>} */ (source)[key]
  } catch {
    return undefined
  }
}

/** @param {object} source */
const flag = (source) => unchecked(source, FLAG)

/**
 * What is odd about a call that is accepted, one sentence each.
 *
 * @param {keyof typeof RULES} name
 * @param {object} config
 * @returns {string[]}
 */
function oddities(name, config) {
  const ignored = Object.entries(IGNORED[name] ?? {})
    .filter(([key]) => unchecked(config, key) !== undefined)
    .map(([key, advice]) => `\`${key}\` is ignored: ${advice}`)
  if (name === 'email' && !['boolean', 'undefined'].includes(typeof flag(config))) {
    ignored.push(`\`${FLAG}\` is ignored: it is not a boolean`)
  }
  return ignored
}

module.exports = { check, isObject, oddities, refusal, shown, unchecked }
