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

/**
 * Which binding artifact the generated loader actually loaded: `'native'` for
 * a native addon, otherwise the `platformArchABI` of the WASI flavor. Every
 * flavor napi-rs can build is listed, because `NAPI_RS_NATIVE_LIBRARY_PATH`
 * can point the loader at a WASI artifact this package does not build itself.
 */
export declare const __napiBindingTarget: 'native' | 'wasm32-wasi' | 'wasm32-wasip1'

/**
 * Records and delivers the `$send` calls of workflow steps. Open one per process.
 *
 * Without `dataDir` everything is in memory, and undelivered calls are lost when the process ends.
 * The main thread then waits up to a second for deliveries, as a best effort. Call
 * `await engine.close()` to be sure of them.
 */
export declare class Engine {
  /**
   * Waits until there is room for more calls: until undelivered calls take at most half of
   * `maxPendingBytes`, or nothing is left to deliver. A producer that is faster than its receivers
   * awaits it between calls, so that `$send` never throws `ERR_SEND_JOURNAL_FULL`. While deliveries
   * are paused, it may wait until they are resumed.
   *
   * Rejects with `ERR_SEND_TIMEOUT`, `ERR_SEND_CLOSED`.
   */
  ready(options?: TimeoutOptions | undefined | null): Promise<void>
  /**
   * Pauses a host, a destination, a workflow or everything: nothing of it is attempted before
   * `resume()`. Attempts in flight go on, and calls are recorded as before. With `dataDir` a pause
   * outlives the process; with `journal.postgres` every node holds to it within 250 ms. Resolves, with
   * all pauses, when it is as durable as `complete()`.
   *
   * Rejects with `ERR_SEND_INVALID_ARGUMENT`, `ERR_SEND_JOURNAL`, `ERR_SEND_CLOSED`.
   */
  pause(target: PauseTarget): Promise<Array<Pause>>
  /**
   * Ends a pause; `{ all: true }` ends every pause. Other pauses stay. Resolves with
   * the pauses that are left.
   *
   * Rejects with `ERR_SEND_INVALID_ARGUMENT`, `ERR_SEND_JOURNAL`, `ERR_SEND_CLOSED`.
   */
  resume(target: PauseTarget): Promise<Array<Pause>>
  /**
   * Attempts deliveries now that wait for their next attempt, and probes hosts whose circuit breaker
   * is open. Paused deliveries stay paused. Batches that could not be stored are selected by
   * `destination` alone, or with everything. With `journal.postgres` every node does so. Returns the
   * number of deliveries.
   *
   * Rejects with `ERR_SEND_INVALID_ARGUMENT`, `ERR_SEND_CLOSED`.
   */
  retryNow(filter: RetryFilter): Promise<number>
  /**
   * Opens an engine.
   *
   * Rejects with `ERR_SEND_INVALID_OPTION`, whose message names the path of the option;
   * `ERR_SEND_DATA_DIR_LOCKED`, `ERR_SEND_JOURNAL`, `ERR_SEND_ADDRESS_IN_USE`.
   */
  static open(options?: EngineOptions): Promise<Engine>
  /**
   * Returns deliveries of the log, newest first, including calls that are not completed yet.
   *
   * Rejects with `ERR_SEND_INVALID_ARGUMENT` if `before` is not the id of a delivery.
   */
  deliveries(filter?: DeliveryFilter | undefined | null): Promise<Array<Delivery>>
  /**
   * Returns executions of the log, newest first: one for each attempt of a run.
   *
   * Rejects with `ERR_SEND_INVALID_ARGUMENT` if `before` is neither a `cursor` nor the id of an
   * execution in the log.
   */
  executions(filter?: ExecutionFilter | undefined | null): Promise<Array<ExecutionSummary>>
  /**
   * Closes open batches and waits until every delivery of a completed execution is terminal. For
   * serverless hosts and tests.
   *
   * Rejects with `ERR_SEND_TIMEOUT` after `timeoutMs` (default: no limit), and with
   * `ERR_SEND_CLOSED` if the engine closes before that.
   */
  flush(options?: TimeoutOptions | undefined | null): Promise<void>
  /**
   * Stops taking calls, delivers until the deadline (`timeoutMs`, default 10,000), and returns the
   * counts. Requests still in flight at the deadline are cancelled. Closing again returns the same
   * counts. A shared engine closes with its last handle. `await using engine = …` closes it too.
   */
  close(options?: TimeoutOptions | undefined | null): Promise<CloseResult>
  /** Returns the current counters and gauges. */
  stats(): EngineStats
  /** Returns the addresses declared in `egress.addresses`, for the allow-lists of receivers. */
  egressAddresses(): Array<string>
  /** Returns the address of the server; `null` if the engine was opened without `server`. */
  address(): ServerAddress | null
  /**
   * Returns a signed URL of a workflow's stream, for `EventSource` in a page. It needs no token, and
   * expires.
   *
   * Throws `ERR_SEND_NOT_CONFIGURED` if the engine was opened without `server`,
   * `ERR_SEND_INVALID_ARGUMENT`.
   */
  streamUrl(workflowId: string, options?: StreamUrlOptions): string
  /**
   * Replays the selected dead letters: failed calls that no replay has delivered and that were not
   * dismissed. Each call is taken once, in the original order, as a new delivery of the same
   * execution, linked by `replayOf`. Resolves when the new deliveries are as durable as
   * `complete()` makes them. `skipped` has the selected deliveries that cannot be replayed, with
   * the reason. Without `limit`, replays everything that the filter finds.
   *
   * `dryRun: true` returns the plan instead, and `{ plan: plan.id }` replays the calls of a plan and
   * no others. After `signal` is aborted, no more calls are handed over: the rest stay dead letters.
   * Calls that do not fit into `maxPendingBytes` wait. The event `replay` has the progress.
   *
   * Rejects with `ERR_SEND_INVALID_ARGUMENT` when nothing is selected, an id is malformed or a plan is
   * not known any more,
   * `ERR_SEND_JOURNAL_FULL`, `ERR_SEND_JOURNAL`, `ERR_SEND_CLOSED`.
   */
  replay<Options extends ReplayOptions>(selection: ReplaySelection, options?: Options): Promise<Options extends { dryRun: true } ? ReplayPlan : ReplayResult>
  /**
   * Dismisses the selected dead letters: they stay in the log as failed, do not count as failed
   * calls of their execution, and no filter selects them for a replay. Returns their number.
   *
   * Rejects with `ERR_SEND_INVALID_ARGUMENT`, `ERR_SEND_JOURNAL`, `ERR_SEND_CLOSED`.
   */
  dismiss(selection: ReplaySelection): Promise<number>
}

