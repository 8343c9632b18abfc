// @ts-check
'use strict'

// What a `$send` call may be given. The decisions of the original's checker are the floor: whatever
// it accepts is accepted here, and a refusal has the form of its message.

const { invalidArgument } = require('./errors.cjs')

/** @typedef {'string' | 'boolean' | 'object' | 'content' | 'url' | 'auth'} Shape */
/** @typedef {{ shape: Shape, required: boolean, path: string[] }} Rule */

/** @type {Record<Shape, (value: unknown) => boolean>} */
const SHAPES = {
  string: (value) => typeof value === 'string',
  boolean: (value) => typeof value === 'boolean',
  object: isObject,
  content: (value) => typeof value === 'string' || isObject(value),
  url: (value) => typeof value === 'string' || value instanceof URL,
  auth: isObject,
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
    optional('auth', 'auth'),
    optional('content', 'data'),
    optional('object', 'headers'),
    optional('object', 'params'),
  ],
  email: [
    optional('string', 'html'),
    optional('string', 'subject'),
    optional('string', 'text'),
    optional('boolean', 'include_collaborators'),
  ],
  s3: [required('string', 'bucket'), required('content', 'payload'), optional('string', 'prefix')],
  sql: [required('content', 'payload'), required('string', 'table')],
  sse: [required('string', 'channel'), required('content', 'payload')],
}

const AUTH_RULES = [required('string', 'auth', 'password'), required('string', 'auth', 'username')]

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
    to: 'mail goes to the address in the configuration',
    cc: 'mail goes to the address in the configuration',
    bcc: 'mail goes to the address in the configuration',
    replyTo: 'mail goes out from the address in the configuration',
    from: 'mail goes out from the address in the configuration',
    attachments: 'attachments are not sent',
  },
}

/**
 * @param {unknown} value
 * @returns {value is object}
 */
function isObject(value) {
  return typeof value === 'object' && value !== null
}

/**
 * @param {string} name
 * @param {unknown} value
 * @param {string[]} path
 */
function refusal(name, value, path) {
  return invalidArgument(`$send.${name}: invalid value ${shown(value)} for ${path.join('.')}`)
}

/**
 * A value as the original's messages show it, cut to a reasonable length.
 * @param {unknown} value
 */
function shown(value) {
  let text
  try {
    text = String(value)
  } catch {
    text = Object.prototype.toString.call(value)
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
  if (!isObject(config)) throw refusal(name, config, [])
  const source = /** @type {Record<string, unknown>} */ (config)
  /** @type {Record<string, unknown>} */
  const known = {}
  for (const rule of RULES[name]) {
    const key = rule.path[0]
    const value = source[key]
    apply(name, rule, value)
    if (value !== undefined) known[key] = value
  }
  if (name === 'http' && known.auth !== undefined) {
    known.auth = checkAuth(/** @type {Record<string, unknown>} */ (known.auth))
  }
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
 * What is odd about a call that is accepted, one sentence each.
 *
 * @param {keyof typeof RULES} name
 * @param {unknown} config
 * @returns {string[]}
 */
function oddities(name, config) {
  const ignored = IGNORED[name]
  if (!ignored) return []
  const source = /** @type {Record<string, unknown>} */ (config)
  return Object.entries(ignored)
    .filter(([key]) => source[key] !== undefined)
    .map(([key, advice]) => `\`${key}\` is ignored: ${advice}`)
}

module.exports = { check, isObject, oddities, refusal, shown }
