// @ts-check
'use strict'

// `$send`: six bound functions that check their argument, snapshot it as text and hand the text to
// the Rust-side buffer. The check and JSON.stringify are JavaScript because that is what makes a
// call cost little more than JSON.stringify alone: reading properties from Rust costs more than the
// whole call does.

const { check, isObject, oddities, refusal } = require('./check.cjs')
const { sendError } = require('./errors.cjs')
const { bodyOf, textOf, tooLarge } = require('./snapshot.cjs')

/** The destinations in the order of their numbers: `destinations::Kind` in Rust. */
const NAMES = /** @type {const} */ (['http', 'email', 's3', 'sql', 'sse', 'emit'])
const [HTTP, EMAIL, S3, SQL, SSE, EMIT] = NAMES.keys()

/**
 * @typedef {(kind: number, text: string, warnings?: string[], bytes?: Buffer, contentType?: string, later?: boolean) => number} Record
 * @typedef {object} Native the parts of the native `Execution` that only this package uses
 * @property {(step: string) => Record} _recorder
 * @property {(index: number, bytes: Buffer | undefined, reason?: string) => void} _fill
 * @property {boolean} _strict
 * @property {number} _maxPayloadBytes
 */

/** Where a name leads that is no destination: a function that says which there are. */
const UNKNOWN = new Proxy(Object.prototype, {
  get(target, name, receiver) {
    if (typeof name !== 'string' || name in target || name === 'then' || name === 'toJSON') {
      return Reflect.get(target, name, receiver)
    }
    return () => {
      throw sendError(
        TypeError,
        'ERR_SEND_INVALID_ARGUMENT',
        `$send.${name} is not a destination. There are: ${NAMES.map((known) => `$send.${known}`).join(', ')}`,
      )
    }
  },
})

/**
 * The `$send` of one step.
 *
 * @param {Native} execution
 * @param {string} step
 * @returns {import('../index.d.ts').Send}
 */
function createSend(execution, step) {
  const record = execution._recorder(step)
  const limit = execution._maxPayloadBytes
  const strict = execution._strict

  /**
   * Records a text. The length is checked here so that a huge string is not copied first; the
   * exact check, in bytes, is the buffer's.
   *
   * @param {number} kind
   * @param {string} text
   */
  function recordText(kind, text) {
    if (text.length > limit) throw tooLarge(NAMES[kind], `${text.length} characters`)
    record(kind, text)
  }

  /**
   * @param {number} kind
   * @param {string} text
   * @param {string[]} warnings
   * @param {import('./snapshot.cjs').Body} [body]
   */
  function recordWith(kind, text, warnings, body) {
    if (strict && warnings.length > 0) {
      throw sendError(TypeError, 'ERR_SEND_INVALID_ARGUMENT', `$send.${NAMES[kind]}: ${warnings[0]}`)
    }
    const size = Math.max(text.length, body?.bytes?.length ?? 0)
    if (size > limit) throw tooLarge(NAMES[kind], `${size} bytes`)
    const later = body?.later
    const index = record(kind, text, warnings, body?.bytes, body?.contentType, later !== undefined)
    later?.then(
      (bytes) => execution._fill(index, Buffer.from(bytes)),
      (error) => execution._fill(index, undefined, String(error?.message ?? error)),
    )
  }

  /** @param {any} config */
  function http(config) {
    if (!strict && isPlainHttp(config)) {
      const text = plainText(config)
      if (text !== undefined) return recordText(HTTP, text)
    }
    const known = check('http', config)
    const warnings = [...oddities('http', config), ...urlOddities(strict, known.url)]
    const body = bodyOf(known.data)
    if (body) delete known.data
    if (typeof config.timeout === 'number') known.timeout = config.timeout
    recordWith(HTTP, textOf('http', known), warnings, body)
  }

  /**
   * The other destinations have no fast path of their own: they check and snapshot.
   *
   * @param {number} kind
   * @param {'email' | 's3' | 'sql' | 'sse'} name
   */
  function method(kind, name) {
    return (/** @type {unknown} */ config) => {
      const known = check(name, config)
      for (const key of ['payload']) {
        const bytes = bodyOf(known[key])?.bytes
        if (bytes) known[key] = bytes.toString('base64')
      }
      const warnings = oddities(name, config)
      recordWith(kind, textOf(name, known), warnings)
    }
  }

  /**
   * v1: `emit({ raw_event })`, v2: `emit(event, channel?)`. An object whose only known key is
   * `raw_event` is unwrapped.
   *
   * @param {any} event
   * @param {any} [channel]
   */
  function emit(event, channel) {
    if (!isObject(event)) throw refusal('emit', event, [])
    const { raw_event: raw } = /** @type {{ raw_event?: unknown }} */ (event)
    const wrapped = isObject(raw) && Object.keys(event).every((key) => key === 'raw_event' || key === 'event')
    const name = typeof channel === 'string' ? channel : channel?.name
    recordText(EMIT, textOf('emit', { event: wrapped ? raw : event, channel: name }))
  }

  return Object.assign(Object.create(UNKNOWN), {
    http,
    email: method(EMAIL, 'email'),
    s3: method(S3, 's3'),
    sql: method(SQL, 'sql'),
    sse: method(SSE, 'sse'),
    emit,
  })
}

/**
 * Whether a call is the common one: a plain object whose members are all of the right type, with
 * nothing in it that JSON.stringify would turn into something else at the first level.
 *
 * @param {any} config
 */
function isPlainHttp(config) {
  if (typeof config !== 'object' || config === null) return false
  const { data, headers, params } = config
  return (
    Object.getPrototypeOf(config) === Object.prototype &&
    typeof config.url === 'string' &&
    typeof config.method === 'string' &&
    (data === undefined || typeof data === 'string' || isPlain(data)) &&
    (headers === undefined || isPlain(headers)) &&
    (params === undefined || isPlain(params)) &&
    config.auth === undefined &&
    config.body === undefined &&
    config.json === undefined &&
    config.form === undefined &&
    config.validateStatus === undefined
  )
}

/** @param {unknown} value */
function isPlain(value) {
  if (typeof value !== 'object' || value === null) return false
  const prototype = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === Array.prototype
}

/**
 * The whole argument as text, or nothing when the careful way has to be taken: something is in it
 * that cannot be snapshotted (it may be an ignored key), or that JSON.stringify may have lost.
 *
 * @param {object} config
 */
function plainText(config) {
  let text
  try {
    text = JSON.stringify(config)
  } catch {
    return undefined
  }
  return text === undefined || text.includes('{}') ? undefined : text
}

/**
 * A URL that does not parse is a failed delivery, and an error only where warnings are.
 *
 * @param {boolean} strict
 * @param {unknown} url
 */
function urlOddities(strict, url) {
  return strict && typeof url === 'string' && !URL.canParse(url) ? ['`url` does not parse'] : []
}

module.exports = { createSend, NAMES }