/**
 * Limits whose excess raises an `alert`: an event of the engine, a metric, and a request to `url`. An
 * alert is raised once for each episode, which ends when the value has been below 80 % of the limit
 * for `calmMs`.
 */
export interface AlertOptions {
  /**
   * The URL that each alert is posted to as JSON, signed as webhooks are. Needs `secret`. Default:
   * none.
   */
  url?: string
  /** The secret that the requests are signed with: `whsec_` and the base64 of 24 to 64 bytes. */
  secret?: string
  /**
   * Percentages of the consecutive failures that open the circuit breaker of a host; `[]`: none.
   * Default: `[50, 70, 90, 100]`.
   */
  breaker?: Array<number>
  /** Age of the call that has waited longest, in milliseconds; 0: none. Default: 900,000 (15 minutes). */
  oldestMs?: number
  /** Rate of deliveries that fail. Default: `{ count: 10, perMs: 60000 }`. */
  deadLetters?: DeadLetterRate
  /** Bytes of the journal's file; 0: none. Default: 80 % of `journal.maxBytes`, or 1 GiB without it. */
  journalBytes?: number
  /** Time for which a value is calm before its episode ends, in milliseconds. Default: 60,000. */
  calmMs?: number
}

/** A role to assume (AWS Security Token Service). */
export interface AssumeRoleOptions {
  /** The ARN of the role: `arn:aws:iam::123456789012:role/NAME`. */
  roleArn: string
  /** The name of the session in the service's logs. Default: `dollar-send`. */
  sessionName?: string
  /** External ID required by the role's trust policy. Default: none. */
  externalId?: string
  /** The URL of the token service. Default: that of the region. */
  endpoint?: string
}

/** Limits of a batch. It is closed at the first of them, and when the engine is flushed or closed. */
export interface BatchOptions {
  /** Time since its first record, in milliseconds, up to a day. Default: 60000. */
  intervalMs?: number
  /** Time since its last record, in milliseconds, up to a day. Default: no idle limit. */
  idleMs?: number
  /** Encoded size in bytes, accurate to a few percent. Default: 64 MiB. */
  maxBytes?: number
  /** Number of records. Default: 100000. */
  maxCount?: number
}

/**
 * The circuit breaker of each host. It opens after consecutive failures, and stops all attempts; after
 * the cooldown one attempt decides whether it closes.
 */
export interface BreakerOptions {
  /** Consecutive failures that open it; 0 disables it. Default: 10. */
  failures?: number
  /** Time that it stays open, in milliseconds. Default: 30000. */
  cooldownMs?: number
}

/** A ClickHouse server. */
export interface ClickHouseOptions {
  /**
   * The URL of its HTTP interface: `https://user:password@host:8443/database`. Required. User and
   * database are `default` by default. A host that is not public needs `egress.allow`.
   */
  url?: string
  /**
   * The name of a cluster in the server's configuration. Its tables are created on each of its hosts
   * (`ON CLUSTER`), as `ReplicatedMergeTree`. Default: none.
   */
  cluster?: string
}

/** The counts that `engine.close()` returns. */
export interface CloseResult {
  /** Deliveries that reached their destination since the engine was opened. */
  delivered: number
  /** Deliveries that failed since the engine was opened. */
  failed: number
  /**
   * Deliveries that were not terminal at the deadline. With `dataDir` they stay in the journal and
   * continue when it is opened again. In memory they are lost: the log shows them as `failed` with
   * `ERR_SEND_INTERRUPTED`.
   */
  pending: number
  /** Calls of executions that were neither completed nor discarded: they were not sent. */
  open: number
}

/** The receipt of `execution.complete()` and `execution.flush()`. */
export interface CompletionReceipt {
  /** The id of the run. */
  executionId: string
  /** Number of calls that were handed over. */
  recorded: number
  /** `true` if the calls survive the end of the process, as with `dataDir`. */
  durable: boolean
}

/** A rate of dead letters. */
export interface DeadLetterRate {
  /** The number of deliveries that fail; 0: no alert. */
  count: number
  /** The period in milliseconds, up to a year. */
  perMs: number
}

/** A batch that could not be stored. */
export interface DelayedBatchStats {
  /** The destination. */
  destination: string
  /** The name under which it is stored. */
  name: string
  /** The number of its records. */
  records: number
  /** The number of attempts to store it. */
  attempts: number
  /** The time of the next attempt (ISO 8601, UTC). */
  nextAttemptAt: string
  /** The message of the last failure. */
  error: string
}

/** The error of a failed delivery. */
export interface DeliveryError {
  /** One of the `ERR_SEND_*` codes. */
  code: ErrorCode
  /** A message for people, without secrets. */
  message: string
  /** The phase of the attempt that failed, if known. */
  phase?: 'dns' | 'connect' | 'tls' | 'request' | 'response' | 'body'
}

