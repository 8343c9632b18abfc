// @ts-check
'use strict'

// `$send`: six bound functions that check their argument, snapshot it and hand the snapshot to the
// Rust-side buffer. Both are JavaScript, because reading properties from Rust costs more than the
// whole call does.

const { check, isObject, oddities, refusal, unchecked } = require('./check.cjs')
const { emailCall } = require('./email-call.cjs')
const { sendError } = require('./errors.cjs')
const { bodyOf, bytesOf, textOf, tooLarge } = require('./snapshot.cjs')
const { record } = require('./tape.cjs')

/** The destinations in the order of their numbers: `destinations::Kind` in Rust. */
const NAMES = /** @type {const} */ (['http', 'email', 's3', 'sql', 'sse', 'emit'])
const [HTTP, EMAIL, S3, SQL, SSE, EMIT] = NAMES.keys()

/**
 * @typedef {object} Native the parts of the addon that only this package uses
 * @property {(tape: Float64Array) => (text: string) => boolean} _recorder
 * @property {(keys: string[]) => number} _shape
 * @property {(step: number, kind: number, text: string, extras: Extras) => number} _recordWith
 *
 * @typedef {object} Extras what a call has beside its text
 * @property {string[]} warnings
 * @property {Buffer | undefined} bytes
 * @property {string | undefined} contentType
 * @property {boolean} later whether the bytes follow through `_fill`
 */

/**
 * Where a name leads that is no destination: a function that says which there are.
 *
 * @param {readonly string[]} names
 */
const unknownOf = (names) =>
  new Proxy(Object.prototype, {
    get(target, name, receiver) {
      if (typeof name !== 'string' || name in target || name === 'then' || name === 'toJSON') {
        return Reflect.get(target, name, receiver)
      }
      return () => {
        const known = names.map((known) => `$send.${known}`).join(', ')
        throw sendError(
          TypeError,
          'ERR_SEND_INVALID_ARGUMENT',
          `$send.${name} is not a destination. There are: ${known}. engine.destination() adds others`,
        )
      }
    },
  })

/** What leads from `$send` to that; a prototype that is no proxy itself makes objects several times faster. */
const UNKNOWN = Object.create(unknownOf(NAMES))

/**
 * @typedef {object} Call One checked call, snapshotted.
 * @property {string} text
 * @property {string[]} warnings
 * @property {import('./snapshot.cjs').Body} [body]
 */

/**
 * The `$send` of one step.
 *
 * @param {Native} native
 * @param {import('./handle.cjs').Handle} handle the engine's
 * @param {number} step
 * @param {(call: number, bytes: Buffer | undefined, reason?: string) => void} fill brings the body of
 *   a call that could only be read asynchronously, or says why it cannot be
 * @returns {import('../index.d.ts').Send}
 */
function createSend(native, handle, step, fill) {
  const { strict, maxPayloadBytes, destinations } = handle

  /**
   * @param {number} kind
   * @param {Call} call
   * @param {string} [destination]
   */
  function keep(kind, { text, warnings, body }, destination = NAMES[kind]) {
    if (strict && warnings.length > 0) {
      throw sendError(
        TypeError,
        'ERR_SEND_INVALID_ARGUMENT',
        `$send.${destination}: ${warnings[0]}`,
      )
    }
    // So that nothing huge is copied first; the exact check, of bytes, is the buffer's.
    const size = text.length + (body?.size ?? 0)
    if (size > maxPayloadBytes) throw tooLarge(destination, `${size} bytes or more`)
    const later = body?.later
    const index = native._recordWith(step, kind, text, {
      warnings,
      bytes: body?.bytes,
      contentType: body?.contentType,
      later: later !== undefined,
    })
    later?.then(
      (bytes) => fill(index, Buffer.from(bytes)),
      (error) => fill(index, undefined, String(error?.message ?? error)),
    )
  }

  /** @param {any} config */
  function http(config) {
    const plain = !strict && isPlainHttp(config)
    if (!plain || !record(step, HTTP, config)) keep(HTTP, httpCall(config, strict))
  }

  /**
   * @param {number} kind
   * @param {'s3' | 'sql' | 'sse'} destination
   */
  const method = (kind, destination) => {
    const place = PLACES[destination]
    return (/** @type {any} */ config) => {
      const plain = isPlainNamed(config, place)
      if (!plain || !record(step, kind, config)) keep(kind, namedCall(destination, config))
    }
  }

  // A literal: V8 keeps functions that are assigned to members for as long as old objects live.
  const $send = /** @type {any} */ ({
    __proto__: UNKNOWN,
    http,
    /** @param {unknown} config */
    email: (config) => keep(EMAIL, emailCall(config, maxPayloadBytes)),
    s3: method(S3, 's3'),
    sql: method(SQL, 'sql'),
    sse: method(SSE, 'sse'),
    /** @param {any} event @param {unknown} [channel] */
    emit(event, channel) {
      const plain = isPlainEvent(event, channel)
      if (!plain || !record(step, EMIT, { event, channel })) keep(EMIT, emitCall(event, channel))
    },
  })
  if (destinations.size === 0) return $send
  Object.setPrototypeOf($send, unknownOf([...NAMES, ...destinations.keys()]))
  for (const [destination, { number }] of destinations) {
    $send[destination] = (/** @type {any} */ argument) => {
      const plain = isPlain(argument) && !Array.isArray(argument)
      if (!plain || !record(step, number, argument))
        keep(number, customCall(destination, argument), destination)
    }
  }
  return $send
}

/**
 * @param {any} config
 * @param {boolean} strict
 * @returns {Call}
 */
