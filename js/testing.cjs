// @ts-check
'use strict'

/**
 * `dollar-send/testing`: runs a step without delivering anything, and returns what it sent.
 *
 * Calls are checked and snapshotted as in production, by an engine in memory that is never asked to
 * deliver: its execution is discarded, and the log has what was recorded. Nothing here knows a test
 * runner.
 */

const { NAMES } = require('./destinations/built-in.cjs')
const { Engine } = require('./engine.cjs')
const { stateOf } = require('./execution.cjs')
const { invalidArgument } = require('./errors.cjs')
const { resolveTarget } = require('./runner/component.cjs')
const { STEP, checkOptions, pick } = require('./runner/options.cjs')
const { attach } = require('./runner/result.cjs')
const { runResolved } = require('./runner/run.cjs')

/** More calls than a step under test makes. */
const ALL = 1_000_000

/** Bytes of a body that are shown: as many as a call may have. */
const MAX_BODY = 10 << 20

/** Options of a recording beside those of a step. */
const OWN = ['workflowId', 'executionId', 'attempt', 'stepName', 'destinations', 'strict']

/** @typedef {import('./runner/options.cjs').Input & import('../types/testing.cjs').RecordOptions} Checked */
/** @typedef {import('./execution.cjs').Execution} Execution */
/** @typedef {ReturnType<Execution['step']>} Step */
/** @typedef {Record<string, unknown[]>} Sent */
/** @typedef {import('../index.d.ts').HttpRequestLog} HttpRequestLog */

/**
 * Runs a step and returns what it sent, by destination, with how it ended.
 *
 * @param {unknown} target
 * @param {unknown} [given]
 */
async function recordStep(target, given = {}) {
  const options = /** @type {Checked} */ (checkOptions('recordStep()', given, [...OWN, ...STEP]))
  const resolved = resolveTarget(target, 'recordStep()')
  const { sent, value } = await record(options, (execution) =>
    runResolved(
      unflushed(execution),
      stateOf(execution),
      options.stepName ?? 'code',
      resolved,
      pick(options, STEP),
    ),
  )
  const result = { ...value, sent }
  if (value.status !== 'threw') return result
  attach(value.error, 'result', result)
  throw value.error
}

/**
 * Calls a function with a `$send` and returns what it sent: for code that gets `$send` or `$` as an
 * argument.
 *
 * @param {(step: Step) => unknown} use
 * @param {unknown} [given]
 */
async function recordSends(use, given = {}) {
  if (typeof use !== 'function') {
    throw invalidArgument('recordSends(): the first argument must be a function')
  }
  const options = /** @type {Checked} */ (checkOptions('recordSends()', given, OWN))
  const { runInStep } = require('./runner/globals.cjs')
  const { sent } = await record(options, async (execution) => {
    const step = execution.step(options.stepName ?? 'code')
    await runInStep(step, () => use(step))
  })
  return sent
}

/**
 * Returns an execution for a step whose `$.flow.suspend()` must not hand anything over.
 *
 * @param {Execution} execution
 * @returns {import('./runner/run.cjs').Running}
 */
function unflushed(execution) {
  const { executionId, workflowId } = execution
  return { executionId, workflowId, step: (name) => execution.step(name) }
}

/**
 * @template T
 * @param {Checked} options
 * @param {(execution: Execution) => Promise<T>} run
 */
async function record({ workflowId = 'p_test', executionId, attempt, destinations, strict }, run) {
  const names = ownNames(destinations)
  const engine = await Engine.open({
    http: { logBodyBytes: MAX_BODY },
    ...(strict === undefined ? {} : { strict }),
  })
  try {
    for (const name of names) engine.destination(name, { deliver() {} })
    const execution = engine.execution({ workflowId, executionId, attempt })
    /** @type {{ value: T } | { error: unknown }} */
    let outcome
    try {
      outcome = { value: await run(execution) }
    } catch (error) {
      outcome = { error }
    }
    const sent = await sentBy(engine, execution, names)
    if ('error' in outcome) throw outcome.error
    return { value: outcome.value, sent }
  } finally {
    await engine.close({ timeoutMs: 0 })
  }
}

/** @param {unknown} destinations @returns {string[]} */
function ownNames(destinations) {
  if (destinations === undefined) return []
  if (Array.isArray(destinations) && destinations.every((name) => typeof name === 'string')) {
    return destinations
  }
  throw invalidArgument('destinations must be a list of names')
}

/**
 * Takes the calls of an execution, which is discarded: none of them is delivered.
 *
 * @param {Engine} engine
 * @param {Execution} execution
 * @param {string[]} names destinations of its own
 */
async function sentBy(engine, execution, names) {
  const { executionId } = execution
  const rows = await engine.deliveries({ executionId, limit: ALL })
  execution.discard()
  /** @type {Sent} */
  const sent = { all: [] }
  for (const name of [...NAMES, ...names]) sent[name] = []
  for (const { destination, request: logged } of rows.reverse()) {
    const request = shownRequest(destination, logged)
    sent.all.push({ destination, request })
    sent[destination].push(request)
  }
  return sent
}

/**
 * Returns a request as it is compared in a test.
 *
 * @param {string} destination
 * @param {object} request
 */
function shownRequest(destination, request) {
  if (destination === 'http') return withData(/** @type {HttpRequestLog} */ (request))
  const isBuiltIn = NAMES.some((name) => name === destination)
  const { truncated, body } = /** @type {Record<string, unknown>} */ (request)
  // The log shows what is no object as its text.
  const isText = !isBuiltIn && truncated === false && typeof body === 'string'
  return isText ? JSON.parse(body) : request
}

/**
 * Returns an HTTP request with its JSON body as `data`.
 *
 * @param {HttpRequestLog} request
 */
function withData(request) {
  const { body, bodyEncoding, headers } = request
  const isJson = /\bjson\b/i.test(headers['content-type'] ?? '')
  if (!isJson || body === undefined || bodyEncoding !== undefined) return request
  try {
    return { ...request, data: JSON.parse(body) }
  } catch {
    return request
  }
}

module.exports = { recordSends, recordStep }