/** A filter of deliveries. Absent members match all. */
export interface DeliveryFilter {
  /** Only these deliveries, at most 1,000. */
  ids?: Array<string>
  /** Only this workflow. */
  workflowId?: string
  /** Only this execution. */
  executionId?: string
  /** Only this step. */
  step?: string
  /** Only this destination. */
  destination?: Delivery['destination'] | (string & {})
  /** Only this status. */
  status?: Delivery['status']
  /** The largest number of results. Default: 100. */
  limit?: number
  /** Only deliveries older than the one with this id: the last of the previous page. */
  before?: string
  /** Only deliveries that were terminal then or later (ISO 8601). */
  settledSince?: string
}

/** DuckDB. */
export interface DuckDbOptions {
  /** The file of the database. Default: `warehouse/warehouse.duckdb` in `dataDir`. */
  file?: string | { readonly href: string }
  /** Memory limit in bytes, at least 32 MiB; past it queries use the disk. Default: 128 MiB. */
  memoryBytes?: number
  /** Threads. Default: 2. */
  threads?: number
}

/**
 * Network policy. Loopback, private, link-local, reserved and other special addresses are denied
 * unless they are allowed here.
 */
export interface EgressOptions {
  /**
   * Allowed although they are not public: host names (`hooks.internal`, `*.example.com`), addresses
   * and CIDR ranges (`10.0.0.0/8`). Default: none.
   */
  allow?: Array<string>
  /** Denied hosts, in the same forms. Overrides `allow`. Default: none. */
  deny?: Array<string>
  /** Allowed ports. Default: all. */
  ports?: Array<number>
  /** Allowed URL schemes: `http`, `https`. Default: both. */
  schemes?: Array<string>
  /**
   * A proxy for every request: `http://`, `https://`, `socks5://` or `socks5h://`, with its
   * credentials in the URL. Default: none; the environment is not read.
   */
  proxy?: string
  /** Hosts that bypass the proxy, in the same forms as `allow`. Default: none. */
  noProxy?: Array<string>
  /** The source IP address of connections. Default: chosen by the system. */
  localAddress?: string
  /**
   * The addresses that receivers see, for `engine.egressAddresses()`. They are declared only, and
   * do not change routing. Default: none.
   */
  addresses?: Array<string>
}

/** A login with an access token. */
export interface EmailAuth {
  /** The mechanism. */
  type: 'xoauth2'
  /** The user of the mailbox, such as `me@example.com`. */
  user: string
  /** The access token. With `refresh` it is used until it is refused. Default: none. */
  token?: string
  /** The request for a new access token when there is none or it has expired. Default: none. */
  refresh?: EmailTokenRefresh
}

/** Rate and size limits. A mail over a rate limit is queued, not failed. */
export interface EmailLimits {
  /** Rate limit per sender. Default: unlimited. */
  perSender?: EmailRate
  /** Rate limit per recipient. Default: unlimited. */
  perRecipient?: EmailRate
  /** The largest number of recipients of one mail. Default: 100. */
  maxRecipients?: number
  /** The largest mail in bytes, with encoded attachments. Default: 25 MiB. */
  maxBytes?: number
}

/** The email destination. */
export interface EmailOptions {
  /**
   * The SMTP server: `smtp://user:password@host:587`, or `smtps://` for TLS from the first byte
   * (port 465). `smtp://` encrypts with STARTTLS when the server offers it, and does not send
   * without it when there is a password; `?tls=required` and `?tls=none` say otherwise. Default:
   * none, mails become `.eml` files.
   */
  smtp?: string
  /**
   * The login with an access token of OAuth 2.0 (AUTH XOAUTH2), instead of a password in the URL.
   * `smtp://` then requires STARTTLS. Default: none.
   */
  auth?: EmailAuth
  /**
   * Certificate authorities, a client certificate and pins for the connection to the server, as in
   * `http.tls`. Default: the machine's authorities.
   */
  tls?: Omit<TlsOptions, 'hosts'>
  /**
   * The name of this machine in EHLO. Default: the host name if it has a dot, otherwise the address
   * of the connection, such as `[192.0.2.1]`.
   */
  ehloName?: string
  /**
   * The sender: `notifications@example.com`, or with a name, `Notifications
   * <notifications@example.com>`. Required with `smtp`.
   */
  from?: string
  /** The recipient of all mails: the workflow's owner. Required with `smtp`. */
  to?: string
  /** Additional recipients of mails with `include_collaborators`. Default: none. */
  collaborators?: Array<string>
  /**
   * Senders and recipients of single workflows, by workflow id; `*` matches any characters. The most
   * specific pattern applies. Default: none.
   */
  recipients?: Record<string, EmailPeople>
  /**
   * Recipients that a call may address beyond the owner and the collaborators: addresses, and
   * domains such as `@example.com`. Default: none.
   */
  allowRecipients?: Array<string>
  /**
   * The folder whose files calls may attach by `path`: no file outside it, and no links. Default:
   * none, `path` is ignored.
   */
  attachmentFolder?: string | { readonly href: string }
  /**
   * The headers that a call may give beyond those that begin with `List-`: names in any case; `*`
   * matches any characters. Headers that the mail is made of are refused. Default: none.
   */
  allowHeaders?: Array<string>
  /** Rate and size limits. */
  limits?: EmailLimits
  /**
   * The directory for `.eml` files. Default: `mail` in `dataDir`, or `dollar-send-UID/mail` in the
   * system's temporary directory, readable by this user alone.
   */
  file?: string | { readonly href: string }
  /** Deadline of one delivery in milliseconds, from 1 to 3,600,000. Default: 60000. */
  timeoutMs?: number
  /** Concurrent deliveries, and connections to the server. Default: 4. */
  concurrency?: number
  /**
   * Retries after 4xx replies and failed connections. `statuses` and `hosts` are refused. Default:
   * none; `{}` means five attempts.
   */
  retry?: Omit<RetryOptions, 'hosts' | 'statuses'>
  /** Bytes of each text and html to keep in the log. Default: 64 KiB. */
  logBodyBytes?: number
}