function httpCall(config, strict) {
  const known = check('http', config)
  const timeout = unchecked(config, 'timeout')
  const warnings = oddities('http', config)
  if (strict) warnings.push(...deliveryOddities(known, timeout))
  const body = bodyOf(known.data)
  if (body) delete known.data
  if (typeof timeout === 'number') known.timeout = timeout
  else if (timeout !== undefined && timeout !== null) {
    warnings.push('the timeout is ignored: it is not a number of milliseconds')
  }
  const retry = retryOf(unchecked(config, 'retry'), warnings)
  if (retry !== undefined) known.retry = retry
  return { text: textOf('http', known, warnings), warnings, body }
}

/**
 * What a call says of its retries, as far as it is text; the delivery reads it. The original knows
 * no such key, so nothing in it is an error.
 *
 * @param {unknown} retry
 * @param {string[]} warnings
 */
function retryOf(retry, warnings) {
  if (retry === undefined || retry === null) return undefined
  try {
    return JSON.parse(JSON.stringify(retry))
  } catch {
    warnings.push('`retry` is ignored: it is not a value that JSON holds')
    return undefined
  }
}

/** The member of a call that says where its payload goes. */
const PLACES = /** @type {const} */ ({ s3: 'bucket', sql: 'table', sse: 'channel' })

/**
 * Whether a call is the common one, as for `http`.
 *
 * @param {any} config
 * @param {'bucket' | 'table' | 'channel'} place
 */
function isPlainNamed(config, place) {
  if (typeof config !== 'object' || config === null) return false
  const { payload, prefix } = config
  return (
    Object.getPrototypeOf(config) === Object.prototype &&
    typeof config[place] === 'string' &&
    (prefix === undefined || typeof prefix === 'string') &&
    (typeof payload === 'string' || isPlain(payload)) &&
    !('toJSON' in config)
  )
}

/**
 * A call of the other destinations, checked and snapshotted with care.
 *
 * @param {'s3' | 'sql' | 'sse'} name
 * @param {any} config
 * @returns {Call}
 */
function namedCall(name, config) {
  const known = check(name, config)
  const warnings = oddities(name, config)
  const bytes = bytesOf(known.payload)
  if (bytes) known.payload = bytes.toString('base64')
  return { text: textOf(name, known, warnings), warnings }
}

/**
 * A call of a destination that is written in JavaScript: its function gets the argument as JSON says it.
 *
 * @param {string} name
 * @param {any} argument
 * @returns {Call}
 */
function customCall(name, argument) {
  if (!isObject(argument) || Array.isArray(argument)) throw refusal(name, argument, [])
  /** @type {string[]} */
  const warnings = []
  return { text: textOf(name, /** @type {any} */ (argument), warnings), warnings }
}

/**
 * v1: `emit({ raw_event })`, v2: `emit(event, channel?)`.
 *
 * @param {unknown} event
 * @param {unknown} channel
 * @returns {Call}
 */
function emitCall(event, channel) {
  if (!isObject(event)) throw refusal('emit', event, [])
  /** @type {string[]} */
  const warnings = []
  const name = isObject(channel) ? unchecked(channel, 'name') : channel
  if (!['string', 'undefined'].includes(typeof name)) {
    warnings.push('the channel is ignored: it is neither a text nor an object with a `name`')
  }
  const known = {
    event: unwrapped(event, warnings),
    channel: typeof name === 'string' ? name : undefined,
  }
  return { text: textOf('emit', known, warnings), warnings }
}

/**
 * The event in the argument of `emit`. Of the keys beside `raw_event` the original knows `event`
 * alone, and never looks at the others.
 *
 * @param {{ raw_event?: unknown, event?: unknown }} given
 * @param {string[]} warnings
 */
function unwrapped(given, warnings) {
  const { raw_event: raw } = given
  if (!isObject(raw)) return given
  const { event } = given
  if (event !== undefined && !isObject(event)) return given
  const ignored = Object.keys(given).filter((key) => !['raw_event', 'event'].includes(key))
  warnings.push(...ignored.map((key) => `\`${key}\` is ignored: it stands beside \`raw_event\``))
  return event === undefined ? raw : { raw_event: raw, event }
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
    // Keys that nobody checks are not read: a getter behind one may throw.
    !('body' in config || 'json' in config || 'form' in config) &&
    !('validateStatus' in config || 'toJSON' in config)
  )
}

/**
 * Whether an event is the common one, which stands for itself.
 *
 * @param {any} event
 * @param {unknown} channel
 */
function isPlainEvent(event, channel) {
  const named = channel === undefined || typeof channel === 'string'
  return named && isPlain(event) && !isObject(event.raw_event)
}

/** @param {unknown} value */
function isPlain(value) {
  if (typeof value !== 'object' || value === null) return false
  const prototype = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === Array.prototype
}

/** The longest `timeout` that a call may ask for, in milliseconds: the bound of the delivery. */
const MAX_TIMEOUT_MS = 300_000

/**
 * What the delivery would warn of or fail for, where warnings are errors.
 *
 * @param {Record<string, unknown>} known
 * @param {unknown} timeout
 * @returns {string[]}
 */
function deliveryOddities({ method, url }, timeout) {
  const found = []
  if (!method) found.push('the method is missing')
  if (/[a-z]/.test(String(method ?? ''))) found.push('the method is not in upper case')
  if (typeof url === 'string' && !URL.canParse(url)) found.push('`url` does not parse')
  if (typeof timeout === 'number' && !(timeout >= 1 && timeout <= MAX_TIMEOUT_MS)) {
    found.push(`the timeout is not from 1 to ${MAX_TIMEOUT_MS} milliseconds`)
  }
  return found
}

module.exports = { createSend, NAMES }
