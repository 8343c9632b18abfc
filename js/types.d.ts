/// <reference lib="esnext.disposable" />

/* The part of the declarations that belongs to JavaScript; what follows it is generated from Rust. */

import type { ErrorCode, WarningCode } from './js/codes'
import type { AlertEvent, BatchReason, Delivery } from './js/log'
import type { Send } from './js/send'
import type { StepOptions, StepResult, StepTarget, Untyped, UntypedRecord } from './js/steps'
export * from './js/calls'
export * from './js/codes'
export * from './js/log'
export * from './js/send'
export * from './js/steps'

/** Options of `engine.execution()`. */
export interface ExecutionOptions {
  /** The workflow's id, such as `p_abc123`. */
  workflowId: string
  /** The id of this run. Default: a new UUIDv7. */
  executionId?: string
  /** Number of the attempt of this run, from 1. Default: 1. */
  attempt?: number
  /**
   * The cause of the run, for the log and the Inspector: the method and path of the request that began it,
   * or a name such as `every 5 minutes`. The query of a path is left out, and 500 characters are kept.
   * Default: none.
   */
  trigger?: string | { method: string; path: string }
  /**
   * Trace of the run, a `traceparent` of W3C Trace Context, for every HTTP request without one. A
   * malformed value is ignored. Default: none.
   */
  traceparent?: string
  /** The `tracestate` that belongs to `traceparent`. Default: none. */
  tracestate?: string
  /**
   * Number of emitted events in a row that led to this run; from 16 on `$send.emit` is refused, to end
   * loops. Default: one more than that of the event whose listener began the run, otherwise 0.
   */
  emitDepth?: number
}

/** Options of `execution.complete()`. */
export interface CompleteOptions {
  /**
   * The error that ended the run, of any type: the log marks the execution as failed. Its recorded calls
   * are delivered all the same. Default: none.
   */
  error?: unknown
  /**
   * A text for the log and the Inspector, of which 1,000 characters are kept. Default: the text of the last
   * `$end()` or `$.flow.exit()` of a step that `execution.run()` ran.
   */
  message?: string
}

/** One code cell or action of an execution. */
export interface Step {
  /** The name in the log. */
  readonly name: string
  /** The destinations, as v1 steps call them. */
  readonly $send: Send
  /** `{ send: $send }`, for component actions: spread it into the runner's own `$`. */
  readonly $: { readonly send: Send }
}

/** A warning for the operator. */
export interface WarningEvent {
  /** The code of the warning. */
  code: WarningCode
  /** A message for people. */
  message: string
  /** The id of the execution concerned, if any. */
  executionId?: string
}

/** A change of a batch of records. */
export interface BatchEvent {
  /** The destination. */
  destination: string
  /** The name of the batch: for `s3` the bucket, `/` and the key; for `sql` the table, `/` and an id. */
  name: string
  /** The new status. `delayed`: an attempt failed and will be retried. `stored` and `failed` are final. */
  status: 'sealed' | 'delayed' | 'stored' | 'failed'
  /** The reason why it was closed. */
  reason: BatchReason
  /** Number of records. */
  records: number
  /** Encoded size in bytes. */
  bytes: number
  /** When it was closed (ISO 8601, UTC). */
  sealedAt: string
  /** Attempts to store it so far. */
  attempts: number
  /** The error that delayed or failed it. */
  error?: string
}

/** The options of `engine.replay()`. */
export interface ReplayOptions {
  /** Returns the plan, and replays nothing. */
  dryRun?: boolean
  /** After it is aborted, no more calls are handed over: `cancelled` is `true`. */
  signal?: ReplaySignal
}

/** The part of an `AbortSignal` that `engine.replay()` uses. */
export interface ReplaySignal {
  /** `true` once it is aborted. */
  readonly aborted: boolean
  /** Adds a listener. */
  addEventListener(type: 'abort', listener: () => void): void
  /** Removes a listener. */
  removeEventListener(type: 'abort', listener: () => void): void
}

/** The events of `engine.on()`. */
export interface EngineEvents {
  /** A delivery became terminal. */
  delivery: Delivery
  /** An execution is over and all its deliveries are terminal. */
  execution: ExecutionSummary
  /** The status of a batch changed. */
  batch: BatchEvent
  /** Calls of `engine.replay()` were handed over: how many until now, and all of them. */
  replay: { id: string; replayed: number; total: number }
  /** A value is too high; see `alerts` of `Engine.open()`. */
  alert: AlertEvent
  /** A warning for the operator. */
  warning: WarningEvent
}

/** A filter of emitted events. Either `emitterId` or `listenerId` is required. */
export interface SubscribeOptions {
  /** The id of the emitting workflow, or a pattern in which `*` matches any characters. */
  emitterId?: string
  /**
   * The channel, or a pattern of channels. `$errors`: executions that were completed with an error.
   * Default: events without a channel.
   */
  eventName?: string
  /** Events of the subscriptions that the REST API created with this `listener_id`. */
  listenerId?: string
}