/** The sender and recipients of one workflow. Absent members are as in `email`. */
export interface EmailPeople {
  /** The sender. */
  from?: string
  /** The recipient: the workflow's owner. */
  to?: string
  /** Additional recipients of mails with `include_collaborators`. */
  collaborators?: Array<string>
}

/** A rate: `count` mails may leave at once, later ones as soon as the period allows them. */
export interface EmailRate {
  /** The number of mails. */
  count: number
  /** The period in milliseconds, up to a year. */
  perMs: number
}

/** The refresh-token grant of OAuth 2.0. */
export interface EmailTokenRefresh {
  /**
   * The URL of the token endpoint, such as `https://oauth2.googleapis.com/token`. The policy of
   * `egress` applies to it.
   */
  url: string
  /** The client's id. */
  clientId: string
  /** The client's secret. Default: none. */
  clientSecret?: string
  /** The refresh token. */
  refreshToken: string
  /** The scope. Default: the one that was granted. */
  scope?: string
}

/** Encryption of objects by the service. */
export interface EncryptionOptions {
  /**
   * Encryption with keys of S3 (`AES256`) or of KMS. Default: `'AES256'`; `'aws:kms'` with
   * `kmsKeyId`.
   */
  type?: 'AES256' | 'aws:kms' | 'aws:kms:dsse'
  /** The id, ARN or alias of the KMS key. Default: the account's own key for S3. */
  kmsKeyId?: string
  /** Saves requests to KMS by a key of the bucket. Default: that of the bucket. */
  bucketKey?: boolean
}

/** Options of `Engine.open()`. Unknown keys are refused. */
export interface EngineOptions {
  /**
   * The directory that keeps the journal, the log and the warehouse, so that every completed execution survives
   * the process; a path or a `file:` URL. It is created if it does not exist. One process at a time may open it,
   * and all its worker threads share one engine. Default: none, everything is in memory.
   */
  dataDir?: string | { readonly href: string }
  /**
   * The crash that a completed execution survives: with `'fsync'` a crash of the machine and a loss
   * of power, with `'os'` a crash of the process. Needs `dataDir`. Default: `'fsync'`.
   */
  durability?: 'fsync' | 'os'
  /** The journal in the data directory, or in a PostgreSQL that many machines share. */
  journal?: JournalOptions
  /** How the lock of the data directory is taken. */
  lock?: LockOptions
  /**
   * The name under which worker threads of this process share the engine. Pass the same options, or
   * the name alone, to open it again. Default: none, the engine is not shared.
   */
  name?: string
  /**
   * Throws warnings, such as ignored keys of a call or a URL that does not parse, at the call instead of
   * logging them. Default: `false`.
   */
  strict?: boolean
  /**
   * Delivers calls. With `false` the engine only shows what the journal holds: calls are recorded and
   * wait there for an engine that delivers; with `journal.postgres` other nodes deliver them. Needs
   * `dataDir` or `journal.postgres`. Default: `true`.
   */
  deliver?: boolean
  /**
   * The destination that takes dead letters: one of `engine.destination()`, `'email'`, `'sql'` or
   * `'emit'`. Each delivery that fails is forwarded once, as the log shows it, also across a crash
   * with `dataDir`; what that destination itself cannot deliver is not. Default: none.
   */
  onFailed?: 'email' | 'sql' | 'emit' | (string & {})
  /** Alerts: limits whose excess is reported. */
  alerts?: AlertOptions
  /**
   * The effect of a `$send` call after the end of its execution. With `'warn'` it is logged as
   * discarded, and a process warning names the step; with `'throw'`, and with `strict`, it throws
   * `ERR_SEND_EXECUTION_COMPLETED`. Default: `'warn'`.
   */
  lateCalls?: 'warn' | 'throw'
  /**
   * Concurrent attempts, over all destinations. Default: 1024, or `http.concurrency` if that is
   * given: until version 0.2 it limits all destinations.
   */
  concurrency?: number
  /** The largest recorded call, in bytes. Default: 10 MiB. */
  maxPayloadBytes?: number
  /**
   * The memory that all undelivered calls may take together, in bytes: the payload of each, and 768
   * bytes for what goes with it. Past it `$send` throws `ERR_SEND_JOURNAL_FULL`. Default: 256 MiB.
   */
  maxPendingBytes?: number
  /** Network policy. Default: public addresses only. */
  egress?: EgressOptions
  /** The HTTP destination. */
  http?: HttpOptions
  /** The email destination. Default: mails become `.eml` files. */
  email?: EmailOptions
  /** The S3 destination. Default: objects become files. */
  s3?: S3Options
  /** The SQL destination. Default: DuckDB in `dataDir`; without `dataDir`, none. */
  sql?: SqlOptions
  /** The HTTP server. Default: none, no socket is opened. */
  server?: ServerOptions
  /** Retention and redaction of the log. */
  log?: LogOptions
}

/** Counters and gauges of an engine. */
export interface EngineStats {
  /** Calls recorded since the engine was opened. */
  recorded: number
  /** Deliveries that reached their destination. */
  delivered: number
  /** Deliveries that failed. */
  failed: number
  /** Calls that were discarded. */
  discarded: number
  /** Deliveries that are not terminal, including those in flight. */
  pending: number
  /** Attempts in flight. */
  inFlight: number
  /** Bytes of memory that all undelivered calls take. */
  pendingBytes: number
  /** Executions that are neither completed nor discarded. */
  openExecutions: number
  /** Deliveries that wait for a retry. */
  retrying: number
  /** The queues with work or failures, busiest first. */
  lanes: Array<LaneStats>
  /** Batches that could not be stored and wait for another attempt, oldest first. */
  delayedBatches: Array<DelayedBatchStats>
  /** The pauses, oldest first. */
  pauses: Array<Pause>
}

