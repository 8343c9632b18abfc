// @ts-check
'use strict'

// The package root: the native classes, completed with what has to be JavaScript.

const binding = require('./native.cjs')
const { invalidArgument } = require('./errors.cjs')
const { addEvents, listenersOf } = require('./events.cjs')
const { Execution, MAKER } = require('./execution.cjs')
const { optionsText } = require('./options.cjs')
require('./global.cjs')
const { addHandle } = require('./handle.cjs')
const { loadCalls } = require('./send.cjs')
const { emitDepth } = require('./subscribe.cjs')
const { addWarehouse, attachWarehouse } = require('./warehouse.cjs')

const { Engine } = binding

/** Milliseconds that the main thread waits for deliveries when the process ends. */
const EXIT_FLUSH_MS = 1000

const isMainThread = binding._isMainThread() ?? require('node:worker_threads').isMainThread

const nativeOpen = Engine.open

/** @param {unknown} [options] */
Engine.open = async function open(options) {
  loadCalls()
  const engine = await nativeOpen(optionsText(options))
  addHandle(engine)
  attachWarehouse(engine, listenersOf)
  return engine
}

process.on('exit', flushAtExit)
binding._watchExit(isMainThread)

/**
 * Best effort: what is not delivered by then is lost with the memory it is in. The main thread
 * waits for all; a worker only in a process whose main thread does not know this package.
 */
function flushAtExit() {
  const left = binding._flushAtExit(EXIT_FLUSH_MS, isMainThread)
  if (left > 0) {
    process.stderr.write(
      `dollar-send: the process ends with ${left} deliveries not made; await engine.close() before it does\n`,
    )
  }
}

Engine.prototype[Symbol.asyncDispose] = async function dispose() {
  await this.close()
}

/** @param {any} options */
Engine.prototype.execution = function execution(options) {
  return new Execution(MAKER, this, checkedExecutionOptions(options))
}

/** @param {any} options */
function checkedExecutionOptions(options) {
  const { workflowId, executionId, attempt, emitDepth: depth, traceparent } = options ?? {}
  if (typeof workflowId !== 'string' || workflowId === '') {
    throw invalidArgument('engine.execution(): workflowId must be a text that is not empty')
  }
  if (executionId !== undefined && (typeof executionId !== 'string' || executionId === '')) {
    throw invalidArgument('engine.execution(): executionId must be a text that is not empty')
  }
  if (attempt !== undefined && !(Number.isInteger(attempt) && attempt >= 1 && attempt < 2 ** 32)) {
    throw invalidArgument('engine.execution(): attempt must be a whole number from 1')
  }
  if (depth !== undefined && !(Number.isInteger(depth) && depth >= 0 && depth < 2 ** 32)) {
    throw invalidArgument('engine.execution(): emitDepth must be a whole number from 0')
  }
  const trace = traceparent === undefined ? undefined : traceText(options)
  return { workflowId, executionId, attempt, depth: depth ?? emitDepth(), trace }
}

/** `traceparent` of version 00, and of later ones, which may go on (W3C Trace Context). */
const TRACEPARENT =
  /^(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(-|$)/

/**
 * The trace of an execution as one text. What is no trace context is ignored, as its specification
 * asks for: it may come from anywhere.
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

addEvents(Engine)
addWarehouse(Engine)

/**
 * Runs one step. Its module is loaded by the first call: a runner of its own needs none of it.
 *
 * @param {Parameters<import('./run-step.cjs').runStep>} args
 */
function runStep(...args) {
  return require('./run-step.cjs').runStep(...args)
}

module.exports = { Engine, Execution, runStep }
