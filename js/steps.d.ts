/* Steps and what runs them. */

import type { Execution, ExecutionOptions, CompletionReceipt, Send } from '../index'

/**
 * Data of the step's own, whose type only the step knows: events, exports, props, accounts, responses. It is
 * `any`, so that steps written for Pipedream type-check unchanged (`steps.fetch.$return_value.id`,
 * `this.slack.$auth.oauth_access_token`): `unknown` would refuse each of these.
 */
export type Untyped = any

/** Data by name. Not of `unknown`, which would refuse a value of an interface: that has no index signature. */
export type UntypedRecord = Record<string, Untyped>

/** How a step ended. */
export type StepStatus = 'returned' | 'threw' | 'ended' | 'exited' | 'suspended'

/** The argument of `$.respond()`. */
export interface HttpResponse {
  /** The status code. */
  status?: number
  /** The headers. */
  headers?: UntypedRecord
  /** The body, of any type that the trigger of the runner takes. */
  body?: unknown
  /** `true`: the runner gets the response now, through its option `respond`. */
  immediate?: boolean
  /** Members that the trigger of the runner knows. */
  [key: string]: Untyped
}

/** The links that a paused workflow goes on by. */
export interface ResumeLinks {
  resume_url: string
  cancel_url: string
  /** Links that the runner adds. */
  [key: string]: Untyped
}

/**
 * `$.flow` of a step. All members but `exit` are the runner's, by its option `flow`: the runner defines what
 * they return.
 */
export interface StepFlow {
  /** Ends the workflow after this step. It does not throw: what follows in the step still runs. */
  exit(reason?: unknown): void
  /** Pauses the workflow after this step. Calls that were recorded before are handed over first. */
  suspend(...args: unknown[]): Untyped
  /** The same, for a time. */
  delay(...args: unknown[]): Untyped
  /** Runs the step again later. */
  rerun(...args: unknown[]): Untyped
  /** Goes on with a paused workflow. */
  resume(...args: unknown[]): Untyped
  /** Starts another workflow. */
  trigger(...args: unknown[]): Untyped
  /** Starts `timeoutMs` again, and calls the runner's function of this name. */
  refreshTimeout(...args: unknown[]): Untyped
  /** Members that the runner adds. */
  [name: string]: Untyped
}

/** `$.context`: what the runner gives over what the execution knows. */
export interface StepContext {
  /** The id of the run. */
  id: string
  /** When the step began, as ISO 8601 text. */
  ts: string
  /** The workflow. */
  workflow_id: string
  /** Which attempt of the run this is, from 1. */
  attempt: number
  /** `true` for a test run. */
  test: boolean
  /** `true` for a replay. */
  replay: boolean
  /** How often the step ran. */
  run: UntypedRecord & { runs: number }
  /** Members that the runner adds. */
  [key: string]: Untyped
}

/** The `$` of a component. */
export interface StepDollar {
  /** The destinations. */
  send: Send
  /** Exports a value: later steps find it as `steps.NAME[name]`. */
  export(name: string, value: unknown): void
  /** Answers the trigger. The last response counts. */
  respond(response: HttpResponse): Promise<void>
  /** Control over the workflow. */
  flow: StepFlow
  /** The context of the run. */
  context: StepContext
  /** The event that triggered the workflow, of the type that its sender gave it. */
  event: Untyped
  /** The runner's file store, with the functions that the runner gives it. */
  files: Untyped
  /** The files that came with the event. */
  attachments: UntypedRecord
  /** `respond()` under the name that it has for HTTP interfaces. */
  interface: { http: { respond(response: HttpResponse): Promise<void> } }
  /** A store of the step's own. */
  service: { readonly db: StepStore }
}

/** A store of keys and JSON values, as `$.service.db` has it. */
export interface StepStore {
  /** Returns the value, of the type that the step stored. */
  get(key: string): Untyped
  /** `ttl`: seconds that the entry lives. */
  set(key: string, value: unknown, options?: { ttl?: number | null }): unknown
  has?(key: string): unknown
  delete?(key: string): unknown
  /** Seconds from now; `null` for ever. */
  setTtl?(key: string, ttl: number | null): unknown
  keys?(): unknown
  values?(): unknown
  entries?(): unknown
  size?: unknown
  clear?(): unknown
}

/**
 * A `data_store` prop: the functions of a store, each of which returns a promise. Values have the type that
 * the step stored.
 */
