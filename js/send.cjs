// @ts-check
'use strict'

// `$send`: six bound functions that check their argument, snapshot it and hand the snapshot to the
// Rust-side buffer. Both are JavaScript, because reading properties from Rust costs more than the
// whole call does.

const { isObject } = require('./check.cjs')
const { sendError } = require('./errors.cjs')
const { record } = require('./tape.cjs')

/** @type {typeof import('./calls.cjs')} */
let calls

/**
 * Loads what looks after calls that are not the common ones: with the first engine, because by the
 * first of these calls the package may have been replaced on disk.
 */
function loadCalls() {
  calls ??= require('./calls.cjs')
}

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

/** Names that promises, matchers, spies and inspectors read of any object. */
const READ_BY_OTHERS = new Set([
  'then',
  'toJSON',
  'inspect',
  'asymmetricMatch',
  'nodeType',
  'tagName',
  'mock',
  'calls',
  'getMockName',
  'restore',
  'size',
  'length',
  'name',
  'type',
  'message',
  'stack',
])

/**
 * Whether a name may be meant as that of a destination. Others are absent, as on any object.
 *
 * @param {string} name
 */
function looksLikeDestination(name) {
  return /^[a-z][a-z0-9_]*$/i.test(name) && !READ_BY_OTHERS.has(name)
}

/**
 * Where a name leads that is no destination: a function that says which there are.
 *
 * @param {readonly string[]} names
 */
const unknownOf = (names) =>
  new Proxy(Object.prototype, {
    get(target, name, receiver) {
      if (typeof name !== 'string' || name in target || !looksLikeDestination(name)) {
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
 * The `$send` of one step.
 *
 * @param {Native} native
 * @param {import('./engine.cjs').Settings} settings the engine's
 * @param {number} step
 * @param {(call: number, bytes: Buffer | undefined, reason?: string) => void} fill brings the body of
 *   a call that could only be read asynchronously, or says why it cannot be
 * @returns {import('../index.d.ts').Send}
 */
function createSend(native, settings, step, fill) {
  const { strict, maxPayloadBytes, destinations } = settings

  /**
   * @param {number} kind
   * @param {import('./calls.cjs').Call} call
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
    if (size > maxPayloadBytes) throw calls.tooLarge(destination, `${size} bytes or more`)
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
    if (!plain || !record(step, HTTP, config)) keep(HTTP, calls.httpCall(config, strict))
  }

  /**
   * @param {number} kind
   * @param {'s3' | 'sql' | 'sse'} destination
   */
  const method = (kind, destination) => {
    const place = PLACES[destination]
    return (/** @type {any} */ config) => {
      const plain = isPlainNamed(config, place)
      if (!plain || !record(step, kind, config)) keep(kind, calls.namedCall(destination, config))
    }
  }

  // A literal: V8 keeps functions that are assigned to members for as long as old objects live.
  const $send = /** @type {any} */ ({
    __proto__: UNKNOWN,
    http,
    /** @param {unknown} config */
    email: (config) => keep(EMAIL, calls.emailCall(config, maxPayloadBytes)),
    s3: method(S3, 's3'),
    sql: method(SQL, 'sql'),
    sse: method(SSE, 'sse'),
    /** @param {any} event @param {unknown} [channel] */
    emit(event, channel) {
      const plain = isPlainEvent(event, channel)
      if (!plain || !record(step, EMIT, { event, channel }))
        keep(EMIT, calls.emitCall(event, channel))
    },
  })
  if (destinations.size === 0) return $send
  Object.setPrototypeOf($send, unknownOf([...NAMES, ...destinations.keys()]))
  for (const [destination, { number }] of destinations) {
    $send[destination] = (/** @type {any} */ argument) => {
      const plain = isPlain(argument) && !Array.isArray(argument) && !('toJSON' in argument)
      if (!plain || !record(step, number, argument))
        keep(number, calls.customCall(destination, argument), destination)
    }
  }
  return $send
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

module.exports = { createSend, loadCalls, looksLikeDestination, NAMES }
