import type { HttpResponse, Send, Step, StepContext, Untyped, UntypedRecord } from '../index.js'
import { defineComponent as define } from '../index.js'

/**
 * The destinations of the step that the running code belongs to. Its methods find that step when they are
 * called, so `const { http } = $send` at the top of a module works.
 *
 * @throws `ERR_SEND_NO_STEP` when a method is called outside a step.
 */
export declare const $send: Send

/**
 * Ends the step without failing it: throws an `Error` with an own `__pd_end: { message, ts }`. What the
 * step sent before is delivered.
 *
 * @throws `ERR_SEND_NO_STEP` outside a step.
 */
export declare function $end(message?: unknown): never

/**
 * Answers the HTTP request that triggered the workflow. The last response counts; with
 * `immediate: true` the runner gets it now.
 *
 * @throws `ERR_SEND_NO_STEP` outside a step.
 */
export declare function $respond(response: HttpResponse): Promise<void>

/** Returns its argument: components are plain objects. It types `this`, `steps` and `$` of `run`. */
export declare const defineComponent: typeof define

/**
 * Calls `fn` with `step` as the current step of everything it does, synchronously or later: the globals
 * `$send` and `$end` resolve to it. For runners that do not use `runStep`; completing the execution stays
 * their duty. Each worker thread has contexts of its own.
 *
 * @returns What `fn` returns.
 * @example
 * ```js
 * import { runInStep } from 'dollar-send/global'
 *
 * const step = execution.step('notify')
 * await runInStep(step, () => legacyStep(event))
 * await execution.complete()
 * ```
 */
export declare function runInStep<Arguments extends unknown[], Result>(
  step: Step,
  fn: (...args: Arguments) => Result,
  ...args: Arguments
): Result

declare global {
  // `var` and function declarations, so that `globalThis.$send` has a type too.
  var $send: Send
  function $end(message?: unknown): never
  function $respond(response: HttpResponse): Promise<void>
  var defineComponent: typeof define
  /** What triggered the workflow, of its sender's type; `undefined` outside a step, as are the following. */
  var $event: Untyped
  /** What is known of the run. */
  var $context: StepContext
  /** A value that outlives the run, of the type that the step assigned. */
  var $checkpoint: Untyped
  /** The files that came with the event, by name. */
  var $attachments: UntypedRecord
}
