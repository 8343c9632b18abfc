import type { BuiltinSends, Step, StepOptions, StepResult, StepTarget, Untyped } from '../index.js'

/** Options of {@link recordSends}. Unknown keys are refused. */
export interface RecordOptions {
  /** The workflow. Default: `'p_test'`. */
  workflowId?: string
  /** The run. Default: a new id. */
  executionId?: string
  /** Which attempt it is. Default: 1. */
  attempt?: number
  /** Name of the step. Default: `'code'`. */
  stepName?: string
  /** Names of destinations of your own, such as `['slack']`. Default: none. */
  destinations?: string[]
  /** Whether warnings throw, as the option of `Engine.open()`. Default: `false`. */
  strict?: boolean
}

/** Options of {@link recordStep}. Unknown keys are refused. */
export interface RecordStepOptions extends RecordOptions, StepOptions {}

/**
 * What a step sent, by destination, in the order of the calls, with the data as the step passed it. Secrets
 * are redacted, as in the log.
 */
export interface Sent extends BuiltinSends {
  /** All calls. */
  all: Array<{ destination: string; request: Untyped }>
  /** Calls of destinations of your own. */
  [destination: string]: Untyped[]
}

/**
 * Runs a step without delivering anything, and returns what it sent with how it ended.
 *
 * @throws What the step throws, with the result as `result`.
 * @example
 * ```js
 * import { recordStep } from 'dollar-send/testing'
 *
 * const { sent } = await recordStep(await import('./notify.mjs'), { event: { name: 'Luke' } })
 * assert.equal(sent.http[0].url, 'https://example.com/hook')
 * ```
 */
export declare function recordStep(
  target: StepTarget,
  options?: RecordStepOptions,
): Promise<StepResult & { sent: Sent }>

/**
 * Calls a function with a step, whose `$send` delivers nothing, and returns what was sent. The global
 * `$send` means that step too.
 */
export declare function recordSends(
  use: (step: Step) => unknown,
  options?: RecordOptions,
): Promise<Sent>