/** A filter of executions. Absent members match all. */
export interface ExecutionFilter {
  /** Only this workflow. */
  workflowId?: string
  /** The largest number of results. Default: 100. */
  limit?: number
  /**
   * Only executions older than this one: the `cursor` of the last of the previous page. An
   * `executionId` stands for its newest attempt, so a page may repeat older attempts of it.
   */
  before?: string
}

/** One execution in the log. Pipedream's **Dest.** column is `delivered`/`total`. */
export interface ExecutionSummary {
  /** Opaque cursor of this attempt, for `before` of `engine.executions()` and `after` of the REST API. */
  cursor: string
  /** The id of the run. */
  executionId: string
  /** The id of its workflow. */
  workflowId: string
  /** Number of the attempt of the run, from 1. */
  attempt: number
  /** The cause of the run, as `engine.execution()` was given it: `POST /hooks/order`, or a name. */
  trigger?: string
  /** The status: `running` until its end, `failed` if it was completed with an error. */
  status: 'running' | 'completed' | 'failed' | 'discarded'
  /** Calls that reached their destination. A call counts once, however often it was replayed. */
  delivered: number
  /** Calls that failed and are not resolved, by a replay that delivers or by `engine.dismiss()`. */
  failed: number
  /** Calls that were discarded. */
  discarded: number
  /** Failed calls that were dismissed. */
  dismissed: number
  /** Deliveries that are not terminal. */
  pending: number
  /** Number of all calls. */
  total: number
  /** When `engine.execution()` was called (ISO 8601, UTC). */
  startedAt: string
  /** When it was completed or discarded (ISO 8601, UTC). */
  completedAt?: string
  /** The message of the error passed to `complete()`. */
  error?: string
  /** The text passed to `complete()`, or that of `$end()`. */
  message?: string
}

/** The HTTP destination. */
export interface HttpOptions {
  /**
   * Deadline of a whole request in milliseconds, from 1 to 3,600,000: lookup, connection, TLS,
   * writing, waiting, redirects and reading the response. A call's own `timeout` replaces it. Default: 5000.
   */
  timeoutMs?: number
  /** Redirects to follow; 0 follows none. A call's own `maxRedirects` replaces it. Default: 5. */
  maxRedirects?: number
  /**
   * The largest response body to read, in bytes after decompression; past it the connection is
   * closed. Default: 1 MiB.
   */
  maxResponseBytes?: number
  /** Bytes of each request and response body to keep in the log. Default: 64 KiB. */
  logBodyBytes?: number
  /** Concurrent requests, over all hosts. Default: that of `concurrency`. */
  concurrency?: number
  /** Concurrent requests to one host (scheme, name and port). Default: 64. */
  perHostConcurrency?: number
  /** The `User-Agent` of requests without one. Default: `dollar-send/VERSION`. */
  userAgent?: string
  /** Certificate authorities, client certificates and pins. Default: the machine's authorities. */
  tls?: TlsOptions
  /** HTTP/2: `'auto'` where a server offers it over TLS, or `'never'`. Default: `'auto'`. */
  http2?: 'auto' | 'never'
  /**
   * The case of header names over HTTP/1.1: `'lower'`, or `'as-given'` by the step (not through
   * `egress.proxy`). Default: `'lower'`.
   */
  headerCase?: 'lower' | 'as-given'
  /** Retries of failed requests. Default: none; `{}` means five attempts. */
  retry?: RetryOptions
  /** Rate limits. Default: none. */
  rate?: HttpRateOptions
  /**
   * Handling of requests that were in flight when the process died. `'resend'`: send them again,
   * with the same id in an `Idempotency-Key` header (at least once). `'fail'`: fail them with
   * `ERR_SEND_INTERRUPTED`, so that they can be replayed (at most once). Default: `'resend'`.
   */
  onInterrupted?: 'resend' | 'fail'
  /**
   * The requests that have the id of their call as `Idempotency-Key`, unless the call brings a key
   * of its own. `'auto'`: all with `dataDir` and `onInterrupted: 'resend'`, otherwise those with
   * retries, and replays. Default: `'auto'`.
   */
  idempotencyKey?: 'auto' | 'always' | 'never'
}

/**
 * Rate limits of requests, retries included. A call over a limit waits and does not fail; its
 * `warnings` have the time and the option. Limits that apply together are all kept.
 */
export interface HttpRateOptions {
  /** Rate limit of each host (scheme, name and port). Default: unlimited. */
  perHost?: RateOptions
  /**
   * Rate limits of single hosts in place of `perHost`, by host name, `*.example.com`, address or
   * CIDR range. Each matching host is counted for itself. Default: none.
   */
  hosts?: Record<string, RateOptions>
  /** Rate limit of each workflow, over all hosts. Default: unlimited. */
  perWorkflow?: RateOptions
  /**
   * Rate limits of single workflows in place of `perWorkflow`, by id, with `*` for any characters.
   * Each matching workflow is counted for itself. Default: none.
   */
  workflows?: Record<string, RateOptions>
}

/** The journal in the data directory, or the one that many machines share. */
export interface JournalOptions {
  /**
   * The largest size of the journal, in bytes, from 1 MiB to 64 TiB. Past it `complete()` and
   * `flush()` reject with `ERR_SEND_JOURNAL_FULL` and store none of their calls. Default: limited
   * by the disk alone.
   */
  maxBytes?: number
  /**
   * The key that encrypts undelivered calls: 32 bytes, or their base64 or hexadecimal text.
   * Default: the file `journal.key` in the data directory, created with mode 0600. Needed with
   * `journal.postgres`, where all nodes share one.
   */
  key?: string | Uint8Array
  /** The journal in PostgreSQL, which many processes on many machines share. Instead of `dataDir`. */
  postgres?: SharedJournalOptions
  /**
   * Milliseconds that `complete()` and `flush()` wait for a database that is not reachable, from 100
   * to 3,600,000. Then they reject and store nothing. Needs `journal.postgres`. Default: 10,000.
   */
  patienceMs?: number
  /**
   * Milliseconds after which other nodes take over from a node that does not renew its lease, from
   * 1,000 to 600,000. A node renews it four times as often. Needs `journal.postgres`. Default: 10,000.
   */
  leaseMs?: number
}

