/** Options of {@link runStep}. Unknown keys are refused. */
export interface RunStepOptions {
  /** The workflow that the step belongs to, as in `engine.execution()`. */
  workflowId: string
  /** Id of this run. Default: generated. */
  executionId?: string
  /** Which attempt of the run this is, from 1. Default: 1. */
  attempt?: number
  /** Name of the step in the log. Default: `'code'`. */
  stepName?: string
  /** What triggered the workflow: `event` of a v1 step, `steps.trigger.event` everywhere. Default: `{}`. */
  event?: unknown
  /** Exports of earlier steps, by step name. `steps.trigger.event` is added when it is absent. Default: `{}`. */
  steps?: Record<string, any>
  /**
   * Values of a component's props, and the `params` of a v1 step. Defaults that the component declares are
   * filled in, and apps among the props get their methods. Default: `{}`.
   */
  props?: Record<string, any>
  /** Accounts by prop name or app: `auths` of a v1 step, `this.<app>.$auth` of a component. Default: `{}`. */
  auths?: Record<string, any>
}

/** How a step ran, for the runner to go on with. Deliveries are not in it: see `execution` and the log. */
export interface RunStepResult {
  /** Id of the run, for `engine.deliveries({ executionId })`. */
  executionId: string
  /** The completed execution, for `await execution.settled()`. */
  execution: Execution
  /** What the step returned; `undefined` when `$end()` ended it. */
  returnValue: unknown
  /**
   * What later steps see as `steps[stepName]`: everything the step exported with `$.export()` (v1: assigned
   * to `this`), and what it returned as `$return_value`.
   */
  exports: Record<string, unknown>
  /** The step was ended by `$end(message)`: that is no failure, but the workflow should go no further. */
  end?: { message?: unknown; ts: string }
  /** The step called `$.flow.exit(reason)`: the workflow should go no further. The first call counts. */
  exit?: { reason: unknown }
  /** What the step passed to `$.respond()`, for the HTTP trigger to answer. The last call counts. */
  response?: unknown
  /** What `execution.complete()` resolved with. */
  receipt: Awaited<ReturnType<Execution['complete']>>
}

/**
 * Runs one step and fires the completion hook, however the step ends.
 *
 * The step is a v1 function `(event, steps, params, auths)`, a component or action with `run({ steps, $ })`,
 * or a module whose default export is one of them. `this` of a component holds its props and methods, and
 * apps among its props theirs. `$` has `send`, `export`, `respond` and `flow.exit`; the globals `$send` and
 * `$end` mean this step in everything it awaits, so steps that run at the same time do not mix.
 *
 * `$end(message)` ends the step without failing it. `$.flow.exit(reason)` does not throw: what follows in
 * the step still runs.
 *
 * @example
 * ```js
 * const { executionId } = await runStep(engine, await import('./step.mjs'), {
 *   workflowId: 'p_abc123',
 *   event: { body: { name: 'Luke Skywalker' } },
 * })
 * ```
 *
 * @throws What the step throws, unchanged, after what it recorded was handed over. If that hand-over is
 * refused too, the refusal is the error's `completionError`.
 * @throws `ERR_SEND_INVALID_ARGUMENT` if `target` is no step, or an option is wrong.
 * @throws The errors of `execution.complete()` when only the hand-over is refused.
 */
export declare function runStep(
  engine: Engine,
  target: unknown,
  options: RunStepOptions,
): Promise<RunStepResult>