/** One call of a destination that is written in JavaScript. */
export interface DestinationItem<Argument = Untyped> {
  /** The id of the delivery, the same for each attempt: use it to detect repetitions. */
  id: string
  /** The id of the call, that of its first delivery: the same for each attempt and each replay. */
  callId: string
  /** The id of the workflow whose step made the call. */
  workflowId: string
  /** When the call was made (ISO 8601, UTC). */
  recordedAt: string
  /** The argument of the call, as JSON holds it. */
  argument: Argument
}

/** The result of an attempt at one item. */
export type DestinationStatus = 'delivered' | 'retry' | 'failed'

/** The outcome of one item. `retry`: it is attempted again, not before `afterMs` milliseconds. */
export type DestinationOutcome =
  | DestinationStatus
  | {
      status: DestinationStatus
      /** The error for the log. Default: none. */
      error?: unknown
      /** Delay before a retry, in milliseconds. Default: that of `retry` of the destination. */
      afterMs?: number
      /** A response for the log, up to 64 KiB of JSON; ignored for batches. Default: none. */
      response?: unknown
    }

/** An `AbortSignal`. Without declarations of it (`@types/node`, or `lib: ["DOM"]`), the part that `replay()` has. */
export type DestinationSignal = typeof globalThis extends {
  AbortSignal: { prototype: infer Signal }
}
  ? Signal
  : ReplaySignal

/** A destination that is written in JavaScript. */
export interface DestinationOptions<Argument = Untyped> {
  /**
   * Delivers items. Returns one outcome per item, in their order, or nothing if all were delivered. If
   * it throws, all items fail, or are retried if the error has `retryable: true`. `batchId` is the same
   * for each attempt at the same items. `signal` is aborted at `timeoutMs`, and when the engine has closed.
   * Delivered items may come again after a crash or a timeout.
   */
  deliver(
    items: Array<DestinationItem<Argument>>,
    context: { batchId: string; signal: DestinationSignal },
  ): Promise<Array<DestinationOutcome> | void> | Array<DestinationOutcome> | void
  /** Deadline of `deliver` in milliseconds, from 1 to 3,600,000; past it the items are retried. Default: 30000. */
  timeoutMs?: number
  /** Concurrent calls of `deliver`. Default: 4. */
  concurrency?: number
  /**
   * Retries of items with the outcome `retry`; `false` for none. Default: five attempts, with delays
   * that grow from a second.
   */
  retry?: boolean | Omit<RetryOptions, 'hosts' | 'statuses' | 'errors'>
  /** Limits of a batch of calls. Default: no batches, each call is delivered at once. */
  batch?: BatchOptions
}

/** An event that a workflow emitted. */
export interface EmittedEvent {
  /** The id of the event in the workflow's stream. */
  id: string
  /** The id of the delivery that emitted it. */
  emitId: string
  /** The id of the workflow that emitted it. */
  emitterId: string
  /** The channel; empty for the default one. */
  name: string
  /** The event, of the type that the workflow emitted. */
  event: Untyped
  /** Number of emitted events in a row that led to it. */
  depth: number
}

/** Options of `engine.sql()`. */
export interface QueryOptions {
  /** Form of the result: `'rows'`, columns and rows as values; `'json'` or `'csv'`, text. Default: `'rows'`. */
  format?: 'rows' | 'json' | 'csv'
  /** Deadline of the query in milliseconds, from 1 to 3,600,000. Default: 60000. */
  timeoutMs?: number
  /** The largest result, in bytes of its text. Default: 1 GB; a string of JavaScript has at most half of that. */
  maxBytes?: number
}

/** The result of a query. */
export interface QueryResult<Row = UntypedRecord> {
  /** The columns in order, with their SQL types. */
  columns: Array<{ name: string; type: string }>
  /** The rows. Dates, times, and integers beyond the safe range of JavaScript are texts. */
  rows: Array<Row>
}