/** One queue: for `http`, one host. */
export interface LaneStats {
  /** The destination. */
  destination: string
  /** The name of the queue: for `http` the origin of the URL, otherwise the destination's name. */
  lane: string
  /** Attempts in flight. */
  inFlight: number
  /** Deliveries that wait for their turn, or for their next attempt. */
  waiting: number
  /**
   * The circuit breaker. `open`: no attempts after repeated failures; `half-open`: one attempt
   * decides.
   */
  breaker: 'closed' | 'open' | 'half-open'
  /** `true` if it is paused. */
  paused: boolean
}

/** The lock of the data directory. */
export interface LockOptions {
  /**
   * Milliseconds to wait for a data directory that another process has open, from 0 to 3,600,000
   * (an hour). Then `Engine.open()` rejects with `ERR_SEND_DATA_DIR_LOCKED`. Default: 0.
   */
  waitMs?: number
}

/** Retention and redaction of the log. */
export interface LogOptions {
  /** Finished executions to keep per workflow. Those with a dead letter are kept beside them. Default: 100. */
  maxExecutionsPerWorkflow?: number
  /** Days to keep a finished execution. Default: 30. */
  maxAgeDays?: number
  /**
   * The largest size of requests and responses in memory, in bytes. Past it the oldest finished
   * executions are removed, and further deliveries are logged without bodies. Default: 128 MiB.
   */
  maxBytes?: number
  /**
   * Names of more headers to redact. Default: none beyond the built-in ones (authorization, cookies,
   * API keys, tokens, secrets).
   */
  redact?: Array<string>
  /**
   * Indexes the log of a data directory for searches, in the background. Without the index a search
   * reads the log row by row, for 5 seconds at most. Default: `true`.
   */
  search?: boolean
}

/** A pause. */
export interface Pause {
  /** The paused host. */
  host?: string
  /** The paused destination. */
  destination?: string
  /** The paused workflow. */
  workflowId?: string
  /** `true` if everything is paused. */
  all?: boolean
  /** The beginning of the pause (ISO 8601, UTC). */
  since: string
}

/** The target of a pause: exactly one member. */
export interface PauseTarget {
  /** A host: `api.example.com` with all its ports, or `api.example.com:8443`. */
  host?: string
  /** A destination. */
  destination?: Delivery['destination'] | (string & {})
  /** A workflow. */
  workflowId?: string
  /** `true`: everything. */
  all?: boolean
}

/** A PostgreSQL server. */
export interface PostgresOptions {
  /**
   * The URL: `postgres://user:password@host:5432/database`, as providers print it: several hosts,
   * and the parameters of libpq such as `sslmode`, `sslrootcert`, `channel_binding`, `options` and
   * `target_session_attrs`. Required. Connections are encrypted; on this machine only if the server
   * offers it. `sslmode` overrides that. The certificate is always checked. A host that is not
   * public needs `egress.allow`.
   */
  url?: string
  /**
   * Certificate authorities to trust instead of the machine's, in PEM. Default: those in the file
   * of `sslrootcert`, or the machine's.
   */
  ca?: string
  /** The schema of the tables; it is created if it does not exist. Default: `public`. */
  schema?: string
}

/** A rate: `count` requests may be sent at once, later ones as soon as the period allows them. */
export interface RateOptions {
  /** The number of requests. */
  count: number
  /** The period in milliseconds, up to a year. */
  perMs: number
}

/** A new delivery and the one that it replays. */
export interface Replay {
  /** The id of the new delivery. */
  id: string
  /** The id of the failed delivery. */
  replayOf: string
}

/** The plan of a replay: its effect, if it were made now. */
export interface ReplayPlan {
  /** The id of the plan, for `engine.replay({ plan })`. */
  id: string
  /** The number of calls. */
  count: number
  /** The bytes of their payloads. */
  bytes: number
  /** The number of calls for each queue: for `http` the origin, otherwise the destination. */
  hosts: Record<string, number>
  /** The number of calls for each error code. */
  errors: Record<string, number>
  /** The time of the oldest call (ISO 8601, UTC); `null` without calls. */
  oldest?: string | null
  /** The number of selected deliveries that cannot be replayed. */
  skipped: number
  /** The number of them for each reason. */
  reasons: Record<string, number>
}

/** The result of `engine.replay()`. */
export interface ReplayResult {
  /** The new deliveries. */
  replayed: Array<Replay>
  /** The selected deliveries that cannot be replayed. */
  skipped: Array<SkippedReplay>
  /** `true` if `signal` was aborted before all calls were handed over. */
  cancelled: boolean
}

/** The failed deliveries to replay: `plan`, `ids`, or a filter. At least one member is required. */
export interface ReplaySelection {
  /**
   * The `id` of a plan of this engine, which keeps the last 16: its calls, without those that are
   * resolved since. Excludes the other members.
   */
  plan?: string
  /** The ids of failed deliveries. Excludes the other members. */
  ids?: Array<string>
  /** With `ids`: also calls that a replay has delivered, or that were dismissed. */
  force?: boolean
  /** Only this workflow. */
  workflowId?: string
  /** Only this execution. */
  executionId?: string
  /** Only this step. */
  step?: string
  /** Only this destination. */
  destination?: Delivery['destination'] | (string & {})
  /** Only `'failed'` deliveries can be replayed; `{ status: 'failed' }` selects all of them. */
  status?: 'failed'
  /** The largest number of deliveries, newest first. Default: all. */
  limit?: number
  /** Only deliveries older than the one with this id. */
  before?: string
}

