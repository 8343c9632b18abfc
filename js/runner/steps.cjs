// @ts-check
'use strict'

/**
 * The `steps`, the `event` and the context that a step finds.
 *
 * **Invariant:** objects of the runner are completed in copies. A step that assigns to `steps`, or to a
 * member of it, changes neither the runner's objects nor what other steps see.
 */

/** @typedef {Record<string, unknown>} Dictionary */

/** @param {unknown} value @returns {value is Dictionary} */
function isObject(value) {
  return typeof value === 'object' && value !== null
}

/** Members of the context that the runner alone knows. */
const UNKNOWN_CONTEXT = {
  pipeline_id: null,
  deployment_id: null,
  source_type: null,
  verified: false,
  hops: null,
  test: false,
  replay: false,
  owner_id: null,
  platform_version: null,
  workflow_name: null,
  resume: null,
  emitter_id: null,
  external_user_id: null,
  external_user_environment: null,
  project_id: null,
  deadline: null,
}

/**
 * Returns `$.context`: what the runner gives over what the execution knows.
 *
 * @param {{ executionId: string, workflowId: string, attempt: number }} run
 * @param {Dictionary | undefined} given
 * @returns {Dictionary}
 */
function contextOf({ executionId, workflowId, attempt }, given) {
  return {
    id: executionId,
    ts: new Date().toISOString(),
    workflow_id: workflowId,
    ...UNKNOWN_CONTEXT,
    trace_id: executionId,
    attempt,
    run: { runs: 1 },
    ...given,
  }
}

/**
 * Returns the `event` of a step: that of the runner, or the one in its `steps`.
 *
 * @param {{ event?: unknown, steps?: Dictionary }} input
 */
function eventOf({ event, steps }) {
  if (event !== undefined) return event
  const trigger = steps?.trigger
  return isObject(trigger) && trigger.event !== undefined ? trigger.event : {}
}

/**
 * Returns the `steps` of a step. What the runner gives for `trigger` has priority.
 *
 * @param {Dictionary | undefined} given
 * @param {unknown} event
 * @param {Dictionary} context
 * @returns {Dictionary}
 */
function stepsOf(given, event, context) {
  /** @type {Dictionary} */
  const steps = { trigger: undefined, ...given }
  for (const name of Object.keys(steps)) steps[name] = ownCopy(steps[name])
  const { trigger } = steps
  if (trigger !== undefined && !isObject(trigger)) return steps
  steps.trigger = { event, raw_event: trigger?.event ?? event, context, ...trigger }
  return steps
}

/**
 * Returns a copy of a plain object; anything else stays what it is.
 *
 * @param {unknown} value
 */
function ownCopy(value) {
  if (!isObject(value)) return value
  const prototype = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null ? { ...value } : value
}

module.exports = { contextOf, eventOf, isObject, stepsOf }