export interface Engine {
  /**
   * Begins one run of a workflow.
   *
   * Throws `ERR_SEND_INVALID_ARGUMENT`, `ERR_SEND_CLOSED`.
   */
  execution(options: ExecutionOptions): Execution
  /**
   * Runs a function with an execution, and completes the execution when the function has ended, also
   * after a throw.
   *
   * @returns What the function returns.
   * @throws What the function throws, after the hand-over.
   */
  run<Value>(
    options: ExecutionOptions,
    run: (execution: Execution) => Value | Promise<Value>,
  ): Promise<Value>
  /**
   * Queries the warehouse. The query is one SELECT, WITH, SHOW TABLES, DESCRIBE or EXPLAIN in the SQL of
   * DuckDB, and can reach the tables alone. Rows of `$send.sql` are visible once their batch is loaded;
   * `engine.flush()` loads it now.
   *
   * Rejects with `ERR_SEND_QUERY_NOT_ALLOWED`, `ERR_SEND_QUERY_FAILED` (such as no such table),
   * `ERR_SEND_QUERY_TIMEOUT`, `ERR_SEND_QUERY_TOO_LARGE`, `ERR_SEND_NOT_CONFIGURED`,
   * `ERR_SEND_INVALID_ARGUMENT`, `ERR_SEND_CLOSED`.
   */
  sql<Row = UntypedRecord>(
    query: string,
    options?: QueryOptions & { format?: 'rows' },
  ): Promise<QueryResult<Row>>
  sql(query: string, options: QueryOptions & { format: 'json' | 'csv' }): Promise<string>
  /**
   * Calls `listener` for each emitted event that matches. Returns a function that unsubscribes.
   * Executions that begin in the listener, synchronously or later, count as caused by the event, which
   * is how loops are detected. Listeners do not keep the process alive. If one throws, the others still
   * run, and the error is reported as an uncaught exception.
   *
   * Throws `ERR_SEND_INVALID_ARGUMENT`.
   */
  subscribe(options: SubscribeOptions, listener: (event: EmittedEvent) => unknown): () => void
  /**
   * Adds a destination: calls of `$send.NAME(argument)`, in steps that begin after this, are recorded,
   * stored, retried and logged like those of the others, and `deliver` runs on this thread until the
   * engine is closed. The argument is an object. Calls that an earlier process left are delivered too.
   * Declare its type with
   * `declare module 'dollar-send' { interface Send { slack(message: Message): void } }`.
   *
   * Throws `ERR_SEND_INVALID_ARGUMENT`, `ERR_SEND_CLOSED`.
   */
  destination<Argument = Untyped>(name: string, options: DestinationOptions<Argument>): this
  /**
   * Calls `listener` for each event. Listeners do not keep the process alive. If one throws, the others
   * still run, and the error is reported as an uncaught exception.
   */
  on<E extends keyof EngineEvents>(event: E, listener: (event: EngineEvents[E]) => void): this
  /** Removes a listener. */
  off<E extends keyof EngineEvents>(event: E, listener: (event: EngineEvents[E]) => void): this
  /** Closes the engine, for `await using`. */
  [Symbol.asyncDispose](): Promise<void>
}

/**
 * One run of one workflow: its steps record calls, and `complete()` hands them over. Created by
 * `engine.execution()`.
 */
export declare class Execution {
  private constructor()
  /** The id of this run. */
  get executionId(): string
  /** The id of its workflow. */
  get workflowId(): string
  /**
   * Begins one code cell or action of this run.
   *
   * Throws `ERR_SEND_INVALID_ARGUMENT`, `ERR_SEND_EXECUTION_COMPLETED`.
   */
  step(name: string): Step
  /**
   * Runs a step of this run: a v1 function, a component, or the module that exports it. Never rejects
   * for what the step throws, and completes nothing.
   *
   * Rejects with `ERR_SEND_INVALID_ARGUMENT` (no step, a wrong option, a required prop without a value),
   * `ERR_SEND_EXECUTION_COMPLETED`.
   */
  run(name: string, target: StepTarget, options?: StepOptions): Promise<StepResult>
  /**
   * Completes the run and hands over the recorded calls, which are then delivered in the background. No
   * call can be recorded after that. Resolves when the calls are as durable as configured, without
   * waiting for the network.
   *
   * Rejects with `ERR_SEND_EXECUTION_COMPLETED`, `ERR_SEND_CLOSED`; and with `ERR_SEND_JOURNAL_FULL` or
   * `ERR_SEND_JOURNAL` if the data directory cannot store the calls. Then none of them is handed over,
   * and the execution stays open: it can be completed again.
   */
  complete(options?: CompleteOptions): Promise<CompletionReceipt>
  /**
   * Hands over the calls recorded so far, for a run that suspends or delays. The execution stays open.
   * Otherwise like `complete()`.
   */
  flush(): Promise<CompletionReceipt>
  /**
   * Discards the calls that are not handed over; the log keeps them as `discarded`. Returns the number
   * of discarded calls. An execution that is garbage-collected before its end is discarded too, with a
   * `warning`.
   *
   * Throws `ERR_SEND_EXECUTION_COMPLETED`.
   */
  discard(): number
  /**
   * Resolves to all deliveries, in call order, when the execution is over and every delivery is
   * terminal.
   *
   * Rejects with `ERR_SEND_TIMEOUT` after `timeoutMs` (default: no limit), and with `ERR_SEND_CLOSED` if
   * the engine closes before that.
   */
  settled(options?: TimeoutOptions | undefined | null): Promise<Array<Delivery>>
}