export interface DataStore extends AsyncIterable<[string, Untyped]> {
  get(key: string): Promise<Untyped>
  set(key: string, value: unknown, options?: { ttl?: number | null }): Promise<void>
  has(key: string): Promise<boolean>
  delete(key: string): Promise<void>
  setTtl(key: string, ttl: number | null): Promise<void>
  keys(): Promise<string[]>
  values(): Promise<Untyped[]>
  entries(): Promise<Array<[string, Untyped]>>
  size(): Promise<number>
  clear(): Promise<void>
}

/** Stores of the runner. */
export interface StepServices {
  /**
   * The store of `$.service.db` and `data_store` props, or a function that returns one for a name. A
   * `Map` will do. Default: files in the data directory, else memory.
   */
  db?: StepStore | ((name: string) => StepStore | Promise<StepStore>)
  /**
   * Where the values of `$checkpoint` are kept, by `WORKFLOW/STEP`. A `Map` will do. Default: memory.
   */
  checkpoint?: { get(key: string): unknown; set(key: string, value: unknown): unknown }
}

/** The services of a runner for the steps that it runs. */
export interface StepHostOptions {
  /** Members of `$.flow`. Default: none, each throws `ERR_SEND_NOT_SUPPORTED`. */
  flow?: UntypedRecord
  /** Stores. Default: those of the engine. */
  services?: StepServices
  /** Members of `$.context` and `steps.trigger.context`. Default: what the execution knows. */
  context?: UntypedRecord
  /**
   * Called for `$.respond({ immediate: true })`, with what the step passed. Default: the response is in the
   * result alone.
   */
  respond?: (response: Untyped) => unknown
  /** `$attachments`, by name. Default: those of the event, else none. */
  attachments?: UntypedRecord
  /** `$.files`. Default: none, its use throws `ERR_SEND_NOT_SUPPORTED`. */
  files?: object
  /** Milliseconds that a step may take; then it counts as thrown, `ERR_SEND_TIMEOUT`. Default: no limit. */
  timeoutMs?: number
}

/** Options of `execution.run()`. Unknown keys are refused. */
export interface StepOptions extends StepHostOptions {
  /**
   * The event that triggered the workflow: `event` of a v1 step, `$event` and `steps.trigger.event` everywhere.
   * Default: `steps.trigger.event`, else `{}`.
   */
  event?: unknown
  /**
   * Exports of earlier steps, by step name. `steps.trigger` is completed by `event`, `raw_event` and
   * `context` where they are absent. Default: `{}`.
   */
  steps?: UntypedRecord
  /**
   * Values of a component's props, and the `params` of a v1 step. Defaults that the component declares
   * are filled in, and apps among the props get their methods. Default: `{}`.
   */
  props?: UntypedRecord
  /** Accounts by prop name or app: `auths` of a v1 step, `this.<app>.$auth` of a component. Default: `{}`. */
  auths?: UntypedRecord
}

/** How a step ran. A step that threw loses none of it. Deliveries are not in it: see the log. */
export interface StepResult {
  /** How it ended. `suspended`: it called `suspend`, `delay` or `rerun` of `$.flow`. */
  status: StepStatus
  /** Id of the run, for `engine.deliveries({ executionId })`. */
  executionId: string
  /** Name of the step. */
  step: string
  /** The value that the step returned, else `undefined`. */
  returnValue: unknown
  /** The value that the step threw. */
  error: unknown
  /**
   * The exports, `steps[name]` of later steps: everything the step exported with `$.export()` or assigned to
   * `this`, and what it returned as `$return_value`.
   */
  exports: UntypedRecord
  /** The export `$summary`, of the type that the step exported. */
  summary: Untyped
  /** The argument of the last `$.respond()`, as the step passed it, for the response of the HTTP trigger. */
  response: Untyped
  /** The calls of `$.flow` that reached the runner, in order. */
  flow: Array<{ name: string; arguments: unknown[] }>
  /** Warnings about the run, one sentence each. */
  warnings: string[]
  /** The step was ended by `$end(message)`: no failure, but the workflow should go no further. */
  end?: { message?: unknown; ts: string }
  /** The step called `$.flow.exit(reason)`: the workflow should go no further. The first call counts. */
  exit?: { reason: unknown }
}

/** Options of {@link runStep}. Unknown keys are refused. */
export interface RunStepOptions extends StepOptions, ExecutionOptions {
  /** Name of the step in the log. Default: `'code'`. */
  stepName?: string
}

