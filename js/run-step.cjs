'use strict'

/**
 * `runStep`: the smallest runner. It gives one step what it expects of its host (`$`, `$send`, `$end`),
 * and makes sure that the completion hook fires however the step ends.
 *
 * It schedules nothing and retries nothing: a workflow runner does that, with the same public calls.
 */

const { inspect, types } = require('node:util')
const { componentThis, isObject, resolveTarget } = require('./component.cjs')
const { runInStep } = require('./context.cjs')
const { invalidArgument, sendError } = require('./errors.cjs')
require('./global.cjs')

/** @typedef {import('./component.cjs').Target} Target */
/** @typedef {import('./component.cjs').Dictionary} Dictionary */
/** @typedef {import('./context.cjs').CurrentStep & { $?: Dictionary }} Step */
/**
 * @typedef {object} Execution
 * @property {string} [executionId]
 * @property {(name: string) => Step} step
 * @property {(outcome?: { error?: unknown }) => Promise<any>} complete
 * @property {() => unknown} discard
 */
/** @typedef {{ execution(options: any): Execution }} Engine */
/**
 * What one run leaves behind besides its deliveries.
 *
 * @typedef {object} Trace
 * @property {Map<string, unknown>} exports
 * @property {{ reason: unknown }} [exit]
 * @property {{ message?: unknown, ts: string }} [end]
 * @property {unknown} [response]
 */
/**
 * @typedef {object} Input
 * @property {unknown} [event]
 * @property {Dictionary} [steps]
 * @property {Dictionary} [props]
 * @property {Dictionary} [auths]
 */

/** The name of a step whose caller gives none: the original's own name for a first code cell. */
const DEFAULT_STEP_NAME = 'code'

const OPTIONS = [
  'workflowId',
  'executionId',
  'attempt',
  'traceparent',
  'tracestate',
  'emitDepth',
  'stepName',
  'event',
  'steps',
  'props',
  'auths',
]

/** @param {any} options */
function checkOptions(options) {
  if (!isObject(options)) {
    throw invalidArgument('runStep(): the third argument must be an object with a workflowId')
  }
  for (const name of Object.keys(options)) {
    if (OPTIONS.includes(name)) continue
    throw invalidArgument(`runStep(): unknown option ${name}; known are ${OPTIONS.join(', ')}`)
  }
  for (const name of ['workflowId', 'stepName']) {
    if (name === 'stepName' && options[name] === undefined) continue
    if (typeof options[name] === 'string' && options[name] !== '') continue
    throw invalidArgument(`runStep(): ${name} must be a text that is not empty`)
  }
  for (const name of ['steps', 'props', 'auths']) {
    if (options[name] === undefined || isObject(options[name])) continue
    throw invalidArgument(`runStep(): ${name} must be an object`)
  }
}

/**
 * @param {string} name
 * @returns {() => never}
 */
function unsupported(name) {
  return () => {
    throw sendError(
      Error,
      'ERR_SEND_NOT_SUPPORTED',
      `${name}() is not supported by runStep, which runs one step from start to end: ` +
        'a runner that can pause or repeat a step provides its own $.flow',
    )
  }
}

/**
 * The `$` of a component: the step's own plus what a runner adds.
 *
 * @param {Step} step
 * @param {Trace} trace
 */
function dollar(step, trace) {
  return {
    ...step.$,
    send: step.$?.send ?? step.$send,
    /** @param {string} name @param {unknown} value */
    export(name, value) {
      if (typeof name !== 'string') {
        throw invalidArgument(
          `$.export(): the name must be a string, not ${inspect(name, { depth: 0 })}`,
        )
      }
      trace.exports.set(name, value)
    },
    /** @param {unknown} response */
    respond(response) {
      trace.response = response
    },
    flow: {
      /** @param {unknown} [reason] */
      exit(reason) {
        // The first call decides: the workflow has ended for the runner, whatever the step still does.
        trace.exit ??= { reason }
      },
      suspend: unsupported('$.flow.suspend'),
      delay: unsupported('$.flow.delay'),
      rerun: unsupported('$.flow.rerun'),
    },
  }
}

/**
 * Calls the step's function in its context.
 *
 * @param {Target} target
 * @param {Step} step
 * @param {Input} input
 * @param {Trace} trace
 * @returns {Promise<unknown>}
 */
