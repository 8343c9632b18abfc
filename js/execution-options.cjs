// @ts-check
'use strict'

// The options of `engine.execution()`, checked.

const { invalidArgument } = require('./errors.cjs')
const { emitDepth } = require('./events/subscriptions.cjs')
const { unknown } = require('./suggest.cjs')
const { cut, isRecord } = require('./values.cjs')

/** The options of `engine.execution()`. */
const EXECUTION = [
  ...['workflowId', 'executionId', 'attempt', 'trigger', 'emitDepth', 'traceparent', 'tracestate'],
]

/**
 * @param {unknown} options
 * @returns {import('./execution.cjs').Run}
 */
function checkedExecutionOptions(options) {
  const given = /** @type {Record<string, unknown>} */ (options ?? {})
  const { workflowId, executionId, attempt, emitDepth: depth, traceparent, tracestate } = given
  const other = Object.keys(given).find((name) => !EXECUTION.includes(name))
  if (other !== undefined)
    throw invalidArgument(`engine.execution(): ${unknown('option', other, EXECUTION)}`)
  if (typeof workflowId !== 'string' || workflowId === '') {
    throw invalidArgument('engine.execution(): workflowId must be a text that is not empty')
  }
  if (executionId !== undefined && (typeof executionId !== 'string' || executionId === '')) {
    throw invalidArgument('engine.execution(): executionId must be a text that is not empty')
  }
  if (attempt !== undefined && !isCount(attempt, 1)) {
    throw invalidArgument('engine.execution(): attempt must be a whole number from 1')
  }
  if (depth !== undefined && !isCount(depth, 0)) {
    throw invalidArgument('engine.execution(): emitDepth must be a whole number from 0')
  }
  const trace = traceparent === undefined ? undefined : traceText({ traceparent, tracestate })
  const trigger = given.trigger === undefined ? undefined : triggerText(given.trigger)
  return { workflowId, executionId, attempt, depth: depth ?? emitDepth(), trace, trigger }
}

/**
 * Returns whether a value is a whole number of 32 bits.
 *
 * @param {unknown} value
 * @param {number} least
 * @returns {value is number}
 */
const isCount = (value, least) =>
  typeof value === 'number' && Number.isInteger(value) && value >= least && value < 2 ** 32

/** `traceparent` of version 00, and of later ones, which may go on (W3C Trace Context). */
const TRACEPARENT =
  /^(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(-|$)/

/**
 * Returns the trace of an execution as one text. A malformed trace context is ignored, as its
 * specification requires: it may come from anywhere.
 *
 * @param {{ traceparent: unknown, tracestate?: unknown }} options
 */
function traceText({ traceparent, tracestate }) {
  for (const [name, value] of Object.entries({ traceparent, tracestate })) {
    if (value !== undefined && typeof value !== 'string') {
      throw invalidArgument(`engine.execution(): ${name} must be a text`)
    }
  }
  const parent = /** @type {string} */ (traceparent)
  if (parent.length > 256 || !TRACEPARENT.test(parent)) return undefined
  const state = /** @type {string | undefined} */ (tracestate)
  const usable = state && state.length <= 512 && /^[\x20-\x7e]+$/.test(state)
  return usable ? `${parent}\n${state}` : parent
}

/** Characters of a trigger that the log keeps. */
const MAX_TRIGGER = 500
const TRIGGER = ['method', 'path']

/**
 * Returns a trigger as one text. A long one is cut, and a query is left out: they may come from
 * anywhere, and hold secrets.
 *
 * @param {unknown} trigger
 */
function triggerText(trigger) {
  if (typeof trigger === 'string' && trigger !== '') return cut(trigger, MAX_TRIGGER)
  if (!isRecord(trigger)) {
    throw invalidArgument(
      'engine.execution(): trigger must be a text that is not empty, or { method, path }',
    )
  }
  const other = Object.keys(trigger).find((name) => !TRIGGER.includes(name))
  if (other !== undefined) {
    throw invalidArgument(`engine.execution(): ${unknown('option', other, TRIGGER, 'trigger.')}`)
  }
  const { method, path } = trigger
  if (typeof method !== 'string' || !METHOD.test(method)) {
    throw invalidArgument('engine.execution(): trigger.method must be an HTTP method')
  }
  if (typeof path !== 'string' || path === '') {
    throw invalidArgument('engine.execution(): trigger.path must be a text that is not empty')
  }
  return cut(`${method.toUpperCase()} ${path.replace(/[?#].*$/s, '')}`, MAX_TRIGGER)
}

/** A method of HTTP (RFC 9110), of a reasonable length. */
const METHOD = /^[\w!#$%&'*+.^`|~-]{1,32}$/

module.exports = { checkedExecutionOptions }