/** How a step ran, and its execution. */
export interface RunStepResult extends StepResult {
  /** The completed execution, for `await execution.settled()`. */
  execution: Execution
  /** The receipt of `execution.complete()`. */
  receipt: CompletionReceipt
}

/** A step: a v1 function, a component, or a module whose default or only export is one of them. */
export type StepTarget = unknown

/** One step of a workflow with options of its own. */
export interface WorkflowStep {
  /** The step. */
  step: StepTarget
  /** Values of its props. Default: `{}`. */
  props?: UntypedRecord
  /** Its accounts. Default: those of the workflow. */
  auths?: UntypedRecord
  /** Milliseconds that it may take. Default: those of the workflow. */
  timeoutMs?: number
}

/** The workflow of {@link runWorkflow}. Unknown keys are refused. */
export interface Workflow extends StepHostOptions, Omit<ExecutionOptions, 'workflowId'> {
  /** The workflow's id. */
  id: string
  /** The steps in their order, by name. */
  steps: Record<string, StepTarget | WorkflowStep>
  /** Accounts of all steps, by prop name or app. Default: `{}`. */
  auths?: UntypedRecord
}

/** How a workflow ran. */
export interface WorkflowOutcome {
  /** `returned` when all steps did, else the status of the step that the workflow stopped at. */
  status: StepStatus
  /** Id of the run. */
  executionId: string
  /** The completed execution. */
  execution: Execution
  /** The results of the steps that ran. */
  steps: Record<string, StepResult>
  /** Their exports. */
  exports: Record<string, UntypedRecord>
  /** The value that the last step returned. */
  returnValue: unknown
  /** The value that the last step threw. */
  error: unknown
  /** The response for the trigger, as the last step that gave one passed it. */
  response: Untyped
  /** The step that the workflow stopped at. */
  stoppedAt?: string
  /** The receipt of `execution.complete()`; absent when it was refused after a throw. */
  receipt?: CompletionReceipt
}

/** Types of props that people configure. */
type PropType =
  | 'string'
  | 'string[]'
  | 'integer'
  | 'integer[]'
  | 'boolean'
  | 'boolean[]'
  | 'object'
  | 'object[]'
  | 'any'
  | 'app'
  | 'data_store'
  | 'http_request'
  | '$.service.db'
  | '$.interface.http'
  | '$.interface.timer'
  | (string & {})

/** The declaration of one prop. Its other members are what Pipedream's editor knows of it. */
export type PropDeclaration = { type?: PropType; [key: string]: Untyped } | PropType

/** The declarations of a component's props. */
export type PropDeclarations = Record<string, PropDeclaration>

/** The request of an `http_request` prop. */
export interface HttpRequestProp {
  /** Sends the request now. A status that is not 2xx rejects. */
  execute(): Promise<{
    status: number
    statusText: string
    headers: Record<string, string>
    /** The data of the response, of the type that the service sends. */
    data: Untyped
  }>
  /** The settings of the request. */
  [key: string]: Untyped
}

interface PropValuesByType {
  string: string
  'string[]': string[]
  integer: number
  'integer[]': number[]
  boolean: boolean
  'boolean[]': boolean[]
  app: UntypedRecord & { $auth: UntypedRecord }
  data_store: DataStore
  http_request: HttpRequestProp
  '$.service.db': UntypedRecord & StepStore
  '$.interface.http': UntypedRecord & { respond(response: HttpResponse): Promise<void> }
}

type TypeOf<Declaration> = Declaration extends { type: infer Type } ? Type : Declaration

/** The value of a prop: of its declared type, or whatever was configured for a type that is not known. */
type PropValue<Declaration> =
  TypeOf<Declaration> extends infer Type
    ? Type extends keyof PropValuesByType
      ? PropValuesByType[Type]
      : Untyped
    : Untyped

/** The `this` of a component's `run` and methods: props, methods, and what they assign. */
export type StepThis<Props, Methods> = {
  [Name in keyof Props]: PropValue<Props[Name]>
} & Methods &
  UntypedRecord & {
    /** The value that outlives a run, of the type that the step assigned. */
    $checkpoint: Untyped
  }

/** The argument of `run` of a component. */
export interface RunArguments {
  /** The exports of earlier steps, by name, and the trigger. */
  steps: UntypedRecord & { trigger: UntypedRecord & { context: StepContext } }
  /** The members of `$`. */
  $: StepDollar
  /** The event that triggered the workflow, of the type that its sender gave it. */
  event: Untyped
  /** Accounts by prop name or app. */
  auths: UntypedRecord
}

