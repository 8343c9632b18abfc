// @ts-check
'use strict'

/**
 * Runs steps from the beginning of an execution to its completion hook, which fires however a step ends.
 */

const { invalidArgument } = require('../errors.cjs')
const { stateOf } = require('../execution.cjs')
const { memberOf } = require('../values.cjs')
const { resolveTarget } = require('./component.cjs')
const { HOST, RUN, STEP, checkName, checkOptions, pick, shown } = require('./options.cjs')
const { attach, completeFailed } = require('./result.cjs')
const { runResolved } = require('./run.cjs')
const { isObject } = require('./steps.cjs')

/** @typedef {import('./run.cjs').Execution} Execution */
/** @typedef {{ execution(options: unknown): Execution }} Engine */
/** @typedef {import('./options.cjs').Input} Input */
/** @typedef {import('./run.cjs').Result} Result */
/** @typedef {import('./component.cjs').Target} Target */

/** The name of a step whose caller gives none: Pipedream's own name for a first code cell. */
const DEFAULT_STEP_NAME = 'code'

/**
 * Runs one step and fires the completion hook. See `index.d.ts` for what callers are promised.
 *
 * @param {Engine} engine
 * @param {unknown} target
 * @param {unknown} given
 */
async function runStep(engine, target, given) {
  const options = checkOptions('runStep()', given, ['workflowId', 'stepName', ...RUN, ...STEP])
  checkName('runStep(): workflowId', options.workflowId)
  const { stepName } = options
  const name =
    stepName === undefined ? DEFAULT_STEP_NAME : checkName('runStep(): stepName', stepName)
  const resolved = resolveTarget(target)
  const execution = engine.execution(pick(options, ['workflowId', ...RUN]))
  const result = await orDiscard(execution, () =>
    runResolved(execution, stateOf(execution), name, resolved, pick(options, STEP)),
  )
  if (result.status !== 'threw') {
    const receipt = await execution.complete()
    return {
      ...result,
      executionId: result.executionId ?? receipt?.executionId,
      receipt,
      execution,
    }
  }
  const receipt = await completeFailed(execution, result.error)
  attach(result.error, 'result', { ...result, receipt, execution })
  throw result.error
}

/**
 * Runs something in an execution that nothing was recorded in. Discards it when that is refused, so
 * that garbage collection does not warn of a forgotten execution.
 *
 * @template T
 * @param {Execution} execution
 * @param {() => Promise<T>} run
 */
async function orDiscard(execution, run) {
  try {
    return await run()
  } catch (error) {
    execution.discard()
    throw error
  }
}

/**
 * Runs a function with an execution, and completes that when the function has ended.
 *
 * @template {Pick<Execution, 'complete'>} Run
 * @template T
 * @param {{ execution(options: unknown): Run }} engine
 * @param {unknown} options
 * @param {(execution: Run) => T | Promise<T>} run
 */
async function runExecution(engine, options, run) {
  if (typeof run !== 'function') {
    throw invalidArgument('engine.run(): the second argument must be a function')
  }
  const execution = engine.execution(options)
  let value
  try {
    value = await run(execution)
  } catch (thrown) {
    await completeFailed(execution, thrown)
    throw thrown
  }
  try {
    await execution.complete()
  } catch (error) {
    // The function completed or discarded it itself.
    if (memberOf(error, 'code') !== 'ERR_SEND_EXECUTION_COMPLETED') throw error
  }
  return value
}

/**
 * @typedef {object} PlannedStep
 * @property {string} name
 * @property {Target} target
 * @property {Input} own the options of this step
 */

/** The options of one step of a workflow. */
const OWN = ['props', 'auths', 'timeoutMs']

/**
 * Runs the steps of a workflow in order: one execution, one receipt. Stops at the first step that does
 * not just return.
 *
 * @param {Engine} engine
 * @param {unknown} given the workflow
 * @param {unknown} [event]
 */
async function runWorkflow(engine, given, event = {}) {
  const known = ['id', 'steps', 'auths', ...RUN, ...HOST]
  const workflow = checkOptions('runWorkflow()', given, known)
  checkName('runWorkflow(): id', workflow.id)
  const planned = plannedSteps(workflow.steps)
  const execution = engine.execution({ workflowId: workflow.id, ...pick(workflow, RUN) })
  const shared = { ...pick(workflow, [...HOST, 'auths']), event }
  /** @type {Record<string, Result>} */
  const results = {}
  /** @type {Record<string, Result['exports']>} */
  const exports = {}
  /** @type {Result | undefined} */
  let last
  try {
    for (const { name, target, own } of planned) {
      const options = { ...shared, ...own, steps: { ...exports } }
      last = await runResolved(execution, stateOf(execution), name, target, options)
      results[name] = last
      exports[name] = last.exports
      if (last.status !== 'returned') break
    }
  } catch (refusal) {
    // A missing prop, for one: what the steps before it recorded is delivered.
    await completeFailed(execution, refusal)
    throw refusal
  }
  const outcome = outcomeOf(execution, results, exports, /** @type {Result} */ (last))
  const receipt =
    outcome.status === 'threw'
      ? await completeFailed(execution, outcome.error)
      : await execution.complete()
  return { ...outcome, receipt }
}

/**
 * @param {Execution} execution
 * @param {Record<string, Result>} results
 * @param {Record<string, Result['exports']>} exports
 * @param {Result} last the result of the last step that ran
 */
function outcomeOf(execution, results, exports, last) {
  const { status, error, returnValue } = last
  const responses = Object.values(results).map(({ response }) => response)
  return {
    status,
    executionId: execution.executionId,
    execution,
    steps: results,
    exports,
    returnValue,
    error,
    response: responses.findLast((response) => response !== undefined),
    ...(status === 'returned' ? {} : { stoppedAt: last.step }),
  }
}

/** @type {[RegExp, string][]} Names that steps cannot have, and why. */
const NOT_A_NAME = [
  [/^\d+$/, 'JavaScript puts numbers before other names'],
  [/^trigger$/, 'that is the event'],
  [/^__proto__$/, 'that is no ordinary member of an object'],
]

/**
 * Returns the steps of a workflow, each with a target: nothing runs if one of them is no step.
 *
 * @param {unknown} steps
 * @returns {PlannedStep[]}
 */
function plannedSteps(steps) {
  if (!isObject(steps) || Array.isArray(steps) || Object.keys(steps).length === 0) {
    throw invalidArgument(
      `runWorkflow(): steps must be an object with at least one step, not ${shown(steps)}`,
    )
  }
  return Object.entries(steps).map(([name, given]) => {
    checkName('runWorkflow(): the name of a step', name)
    const reason = NOT_A_NAME.find(([pattern]) => pattern.test(name))?.[1]
    if (reason !== undefined) {
      throw invalidArgument(`runWorkflow(): a step cannot be called ${name}: ${reason}`)
    }
    const { step, ...own } = isEntry(given) ? given : { step: given }
    const where = `runWorkflow(): steps.${name}`
    return { name, own: checkOptions(where, own, OWN), target: resolveTarget(step, where) }
  })
}

/**
 * Returns whether a step is given with options: `{ step, props }`.
 *
 * @param {unknown} given
 * @returns {given is Record<string, unknown>}
 */
function isEntry(given) {
  return (
    isObject(given) && 'step' in given && typeof given.run !== 'function' && !('default' in given)
  )
}

module.exports = { runExecution, runStep, runWorkflow }
