// @ts-check
'use strict'

// `$send`: bound functions, one for each destination, that check their argument, take its snapshot and
// hand that to the buffer in Rust. What is particular to a destination is in `destinations/`.

const { sendError } = require('./errors.cjs')
const native = require('./native.cjs')
const { isSearching } = require('./recording/plain.cjs')
const { record } = require('./recording/record.cjs')
const { prototypeWith } = require('./unknown-destination.cjs')
const { isObject, unchecked } = require('./values.cjs')

/** @typedef {import('./destinations/index.cjs').Destination} Destination */
/** @typedef {import('./destinations/index.cjs').Call} Call */

/**
 * @typedef {object} Settings What recording a call needs to know of its engine.
 * @property {boolean} strict whether warnings throw
 * @property {number} maxPayloadBytes bytes that one call may have
 * @property {string} [attachmentFolder] the folder whose files mails may attach
 * @property {Map<string, Custom>} destinations those that `engine.destination()` added, by name
 * @property {boolean} lateCallsThrow whether a call after the end of its execution throws
 * @property {import('./runner/services.cjs').Kept} kept what outlives the steps that it runs
 *
 * @typedef {object} Custom
 * @property {Destination} destination
 * @property {number} number by which Rust knows it
 * @property {import('./destinations/jobs.cjs').Deliver} deliver
 *
 * @typedef {object} Recorder What recording a call of one step needs.
 * @property {Settings} settings the engine's
 * @property {number} step
 * @property {(call: number, bytes: Buffer | undefined, reason?: string) => void} fill brings the body of
 *   a call that could only be read asynchronously, or the reason why it cannot be read
 * @property {(destination: string) => void} onLate called for a call after the end of the execution
 */

/** @type {typeof import('./destinations/index.cjs').DESTINATIONS} */
let destinations
/** @type {typeof import('./destinations/index.cjs').sendOf} */
let sendOf
/** @type {typeof import('./recording/snapshot.cjs')} */
let snapshot

/**
 * Loads the destinations: with the first engine, because the package may have been replaced on disk by
 * the time of the first call.
 */
function loadDestinations() {
  if (destinations === undefined) {
    ;({ DESTINATIONS: destinations, sendOf } = require('./destinations/index.cjs'))
  }
  snapshot ??= require('./recording/snapshot.cjs')
}

/**
 * Returns the prototype of a `$send`: its functions throw, for names that are not destinations.
 *
 * @param {string[]} custom the destinations that exist beside those that are built in
 */
const unknownOf = (custom) =>
  prototypeWith((name) => () => {
    const names = [...destinations.map((known) => known.name), ...custom]
    const known = names.map((known) => `$send.${known}`).join(', ')
    throw sendError(
      TypeError,
      'ERR_SEND_INVALID_ARGUMENT',
      `$send.${name} is not a destination. There are: ${known}. engine.destination() adds others`,
    )
  })

/** Between `$send` and that: a prototype that is not a proxy makes objects several times faster. */
const UNKNOWN = Object.create(unknownOf([]))

/**
 * Returns the `$send` of one step.
 *
 * @param {Recorder} recorder
 * @returns {import('../index.d.ts').Send}
 */
function createSend(recorder) {
  const { settings, step } = recorder
  /**
   * @param {Destination} destination
   * @param {number} number
   * @returns {(argument: unknown, second?: unknown) => void}
   */
  const senderOf = (destination, number) => {
    /** @param {unknown} argument */
    const send = (argument) => {
      if (isSearching()) return
      try {
        if (!settings.strict && destination.isPlain(argument)) {
          const text = textOf(argument)
          if (text !== undefined && text.length <= settings.maxPayloadBytes) {
            if (record(step, number, text)) return
          }
        }
        const call = destination.call(argument, settings)
        recordCarefully(recorder, number, destination.name, call)
      } catch (error) {
        logIfLate(recorder, error, number, destination, argument)
      }
    }
    const { argumentOf } = destination
    return argumentOf === undefined ? send : (first, second) => send(argumentOf(first, second))
  }
  const $send = /** @type {import('../index.d.ts').Send} */ (
    sendOf(UNKNOWN, destinations.map(senderOf))
  )
  return settings.destinations.size === 0
    ? $send
    : withCustom($send, settings.destinations, senderOf)
}

/**
 * Adds the destinations that are written in JavaScript.
 *
 * @template {object} Send
 * @param {Send} $send
 * @param {Map<string, Custom>} custom
 * @param {(destination: Destination, number: number) => (argument: unknown) => void} senderOf
 * @returns {Send}
 */
function withCustom($send, custom, senderOf) {
  Object.setPrototypeOf($send, unknownOf([...custom.keys()]))
  const senders = [...custom].map(([name, { destination, number }]) => [
    name,
    senderOf(destination, number),
  ])
  return Object.assign($send, Object.fromEntries(senders))
}

/**
 * Returns the JSON of a plain argument; `undefined` when it cannot be made.
 *
 * @param {unknown} argument
 * @returns {string | undefined}
 */
function textOf(argument) {
  try {
    return JSON.stringify(argument)
  } catch {
    // The error comes again where it is explained.
    return undefined
  }
}

/**
 * Records a call with its warnings and its body.
 *
 * @param {Recorder} recorder
 * @param {number} number the destination's
 * @param {string} name the destination's
 * @param {Call} call
 */
function recordCarefully({ settings, step, fill }, number, name, { text, warnings, body }) {
  if (settings.strict && warnings.length > 0) {
    throw sendError(TypeError, 'ERR_SEND_INVALID_ARGUMENT', `$send.${name}: ${warnings[0]}`)
  }
  // So that nothing huge is copied first; the exact check, of bytes, is the buffer's.
  const size = text.length + (body?.size ?? 0)
  if (size > settings.maxPayloadBytes) throw snapshot.tooLarge(name, `${size} bytes or more`)
  const later = body?.later
  const index = native.recordWith(step, number, text, {
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

/**
 * Logs a call that came after the end of its execution. Throws any other error again, and this one if
 * the engine is to throw it.
 *
 * @param {Recorder} recorder
 * @param {unknown} error
 * @param {number} number the destination's
 * @param {Destination} destination
 * @param {unknown} argument
 */
function logIfLate({ settings, step, onLate }, error, number, destination, argument) {
  if (settings.lateCallsThrow || !isLate(error)) throw error
  onLate(destination.name)
  try {
    native.logLate(step, number, destination.call(argument, settings).text)
  } catch {
    // The engine is closed, or the log has enough of such calls: the warning has to do.
  }
}

/** @param {unknown} error */
const isLate = (error) =>
  isObject(error) && unchecked(error, 'code') === 'ERR_SEND_EXECUTION_COMPLETED'

module.exports = { createSend, loadDestinations }