/** The deliveries to attempt now. At least one member is required; `{ status: 'pending' }` selects all. */
export interface RetryFilter {
  /** The ids of deliveries. */
  ids?: Array<string>
  /** Only this workflow. */
  workflowId?: string
  /** Only this execution. */
  executionId?: string
  /** Only this step. */
  step?: string
  /** Only this destination. */
  destination?: Delivery['destination'] | (string & {})
  /** Only this host: `api.example.com`, or `api.example.com:8443`. */
  host?: string
  /** Only deliveries whose last attempt failed with this code. */
  errorCode?: ErrorCode | (string & {})
  /** Only `'pending'` deliveries wait for an attempt. */
  status?: 'pending'
}

/**
 * Retries. The delays between attempts are either those of `scheduleMs`, or grow from `initialMs`.
 * Every attempt carries the delivery's id in an `Idempotency-Key` header, unless the call sets one. A
 * call may have its own `retry`: `false`, a number of attempts, or an object with these members but
 * `hosts`.
 */
export interface RetryOptions {
  /**
   * Delays after the first attempt, the second, and so on, in milliseconds: there is one attempt
   * more than delays. Default: none, the delays grow.
   */
  scheduleMs?: Array<number>
  /** Attempts in total, the first included. Default: 5. */
  attempts?: number
  /** Delay before the second attempt, in milliseconds. Default: 1000. */
  initialMs?: number
  /** Factor by which each delay is longer than the one before. Default: 2. */
  factor?: number
  /** The longest delay, in milliseconds. Default: 300000 (5 minutes). */
  maxMs?: number
  /** Random share by which each delay may be shorter, from 0 to 1. Default: 0.5. */
  jitter?: number
  /** Age of a call after which it is not retried, in milliseconds. Default: a day. */
  maxAgeMs?: number
  /**
   * The longest `Retry-After` to honour, in milliseconds; a longer one is cut to it. Default: an
   * hour.
   */
  retryAfterMaxMs?: number
  /**
   * HTTP statuses to retry. Default: 408, 425, 429, 500, 502, 503, 504,
   * 507 and 520 to 530.
   */
  statuses?: Array<number>
  /**
   * Error codes to retry. Default: `ERR_SEND_DNS`, `ERR_SEND_CONNECT`, `ERR_SEND_TLS`,
   * `ERR_SEND_CONNECTION`, `ERR_SEND_TIMEOUT`.
   */
  errors?: Array<ErrorCode>
  /** The circuit breaker. */
  breaker?: BreakerOptions
  /**
   * Options of single hosts, by host name, `*.example.com`, address or CIDR range. Absent members are
   * as for all hosts. Default: none.
   */
  hosts?: Record<string, RetryOptions>
}

/**
 * The S3 destination. With `region`, `endpoint`, keys or a role, objects are stored by a service;
 * without any of them, as files.
 */
export interface S3Options {
  /**
   * A service other than Amazon S3: `https://host:port`, with a path if it has one. Default: Amazon
   * S3.
   */
  endpoint?: string
  /**
   * The region, such as `eu-west-1`; `auto` looks up the region of each bucket. Default: `auto`;
   * `us-east-1` with `endpoint`.
   */
  region?: string
  /**
   * The id of an access key. Default: the credentials in the environment of the process
   * (`AWS_ACCESS_KEY_ID` and the others of the AWS SDKs), then the profile in `~/.aws/credentials`
   * and `~/.aws/config`, then a web identity, then the metadata service of the container or the
   * machine.
   */
  accessKeyId?: string
  /** The secret access key. Required with `accessKeyId`. */
  secretAccessKey?: string
  /** The session token of temporary credentials. Default: none. */
  sessionToken?: string
  /**
   * The profile in `~/.aws/credentials` or `~/.aws/config` whose keys, role or session of
   * `aws sso login` are used. Default: `AWS_PROFILE`, or `default`.
   */
  profile?: string
  /** A role to assume with the credentials. Default: none. */
  assumeRole?: AssumeRoleOptions
  /**
   * The checksum that is sent with each object; buckets with Object Lock require one. Default:
   * `'crc64nvme'`; `'none'` with `endpoint`, because not every service supports it.
   */
  checksum?: 'crc64nvme' | 'sha256' | 'none'
  /** Encryption of objects by the service. Default: that of the bucket. */
  encryption?: EncryptionOptions
  /** The storage class of objects, such as `STANDARD_IA`. Default: `STANDARD`. */
  storageClass?: string
  /** Up to 10 tags of objects, by key. Default: none. */
  tags?: Record<string, string>
  /** The canned access control list of objects, such as `bucket-owner-full-control`. Default: none. */
  acl?: string
  /** The 12 digits of the account that must own the bucket. Default: any account. */
  expectedBucketOwner?: string
  /** Makes the sender pay for requests instead of the bucket's owner. Default: `false`. */
  requesterPays?: boolean
  /**
   * Puts buckets into the path of URLs instead of the host name. Default: `true` with
   * `endpoint`, otherwise `false`.
   */
  forcePathStyle?: boolean
  /**
   * Accepts `http://`, which is not encrypted, in `endpoint`, also that of `assumeRole`. Default:
   * `false`.
   */
  allowHttp?: boolean
  /**
   * The format of objects: a line of JSON for each record, or Parquet (`.parquet`) with a row for each
   * record, whose keys are the columns. Parquet needs the package `@duckdb/node-api`. Default: `'ndjson'`.
   */
  format?: 'ndjson' | 'parquet'
  /**
   * Compression of objects, whose keys end with `.gz`, `.zst` or `.ndjson`. Default: `'gzip'`; `'zstd'`
   * with `format: 'parquet'`.
   */
  compression?: 'gzip' | 'zstd' | 'none'
  /** Limits at which a batch is closed and stored. */
  batch?: BatchOptions
  /**
   * The directory for objects as files, `BUCKET/KEY`. Default: `s3` in `dataDir`, or
   * `dollar-send-UID/s3` in the system's temporary directory, readable by this user alone.
   */
  file?: string | { readonly href: string }
  /** Deadline of one attempt to store a batch, in milliseconds, from 1 to 3,600,000. Default: 300000. */
  timeoutMs?: number
  /** Bytes of each call to keep in the log. Default: 64 KiB. */
  logBodyBytes?: number
}