/** A v2 step or an action. */
export interface Component<Props extends PropDeclarations, Methods> {
  props?: Props
  methods?: Methods & ThisType<StepThis<Props, Methods>>
  /** Runs the step. Returns what later steps find as `$return_value`. */
  run(this: StepThis<Props, Methods>, args: RunArguments): Untyped
  /** Members that Pipedream knows: `key`, `name`, `version` and others. */
  [key: string]: Untyped
}

/** A method of a component. Its parameters and its result may be without annotations. */
type Method = (...args: Untyped[]) => unknown

/** Returns its argument: components are plain objects. It types `this`, `steps` and `$` of `run`. */
export declare function defineComponent<
  const Props extends PropDeclarations = {},
  Methods extends Record<string, Method> = {},
>(component: Component<Props, Methods>): Component<Props, Methods>

/**
 * Runs one step and fires the completion hook, however the step ends.
 *
 * The step is a v1 function `(event, steps, params, auths)`, a component or action with `run({ steps, $ })`,
 * or a module whose default or only export is one of them. `this` of a component holds its props and
 * methods, and apps among its props theirs. The globals `$send`, `$end`, `$respond`, `$event`,
 * `$context`, `$checkpoint` and `$attachments` mean this step in everything it awaits, so steps that run
 * at the same time do not mix.
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
 * @throws What the step throws, unchanged, after what it recorded was handed over. The error has the
 * result as `result`, which is not enumerable. If the hand-over is refused too, the refusal is the error's
 * `completionError`.
 * @throws `ERR_SEND_INVALID_ARGUMENT` if `target` is no step, an option is wrong, or a required prop has
 * no value.
 * @throws The errors of `execution.complete()` when only the hand-over is refused.
 */
export declare function runStep(
  engine: Pick<import('../index').Engine, 'execution'>,
  target: StepTarget,
  options: RunStepOptions,
): Promise<RunStepResult>

/**
 * Runs the steps of a workflow in order, in one execution with one receipt. Each step finds the exports
 * of those before it. The first step that throws, ends, exits or suspends is the last one.
 *
 * @example
 * ```js
 * const { status, response } = await runWorkflow(
 *   engine,
 *   { id: 'p_abc123', steps: { fetch, notify: { step: notify, props: { channel: 'general' } } } },
 *   event,
 * )
 * ```
 *
 * @throws `ERR_SEND_INVALID_ARGUMENT` if a step is none, an option is wrong, or a required prop has no
 * value. What a step throws is in the outcome.
 * @throws The errors of `execution.complete()` after steps that did not throw.
 */
export declare function runWorkflow(
  engine: Pick<import('../index').Engine, 'execution'>,
  workflow: Workflow,
  event?: unknown,
): Promise<WorkflowOutcome>

/** A step file that was loaded: a target for {@link runStep}. */
export interface LoadedStep {
  /**
   * The form of the file: a module, or a file that is nothing but a function (`'expression'`), a
   * component (`'object'`), or the body of a function.
   */
  form: 'module' | 'expression' | 'body' | 'object'
  /** Its absolute path. */
  path: string
  /** The function of a v1 step, or the component. */
  default: ((...args: Untyped[]) => unknown) | UntypedRecord
  /** Pinned imports for which another version is installed. Each is a process warning too. */
  warnings: Array<string>
}

/**
 * Loads a step file as it stands in Pipedream's editor: a module with a default or a single export, or a
 * file that is nothing but `async (event, steps) => { ... }`, `defineComponent({ ... })`, an object
 * with `run`, or the body of a function. `require` works in all of them, JSON can be imported, and
 * pins such as `import got from 'got@~14'` mean the installed package; both also in files that it
 * imports. A file that needs none of that is loaded by Node, and comes from its module cache.
 *
 * @example
 * ```js
 * const step = await loadStep('./old-step.js')
 * await runStep(engine, step, { workflowId: 'p_abc123', event })
 * ```
 *
 * @throws What the file throws while it loads.
 * @throws `ERR_SEND_INVALID_ARGUMENT` if the file is no step; the message has the line and column where
 * parsing stopped, and the forms there are.
 */
export declare function loadStep(path: string | { readonly href: string }): Promise<LoadedStep>