function invoke(target, step, input, trace) {
  const { event = {}, props = {}, auths = {} } = input
  const steps = { trigger: { event }, ...input.steps }
  return runInStep(step, async () => {
    if (target.kind === 'component') {
      const self = componentThis(target.component, props, auths)
      return target.run.call(self, { event, steps, $: dollar(step, trace), auths })
    }
    // In v1, what a step assigns to `this` is what it exports.
    const self = {}
    try {
      return await target.run.call(self, event, steps, props, auths)
    } finally {
      for (const [name, value] of Object.entries(self)) trace.exports.set(name, value)
    }
  })
}

/**
 * The end that `$end()` left in a thrown value, ours or that of `@pipedream/platform`.
 *
 * @param {unknown} thrown
 * @returns {Trace['end']}
 */
function endOf(thrown) {
  return isObject(thrown) && Object.hasOwn(thrown, '__pd_end') && isObject(thrown.__pd_end)
    ? /** @type {Trace['end']} */ (thrown.__pd_end)
    : undefined
}

/**
 * Completes the execution of a step that threw. Never rejects: the step's own error is the one to report.
 *
 * @param {Pick<Execution, 'complete'>} execution
 * @param {unknown} thrown
 */
async function completeFailed(execution, thrown) {
  const error =
    types.isNativeError(thrown) || thrown instanceof Error
      ? thrown
      : new Error(`The step threw ${inspect(thrown, { depth: 1 })}`, { cause: thrown })
  try {
    await execution.complete({ error })
  } catch (failure) {
    if (isObject(thrown) && Object.isExtensible(thrown)) {
      Object.defineProperty(thrown, 'completionError', {
        value: failure,
        configurable: true,
        writable: true,
      })
    } else {
      process.emitWarning(failure instanceof Error ? failure : String(failure))
    }
  }
}

/**
 * Runs a step in an execution that the caller opened, and completes that execution.
 *
 * @param {Pick<Execution, 'executionId' | 'complete'>} execution
 * @param {Step} step a step of `execution`
 * @param {Target} target
 * @param {Input} input
 * @param {Promise<never>} [abandoned] rejects when the caller stops waiting for the step, which then
 *   counts as thrown with that reason
 */
async function runPrepared(execution, step, target, input, abandoned) {
  /** @type {Trace} */
  const trace = { exports: new Map() }
  let returnValue
  try {
    const running = invoke(target, step, input, trace)
    returnValue = await (abandoned ? Promise.race([running, abandoned]) : running)
  } catch (thrown) {
    trace.end = endOf(thrown)
    if (!trace.end) {
      await completeFailed(execution, thrown)
      throw thrown
    }
  }
  const receipt = await execution.complete()
  if (returnValue !== undefined) trace.exports.set('$return_value', returnValue)
  const { exports, ...outcome } = trace
  return {
    executionId: /** @type {string} */ (execution.executionId ?? receipt?.executionId),
    returnValue,
    exports: Object.fromEntries(exports),
    ...definedOnly(outcome),
    receipt,
  }
}

/**
 * @template {object} T
 * @param {T} values
 * @returns {T} without the properties that are undefined
 */
function definedOnly(values) {
  return /** @type {T} */ (
    Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined))
  )
}

/**
 * Runs one step and fires the completion hook. See `index.d.ts` for what callers are promised.
 *
 * @param {Engine} engine
 * @param {unknown} target
 * @param {import('../index.d.ts').RunStepOptions & Input} options
 */
async function runStep(engine, target, options) {
  checkOptions(options)
  const resolved = resolveTarget(target)
  const { workflowId, executionId, attempt, traceparent, tracestate, emitDepth, ...others } =
    options
  const { stepName = DEFAULT_STEP_NAME, ...input } = others
  const run = { workflowId, executionId, attempt, traceparent, tracestate, emitDepth }
  const execution = engine.execution(definedOnly(run))
  let step
  try {
    step = execution.step(stepName)
  } catch (error) {
    // Nothing was recorded; without this the garbage collector would warn of a forgotten execution.
    execution.discard()
    throw error
  }
  return { ...(await runPrepared(execution, step, resolved, input)), execution }
}

module.exports = { DEFAULT_STEP_NAME, resolveTarget, runPrepared, runStep }