/** The address of the server. */
export interface ServerAddress {
  /** The IP address. */
  host: string
  /** The port. */
  port: number
  /** The public URL: `server.publicUrl`, or `http://` and the address. */
  url: string
}

/**
 * The HTTP server: streams for browsers (`$send.sse`), and a REST API for emitted events,
 * subscriptions, webhooks and the log. It is open as long as the engine is, and does not keep the
 * process alive.
 */
export interface ServerOptions {
  /**
   * The IP address to listen on. Without `tokens` it must be a loopback address. Default:
   * `'127.0.0.1'`.
   */
  host?: string
  /** The port; 0 chooses a free one, see `engine.address()`. Default: 8787. */
  port?: number
  /**
   * Tokens of requests: `Authorization: Bearer TOKEN`. At least 16 characters each; give several to
   * rotate them without a gap. `{ token, role: 'read' }` only reads. Default: none, every request to
   * the loopback address is authorized.
   */
  tokens?: Array<string | ServerToken>
  /**
   * Allowed origins of pages in a browser (`'https://app.example.com'`), or `'*'` for all, which needs
   * `tokens`. Default: none.
   */
  cors?: Array<string>
  /**
   * The public URL of the server, such as that of a reverse proxy: `'https://send.example.com'`.
   * Default: `http://` and the address.
   */
  publicUrl?: string
  /**
   * Time that an idle connection stays open, in milliseconds, from 1,000 to 3,600,000. It should be
   * longer than that of a load balancer in front. Default: 75,000.
   */
  keepAliveMs?: number
  /** Writes each request to standard error. Default: `false`. */
  accessLog?: boolean
  /**
   * Allows test calls (`POST /v1/try`, and **Try** in the Inspector) with a token whose role is `'act'`:
   * an HTTP request to any address that `egress` permits. Default: `false`.
   */
  try?: boolean
  /** Access to streams. */
  sse?: SseOptions
}

/** A token of requests, with its role. */
export interface ServerToken {
  /** The token: 16 visible ASCII characters or more. */
  token: string
  /**
   * `'read'`: the log, queries and streams; requests that change something are refused. `'act'`:
   * everything. Default: `'act'`.
   */
  role?: 'read' | 'act'
}

/** The database of the shared journal. */
export interface SharedJournalOptions {
  /** The connection URI, as libpq reads it. The egress policy does not apply to it. */
  url?: string
  /** Certificate authorities to trust instead of the machine's, in PEM. Default: none. */
  ca?: string
  /** The schema of the journal's tables. It is made if it is not there. Default: `dollar_send`. */
  schema?: string
  /**
   * The number of parts into which queues are divided among nodes, from 1 to 1024. It is fixed when
   * the journal is set up. Default: 64.
   */
  shards?: number
}

/** A delivery that cannot be replayed. */
export interface SkippedReplay {
  /** The id of the delivery. */
  id: string
  /** The reason. */
  reason: string
}

/** The SQL destination: a data warehouse, whose tables are created from the rows sent to them. */
export interface SqlOptions {
  /**
   * DuckDB, through the package `@duckdb/node-api`, which has to be installed. Default: used with
   * `dataDir`, unless `postgres` or `clickhouse` is given.
   */
  duckdb?: DuckDbOptions
  /** A PostgreSQL server, 11 or later. */
  postgres?: PostgresOptions
  /** A ClickHouse server, 23.3 or later. */
  clickhouse?: ClickHouseOptions
  /** Limits at which a batch is closed and loaded. */
  batch?: BatchOptions
  /**
   * Days to keep rows after their arrival in DuckDB; 0 keeps them forever. Refused for servers, which
   * have their own retention. Default: 30.
   */
  retentionDays?: number
  /** Deadline of one attempt to load a batch, in milliseconds, from 1 to 3,600,000. Default: 300000. */
  timeoutMs?: number
  /** Bytes of each call to keep in the log. Default: 64 KiB. */
  logBodyBytes?: number
}

/** Access to streams without a token. */
export interface SseOptions {
  /**
   * Workflows with public streams: ids, or patterns in which `*` matches any characters. Default:
   * none.
   */
  public?: Array<string>
  /**
   * The signing key of `engine.streamUrl()`: at least 16 bytes, the same in every process that serves
   * one address. Default: random, new each time the engine opens.
   */
  signingKey?: string
}

/** Options of `engine.streamUrl()`. */
export interface StreamUrlOptions {
  /**
   * Lifetime of the URL in milliseconds, up to 31,622,400,000 (366 days). Default: 3,600,000 (an
   * hour).
   */
  expiresInMs?: number
}

/** A time limit. */
export interface TimeoutOptions {
  /** The longest wait, in milliseconds. */
  timeoutMs?: number
}

/** TLS connections. */
export interface TlsOptions {
  /** Additional certificate authorities, in PEM. Default: those of the machine alone. */
  ca?: string
  /** The client certificate and its chain, in PEM. Default: none. */
  cert?: string
  /** The key of the client certificate, in PEM. Default: none. */
  key?: string
  /**
   * Pinned public keys, as base64 of their SHA-256 hashes (`sha256/…`). The server's certificate must
   * be valid and have one of them. Default: none, any key is accepted.
   */
  pins?: Array<string>
  /**
   * Options of single hosts, by host name, `*.example.com`, address or CIDR range. They replace the
   * general ones. Default: none.
   */
  hosts?: Record<string, TlsOptions>
}
