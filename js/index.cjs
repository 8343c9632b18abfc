// @ts-check
'use strict'

// The package root: the native classes, completed with what has to be JavaScript.

/** @type {any} */
const binding = require('../binding.cjs')
const { createReceipts } = require('./completion.cjs')
const { destinationsOf } = require('./destination.cjs')
const { invalidArgument } = require('./errors.cjs')
const { addEvents, listenersOf } = require('./events.cjs')
const { optionsText } = require('./options.cjs')
require('./global.cjs')
const { createSend } = require('./send.cjs')
const { emitDepth } = require('./subscribe.cjs')
const { addWarehouse, attachWarehouse } = require('./warehouse.cjs')

const { Engine, Execution } = binding

/** Milliseconds that the main thread waits for deliveries when the process ends. */
const EXIT_FLUSH_MS = 1000

const isMainThread = binding._isMainThread() ?? require('node:worker_threads').isMainThread

const nativeOpen = Engine.open

/** @param {unknown} [options] */
Engine.open = async function open(options) {
  const engine = await nativeOpen(optionsText(options))
  if (engine._strict) STRICT.add(engine)
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

/** Engines in which warnings throw, and executions of theirs. */
const STRICT = new WeakSet()

/** The destinations written in JavaScript that executions have. */
const CUSTOM = new WeakMap()

const nativeExecution = Engine.prototype.execution

/** @param {any} options */
Engine.prototype.execution = function execution(options) {
  const { workflowId, executionId, attempt, depth, trace } = checkedExecutionOptions(options)
  const started = nativeExecution.call(this, workflowId, executionId, attempt, depth, trace)
  if (STRICT.has(this)) STRICT.add(started)
  const custom = destinationsOf(this)
  if (custom) CUSTOM.set(started, custom)
  return started
}

/** @param {unknown} name */
Execution.prototype.step = function step(name) {
  if (typeof name !== 'string' || name === '') {
    throw invalidArgument('execution.step(): the name of the step must be a text that is not empty')
  }
  const $send = createSend(binding, this, name, STRICT.has(this), CUSTOM.get(this))
  return { name, $send, $: { send: $send } }
}

const receipt = createReceipts(binding)

const nativeComplete = Execution.prototype.complete

/**
 * Sealed when it returns; a refusal is a rejection.
 *
 * @param {{ error?: unknown }} [options]
 */
Execution.prototype.complete = async function complete(options) {
  const message = errorMessage(options?.error)
  return receipt(this, (ticket) => nativeComplete.call(this, message, ticket))
}

const nativeFlush = Execution.prototype.flush

Execution.prototype.flush = async function flush() {
  return receipt(this, (ticket) => nativeFlush.call(this, ticket))
}

/**
 * The message of whatever was thrown; it must not throw itself, or calls would be lost.
 *
 * @param {any} error
 */
function errorMessage(error) {
  if (error === undefined || error === null) return undefined
  try {
    return String(error.message ?? error)
  } catch {
    return Object.prototype.toString.call(error)
  }
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
