/// <reference lib="esnext.disposable" />

/* The part of the declarations that belongs to JavaScript; what follows it is generated from Rust. */

import type {
  BatchReason,
  EmailRequestLog,
  EmailResponseLog,
  EmitResponseLog,
  HttpRequestLog,
  HttpResponseLog,
  S3ResponseLog,
  SqlResponseLog,
  SseResponseLog,
} from './js/log'
export * from './js/log'

/** The `URL` of the runtime, where its types are loaded (`@types/node`, or the library `dom`). */
type URL = typeof globalThis extends { URL: { prototype: infer Type } } ? Type : never

/** The codes of this package's errors and of failed deliveries. */
export type ErrorCode =
  | 'ERR_SEND_ADDON'
  | 'ERR_SEND_INVALID_OPTION'
  | 'ERR_SEND_INVALID_ARGUMENT'
  | 'ERR_SEND_PAYLOAD_TOO_LARGE'
  | 'ERR_SEND_JOURNAL_FULL'
  | 'ERR_SEND_ADDRESS_IN_USE'
  | 'ERR_SEND_DATA_DIR_LOCKED'
  | 'ERR_SEND_JOURNAL'
  | 'ERR_SEND_EXECUTION_COMPLETED'
  | 'ERR_SEND_CLOSED'
  | 'ERR_SEND_TIMEOUT'
  | 'ERR_SEND_NO_STEP'
  | 'ERR_SEND_NOT_SUPPORTED'
  | 'ERR_SEND_NOT_CONFIGURED'
  | 'ERR_SEND_INVALID_URL'
  | 'ERR_SEND_INVALID_HEADER'
  | 'ERR_SEND_EGRESS_DENIED'
  | 'ERR_SEND_DNS'
  | 'ERR_SEND_CONNECT'
  | 'ERR_SEND_PROXY'
  | 'ERR_SEND_TLS'
  | 'ERR_SEND_CONNECTION'
  | 'ERR_SEND_INVALID_RESPONSE'
  | 'ERR_SEND_STATUS'
  | 'ERR_SEND_TOO_MANY_REDIRECTS'
  | 'ERR_SEND_INTERRUPTED'
  | 'ERR_SEND_DISCARDED'
  | 'ERR_SEND_REFUSED'
  | 'ERR_SEND_UNAVAILABLE'
  | 'ERR_SEND_EMIT_LOOP'
  | 'ERR_SEND_QUERY_NOT_ALLOWED'
  | 'ERR_SEND_QUERY_TIMEOUT'
  | 'ERR_SEND_QUERY_TOO_LARGE'
  | 'ERR_SEND_QUERY_FAILED'
  | 'ERR_SEND_INTERNAL'

/** What `engine.execution()` takes. */
export interface ExecutionOptions {
  /** The workflow's id, such as `p_abc123`. */
  workflowId: string
  /** The id of this run. Default: a new UUIDv7. */
  executionId?: string
  /** Which attempt of the run this is, from 1. Default: 1. */
  attempt?: number
  /**
   * The trace of the run, a `traceparent` of W3C Trace Context, for every HTTP request that brings
   * none. What is no trace context is ignored. Default: none.
   */
  traceparent?: string
  /** The header `tracestate` that goes with it. Default: none. */
  tracestate?: string
  /**
   * How many emitted events in a row led to this run; at 16 an emit is refused: a loop would not end.
   * Default: one more than that of the event whose listener began the run, otherwise 0.
   */
  emitDepth?: number
}

/** What `execution.complete()` takes. */
export interface CompleteOptions {
  /**
   * The error that ended the run, whatever was thrown: the log marks the execution as failed. What
   * was recorded is delivered all the same. Default: none.
   */
  error?: unknown
}

/** What the destinations take as content: text, or anything that is an object. */
export type Content = string | object

/** The argument of `$send.http()`. */
export interface HttpConfig {
  /** The method. Default: `POST` when there is `data`, otherwise `GET`. */
  method?: string
  /** An absolute `http:` or `https:` URL. User-info in it becomes basic auth. */
  url: string | URL
  /**
   * The body. Objects and arrays are sent as JSON, text as it is, a `Buffer` or typed array as
   * bytes, a `URLSearchParams` as a form, a `FormData` as multipart, a `Blob` with its type.
   * Default: no body.
   */
  data?: Content
  /** Request headers. Default: those of axios. */
  headers?: object
  /** Query parameters, merged with those of the URL. Default: none. */
  params?: object
  /** Basic auth; it replaces an `Authorization` header. Default: none. */
  auth?: { username: string; password: string }
  /** Milliseconds for the whole request, instead of `http.timeoutMs`. Default: the engine's. */
  timeout?: number
  /** Redirects that are followed, instead of `http.maxRedirects`; 0 follows none. Default: the engine's. */
  maxRedirects?: number
  /**
   * When it is made again, instead of `http.retry`: `false` for never, a number of attempts
   * altogether, or the members of `http.retry` that differ. Default: the engine's.
   */
  retry?: false | number | Omit<RetryOptions, 'hosts'>
}

/** Addresses: text with commas, an object, or a list of these. */
export type EmailAddresses =
  string | { name?: string; address: string } | Array<string | { name?: string; address: string }>

/** One file of a mail. */
export interface EmailAttachment {
  /** Its name. Default: `attachment-1` and so on. */
  filename?: string
  /** What is in it: bytes, text, or base64 text where `encoding` says so. */
  content: string | Uint8Array | ArrayBuffer
  /** Its type. Default: guessed from the name. */
  contentType?: string
  /** How text is encoded. Default: `'utf8'`. */
  encoding?: 'base64' | 'utf8'
  /** By which `html` shows it: `<img src="cid:…">`. Default: none, it is an attachment. */
  cid?: string
}

/**
 * The argument of `$send.email()`. Without more than the first four members the mail goes to the
 * owner, `email.to` of the engine. Other recipients get it as far as `email.allowRecipients` allows.
 */
export interface EmailConfig {
  /** The subject. Default: none. */
  subject?: string
  /** The plain text. Default: none. */
  text?: string
  /** The HTML text. Default: none. */
  html?: string
  /** Whether it goes to the collaborators too. Default: `false`. */
  include_collaborators?: boolean
  /** Whom it goes to instead of the owner. */
  to?: EmailAddresses
  /** Who gets a copy. Default: nobody. */
  cc?: EmailAddresses
  /** Who gets a copy that others do not see. Default: nobody. */
  bcc?: EmailAddresses
  /** Whom an answer goes to. Default: the sender. */
  replyTo?: EmailAddresses
  /** The name of the sender; its address is the engine's. Default: the engine's. */
  from?: string
  /** Files. Default: none. */
  attachments?: Array<EmailAttachment>
  /** Headers that begin with `List-`, such as `List-Unsubscribe`. Default: none. */
  headers?: Record<string, string>
}

/**
 * The argument of `$send.s3()`. Records of one bucket and prefix are stored together, once a minute
 * by default, as the lines of one compressed object
 * `PREFIX` + `YYYY/MM/DD/HH/YYYY-MM-DD-HH-MM-SS-IDENTIFIER.gz` (UTC).
 */
export interface S3Config {
  /** The bucket. */
  bucket: string
  /**
   * What the keys of the objects begin with, as it is: end it with `/` for a folder. No `..`, no
   * control characters, no `/` at its beginning, at most 919 bytes. Default: nothing.
   */
  prefix?: string
  /**
   * One record, which becomes one line: JSON, and a text as it is. An empty text and one with line
   * breaks become JSON texts, so that they stay one line; bytes become base64 text.
   */
  payload: Content
}

/** The argument of `$send.sql()`. */
export interface SqlConfig {
  /** The table: letters, digits and `_`, which is not the first. Upper and lower case are the same. */
  table: string
  /** One row: an object, whose keys are the columns. Anything else fails the delivery. */
  payload: Content
}

/** The argument of `$send.sse()`. */
export interface SseConfig {
  /**
   * The name of the event: what a page listens to (`source.addEventListener(channel, …)`). Line breaks
   * and NULs become spaces; an empty one means `message`.
   */
  channel: string
  /** The data of the event: its JSON text. Bytes become base64 text. */
  payload: Content
}

/**
 * The destinations, each a function that does not depend on `this`. A call checks and snapshots its
 * argument, records it and returns `undefined`: nothing is sent before the execution is completed.
 *
 * Every method throws `ERR_SEND_INVALID_ARGUMENT`, `ERR_SEND_PAYLOAD_TOO_LARGE`,
 * `ERR_SEND_JOURNAL_FULL` and, after the end, `ERR_SEND_EXECUTION_COMPLETED`.
 */
export interface Send {
  /** One HTTP request, with one attempt and a deadline of 5 s unless configured otherwise. */
  http(config: HttpConfig): void
  /** A mail to the owner, over `email.smtp` of the engine or into a file. One attempt by default. */
  email(config: EmailConfig): void
  /** A record of an object, in S3 (`s3` of the engine) or in a file. Stored with others, in batches. */
  s3(config: S3Config): void
  /** A row of a table in the warehouse. Loaded with others, in batches. */
  sql(config: SqlConfig): void
  /** An event of the workflow's stream, for browsers (`server` of the engine). */
  sse(config: SseConfig): void
  /** An event, for those who subscribed to the workflow, and for who asks later. */
  emit(config: { raw_event: object }): void
  emit(event: object, channel?: string | { name?: string }): void
}

/** One code cell or action of an execution. */
export interface Step {
  /** Its name, as the log shows it. */
  readonly name: string
  /** The destinations, as v1 steps call them. */
  readonly $send: Send
  /** `{ send: $send }`, for component actions: spread it into the runner's own `$`. */
  readonly $: { readonly send: Send }
}

/** Something that the operator should know. */
export interface WarningEvent {
  /** What it is about, such as `EXECUTION_DROPPED`. */
  code: string
  /** A sentence for people. */
  message: string
  /** The execution concerned, if one is. */
  executionId?: string
}

/** What happened to a batch of records. */
export interface BatchEvent {
  /** The destination. */
  destination: string
  /** What it is called: for `s3` the bucket, `/` and the key; for `sql` the table, `/` and an id. */
  name: string
  /** `delayed`: an attempt failed, and there is another. The last of all is `stored` or `failed`. */
  status: 'sealed' | 'delayed' | 'stored' | 'failed'
  /** Why it was closed. */
  reason: BatchReason
  /** How many records it has. */
  records: number
  /** How many bytes it has, encoded. */
  bytes: number
  /** When it was closed, as ISO 8601 text. */
  sealedAt: string
  /** Attempts to store it. */
  attempts: number
  /** Why it is delayed or failed. */
  error?: string
}

/** What `engine.on()` tells. */
export interface EngineEvents {
  /** A delivery became terminal. */
  delivery: Delivery
  /** An execution is over and all its deliveries are terminal. */
  execution: ExecutionSummary
  /** Something happened to a batch. */
  batch: BatchEvent
  /** Something that the operator should know. */
  warning: WarningEvent
}

/** Which emitted events a listener gets. Either `emitterId` or `listenerId` has to be there. */
export interface SubscribeOptions {
  /** The workflow that emits, or a pattern of ids in which `*` stands for any characters. */
  emitterId?: string
  /**
   * The channel, or a pattern of channels. `$errors`: executions that were completed with an error.
   * Default: events without a channel.
   */
  eventName?: string
  /** What subscriptions made by REST with this `listener_id` ask for. */
  listenerId?: string
}

/** One call of a destination that is written in JavaScript. */
export interface DestinationItem<Argument = any> {
  /** The delivery's id, the same for each attempt: what to tell repetitions by. */
  id: string
  /** The workflow whose step made the call. */
  workflowId: string
  /** When the call was made, as ISO 8601 text. */
  recordedAt: string
  /** What the step gave, as JSON says it. */
  argument: Argument
}

/** How an attempt at one item ended. */
export type DestinationStatus = 'delivered' | 'retry' | 'failed'

/** What became of one item. `retry`: it is attempted again, not before `afterMs` milliseconds. */
export type DestinationOutcome =
  | DestinationStatus
  | {
      status: DestinationStatus
      /** Why, for the log. Default: nothing. */
      error?: unknown
      /** Milliseconds before the next attempt, for `retry`. Default: as `retry` of the destination. */
      afterMs?: number
      /** What the log is to show of it, up to 64 KiB of JSON. Default: nothing. Not for batches. */
      response?: unknown
    }

/** A destination that is written in JavaScript. */
export interface DestinationOptions<Argument = any> {
  /**
   * Delivers, and answers an outcome for each item, in their order; nothing means that all are
   * delivered. What it throws fails each item, or has it attempted again if the error has
   * `retryable: true`. `batchId` is the same for each attempt at the same items. Items that were
   * delivered may come again, after a crash and when the answer came too late.
   */
  deliver(
    items: Array<DestinationItem<Argument>>,
    context: { batchId: string },
  ): Promise<Array<DestinationOutcome> | void> | Array<DestinationOutcome> | void
  /** Milliseconds that `deliver` may take; then it counts as a failure that may mend. Default: 30000. */
  timeoutMs?: number
  /** Calls of `deliver` at once. Default: 4. */
  concurrency?: number
  /**
   * When an item that asks for it is attempted again; `false` for never. Default: five attempts,
   * the delays growing from a second.
   */
  retry?: boolean | Omit<RetryOptions, 'hosts' | 'statuses' | 'errors'>
  /** Calls are delivered together, until one of these. Default: each by itself, at once. */
  batch?: BatchOptions
}

/** An event that a workflow emitted. */
export interface EmittedEvent {
  /** Its id in the stream of the workflow. */
  id: string
  /** The delivery that emitted it. */
  emitId: string
  /** The workflow that emitted it. */
  emitterId: string
  /** The channel; empty for the default one. */
  name: string
  /** The event. */
  event: any
  /** How many emitted events led to it. */
  depth: number
}

/** Options of `engine.sql()`. */
export interface QueryOptions {
  /** `'rows'`: columns and rows as values; `'json'`: the rows as JSON; `'csv'`: as CSV. Default: `'rows'`. */
  format?: 'rows' | 'json' | 'csv'
  /** Milliseconds that the query may take; then it is interrupted. Default: 60000. */
  timeoutMs?: number
  /** Bytes that the result may have as text. Default: 1 GB. A text of JavaScript has half of that. */
  maxBytes?: number
}

/** What a query found. */
export interface QueryResult<Row = Record<string, any>> {
  /** The columns, in their order, with their types in SQL. */
  columns: Array<{ name: string; type: string }>
  /** The rows. Dates and times are texts; whole numbers that JavaScript does not have are too. */
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
   * Asks the warehouse. The query is one SELECT, WITH, SHOW TABLES, DESCRIBE or EXPLAIN in the SQL of
   * DuckDB, and can reach nothing but the tables. What `$send.sql` recorded is there once its batch is
   * loaded: `engine.flush()` loads it now.
   *
   * Rejects with `ERR_SEND_QUERY_NOT_ALLOWED`, `ERR_SEND_QUERY_FAILED` (such as no such table),
   * `ERR_SEND_QUERY_TIMEOUT`, `ERR_SEND_QUERY_TOO_LARGE`, `ERR_SEND_NOT_CONFIGURED`,
   * `ERR_SEND_INVALID_ARGUMENT`, `ERR_SEND_CLOSED`.
   */
  sql<Row = Record<string, any>>(
    query: string,
    options?: QueryOptions & { format?: 'rows' },
  ): Promise<QueryResult<Row>>
  sql(query: string, options: QueryOptions & { format: 'json' | 'csv' }): Promise<string>
  /**
   * Calls `listener` for each emitted event that is asked for. The answer ends that. Executions that
   * begin in the listener, synchronously or later, count as caused by the event: that is how loops
   * are found. Listeners never keep the process alive; one that throws does not disturb the others,
   * its error is reported as an uncaught exception.
   *
   * Throws `ERR_SEND_INVALID_ARGUMENT`.
   */
  subscribe(options: SubscribeOptions, listener: (event: EmittedEvent) => unknown): () => void
  /**
   * Adds a destination: `$send.NAME(argument)` of steps that begin after this is recorded, kept,
   * retried and logged as the others, and `deliver` is called on this thread, as long as the engine
   * is referred to. The argument is an object. What an earlier process left waits until it is there.
   * `declare module 'dollar-send' { interface Send { slack(message: Message): void } }` tells of it.
   *
   * Throws `ERR_SEND_INVALID_ARGUMENT`, `ERR_SEND_CLOSED`.
   */
  destination<Argument = any>(name: string, options: DestinationOptions<Argument>): this
  /**
   * Calls `listener` for each event. Listeners never keep the process alive; one that throws does
   * not disturb the others, its error is reported as an uncaught exception.
   */
  on<E extends keyof EngineEvents>(event: E, listener: (event: EngineEvents[E]) => void): this
  /** Removes a listener. */
  off<E extends keyof EngineEvents>(event: E, listener: (event: EngineEvents[E]) => void): this
  /** `close()`, for `await using`. */
  [Symbol.asyncDispose](): Promise<void>
}

/**
 * One run of one workflow: its steps record calls, and its completion hook hands them over.
 * Made by `engine.execution()`.
 */
export declare class Execution {
  private constructor()
  /** The id of this run. */
  get executionId(): string
  /** The id of its workflow. */
  get workflowId(): string
  /**
   * One code cell or action of this run.
   *
   * Throws `ERR_SEND_INVALID_ARGUMENT`, `ERR_SEND_EXECUTION_COMPLETED`.
   */
  step(name: string): Step
  /**
   * The completion hook: hands over what was recorded, then the background delivers it. Nothing
   * can be recorded from the moment of the call. Resolves when the calls are as durable as
   * configured; never waits for the network.
   *
   * Rejects with `ERR_SEND_EXECUTION_COMPLETED`, `ERR_SEND_CLOSED`; and with
   * `ERR_SEND_JOURNAL_FULL` or `ERR_SEND_JOURNAL` when the data directory cannot take the calls.
   * Then none of them is handed over, and the execution is open as before: it can be completed
   * again.
   */
  complete(options?: CompleteOptions): Promise<CompletionReceipt>
  /**
   * Hands over what is recorded so far, for a run that suspends or delays; the execution goes
   * on. Otherwise as `complete()`.
   */
  flush(): Promise<CompletionReceipt>
  /**
   * Drops what is recorded and not handed over; the log keeps it as `discarded`. The answer is
   * the number of calls. An execution that is garbage-collected before its end does the same
   * and emits a `warning`.
   *
   * Throws `ERR_SEND_EXECUTION_COMPLETED`.
   */
  discard(): number
  /**
   * Resolves when the execution is over and every delivery is terminal: all deliveries in call
   * order.
   *
   * Rejects with `ERR_SEND_TIMEOUT` after `timeoutMs`; without it, waits as long as it takes.
   */
  settled(options?: TimeoutOptions | undefined | null): Promise<Array<Delivery>>
}

/** Options of {@link runStep}. Unknown keys are refused. */
export interface RunStepOptions {
  /** The workflow that the step belongs to, as in `engine.execution()`. */
  workflowId: string
  /** Id of this run. Default: generated. */
  executionId?: string
  /** Which attempt of the run this is, from 1. Default: 1. */
  attempt?: number
  /** The trace of the run, as in `engine.execution()`. Default: none. */
  traceparent?: string
  /** What goes with it. Default: none. */
  tracestate?: string
  /** How many emitted events led to the run, as in `engine.execution()`. */
  emitDepth?: number
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
 * Without a data directory everything is in memory: what is not delivered when the process ends
 * is lost. At the end of the process the main thread waits up to a second for deliveries that
 * are under way; that is a courtesy, not a guarantee: `await engine.close()` is.
 */
export declare class Engine {
  /**
   * Opens an engine. Every option is checked; a message names the path of what is wrong.
   *
   * Rejects with `ERR_SEND_INVALID_OPTION`.
   */
  static open(options?: EngineOptions): Promise<Engine>
  /**
   * The log, newest first, calls in open buffers included.
   *
   * Rejects with `ERR_SEND_INVALID_ARGUMENT` when `before` is not the id of a delivery.
   */
  deliveries(filter?: DeliveryFilter | undefined | null): Promise<Array<Delivery>>
  /**
   * The executions in the log, newest first: one for each attempt of a run.
   *
   * Rejects with `ERR_SEND_INVALID_ARGUMENT` when `before` is neither a `cursor` nor the id of an
   * execution in the log.
   */
  executions(filter?: ExecutionFilter | undefined | null): Promise<Array<ExecutionSummary>>
  /**
   * Retries failed deliveries as new deliveries of the same executions, linked by `replayOf`.
   * Resolves when they are as durable as `complete()` makes them. `skipped` lists the ids that
   * are not those of failed deliveries. Without `limit`, replays everything that the filter
   * finds.
   *
   * Rejects with `ERR_SEND_INVALID_ARGUMENT` when nothing is selected or an id is malformed,
   * `ERR_SEND_JOURNAL_FULL`, `ERR_SEND_JOURNAL`, `ERR_SEND_CLOSED`.
   */
  replay(selection: ReplaySelection): Promise<ReplayResult>
  /**
   * Closes open batches and waits until every delivery that was handed over is terminal. For
   * serverless hosts and tests.
   *
   * Rejects with `ERR_SEND_TIMEOUT` after `timeoutMs` (default: no limit), and with
   * `ERR_SEND_CLOSED` when the engine closes with work left.
   */
  flush(options?: TimeoutOptions | undefined | null): Promise<void>
  /**
   * Takes no more work, drains until the deadline (`timeoutMs`, default 10 s), and returns the
   * counts. Requests still in flight at the deadline are cancelled. Closing again returns the
   * same counts. An engine that is shared ends with its last handle. Also
   * `await using engine = …`.
   */
  close(options?: TimeoutOptions | undefined | null): Promise<CloseResult>
  /** Counters and gauges as they are now. */
  stats(): EngineStats
  /** The addresses that the operator declared in `egress.addresses`, for allow-lists. */
  egressAddresses(): Array<string>
  /** Where the server listens; nothing when the engine was opened without `server`. */
  address(): ServerAddress | null
  /**
   * The URL of a workflow's stream that opens it without a token, for a time: what a page gives
   * to `EventSource`.
   *
   * Throws `ERR_SEND_NOT_CONFIGURED` when the engine was opened without `server`,
   * `ERR_SEND_INVALID_ARGUMENT`.
   */
  streamUrl(workflowId: string, options?: StreamUrlOptions): string
}

/** A role that is taken with the keys (AWS Security Token Service). */
export interface AssumeRoleOptions {
  /** The role: `arn:aws:iam::123456789012:role/NAME`. */
  roleArn: string
  /** What the session is called in the service's logs. Default: `dollar-send`. */
  sessionName?: string
  /** What the owner of the role wants to hear. Default: none. */
  externalId?: string
  /** The token service. Default: that of the region. */
  endpoint?: string
}

/** When a batch is closed: at the first of these, and when the engine is flushed or closed. */
export interface BatchOptions {
  /** Milliseconds since its first record. Default: 60000. */
  intervalMs?: number
  /** Milliseconds since its last record. Default: any number. */
  idleMs?: number
  /** Bytes as they are encoded, within a few percents. Default: 64 MiB. */
  maxBytes?: number
  /** Records. Default: 100000. */
  maxCount?: number
}

/**
 * The circuit breaker of each host: after so many failures in a row it opens, and nothing is
 * attempted; after the cooldown one attempt decides whether it closes.
 */
export interface BreakerOptions {
  /** Failures in a row that open it; 0: it never opens. Default: 10. */
  failures?: number
  /** Milliseconds that it stays open. Default: 30000. */
  cooldownMs?: number
}

/** A ClickHouse server. */
export interface ClickHouseOptions {
  /**
   * Its HTTP interface: `https://user:password@host:8443/database`. User and database are `default`
   * by default. A host that is not public needs `egress.allow`.
   */
  url?: string
}

/** What `engine.close()` answers. */
export interface CloseResult {
  /** Deliveries that reached their destination since the engine was opened. */
  delivered: number
  /** Deliveries that failed since the engine was opened. */
  failed: number
  /**
   * Deliveries that were not terminal at the deadline. With `dataDir` they stay in the journal
   * and go on with the next opening. In memory they are lost: the log shows them as `failed`
   * with `ERR_SEND_INTERRUPTED`.
   */
  pending: number
}

/** What the completion hook answers. */
export interface CompletionReceipt {
  /** The execution. */
  executionId: string
  /** Calls that were handed over by this hook. */
  recorded: number
  /** Whether they survive the end of the process: `true` with `dataDir`. */
  durable: boolean
}

/** One delivery in the log: a call, and all that is known about what became of it. */
export interface Delivery {
  /** A `UUIDv7`: time-ordered, stable from the call on. */
  id: string
  /** The workflow. */
  workflowId: string
  /** The run. */
  executionId: string
  /** The step that made the call. */
  step: string
  /** Place of the call within its execution, from 0. */
  index: number
  /** The failed delivery that this one repeats. */
  replayOf?: string
  /** The method of `$send` that was called. */
  destination: 'http' | 'email' | 's3' | 'sql' | 'sse' | 'emit' | (string & {})
  /** Where it is. `delivered`, `failed` and `discarded` are terminal. */
  status: 'recorded' | 'pending' | 'batched' | 'in-flight' | 'delivered' | 'failed' | 'discarded'
  /**
   * The request, redacted. `http`: `HttpRequestLog`; `email`: the mail, `EmailRequestLog`; other
   * destinations: the call as recorded.
   */
  request: HttpRequestLog | EmailRequestLog | Record<string, unknown>
  /** The response, if there was one, also when it means failure. */
  response?: HttpResponseLog | EmailResponseLog | S3ResponseLog | SqlResponseLog | SseResponseLog | EmitResponseLog
  /** Why it failed. */
  error?: DeliveryError
  /** What is odd about the call, one sentence each. */
  warnings: Array<string>
  /** Attempts begun. */
  attempts: number
  /** When the call was made (ISO 8601, UTC). */
  recordedAt: string
  /** When the destination had it. */
  deliveredAt?: string
  /** When it became terminal. */
  settledAt?: string
}

/** Why a delivery failed. */
export interface DeliveryError {
  /** One of the `ERR_SEND_*` codes. */
  code: ErrorCode
  /** A sentence for people; it names no secret. */
  message: string
  /** What was under way when it failed, when that is known. */
  phase?: 'dns' | 'connect' | 'tls' | 'request' | 'response' | 'body'
}

/** Which deliveries `engine.deliveries()` answers; what is absent does not restrict. */
export interface DeliveryFilter {
  /** Only of this workflow. */
  workflowId?: string
  /** Only of this execution. */
  executionId?: string
  /** Only of this step. */
  step?: string
  /** Only to this destination. */
  destination?: Delivery['destination']
  /** Only in this status. */
  status?: Delivery['status']
  /** At most this many. Default: 100. */
  limit?: number
  /** Only older than the delivery with this id: the last one of the page before. */
  before?: string
}

/** DuckDB in this process. */
export interface DuckDbOptions {
  /** The file of the database. Default: `warehouse/warehouse.duckdb` in `dataDir`. */
  file?: string
  /** Bytes of memory that it may use, from 32 MiB; past it, queries use the disk. Default: 128 MiB. */
  memoryBytes?: number
  /** Threads that it may use. Default: 2. */
  threads?: number
}

/**
 * What may be reached over the network. Loopback, private, link-local, reserved and other special
 * addresses are denied unless they are allowed here.
 */
export interface EgressOptions {
  /**
   * Host names (`hooks.internal`, `*.example.com`), addresses and CIDR ranges (`10.0.0.0/8`)
   * that may be reached although they are not public. Default: none.
   */
  allow?: Array<string>
  /** The same spellings, never to be reached. Wins over `allow`. Default: none. */
  deny?: Array<string>
  /** The only ports that may be connected to. Default: all. */
  ports?: Array<number>
  /** The only URL schemes that may be used, of `http` and `https`. Default: both. */
  schemes?: Array<string>
  /**
   * A proxy for every request: `http://`, `https://`, `socks5://` or `socks5h://`, with
   * credentials in the URL if it wants them. Default: none; the environment is not read.
   */
  proxy?: string
  /** Hosts that are reached without the proxy, spelled as in `allow`. Default: none. */
  noProxy?: Array<string>
  /** The source address of connections. Default: the system's choice. */
  localAddress?: string
  /**
   * The addresses that receivers see, as you know them: what `engine.egressAddresses()`
   * answers. Default: none.
   */
  addresses?: Array<string>
}

/** Bounds of what is sent. A mail over a rate waits until it is in order; it does not fail. */
export interface EmailLimits {
  /** Mails from one sender in a time. Default: any number. */
  perSender?: EmailRate
  /** Mails to one recipient in a time. Default: any number. */
  perRecipient?: EmailRate
  /** Recipients of one mail. Default: 100. */
  maxRecipients?: number
  /** Bytes of one mail as it is sent, attachments encoded. Default: 25 MiB. */
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
   * Whom mails are from: `notifications@example.com`, or with a name, `Notifications
   * <notifications@example.com>`. Needed with `smtp`.
   */
  from?: string
  /** The owner, whom mails go to. Needed with `smtp`. */
  to?: string
  /** Whom mails with `include_collaborators` go to too. Default: nobody. */
  collaborators?: Array<string>
  /**
   * Workflows with people of their own, by id; `*` in it stands for any characters. The pattern
   * that says most counts. Default: none.
   */
  recipients?: Record<string, EmailPeople>
  /**
   * Whom a call may address beyond the owner and the collaborators: addresses, and domains such
   * as `@example.com`. Default: nobody.
   */
  allowRecipients?: Array<string>
  /** How much is sent. */
  limits?: EmailLimits
  /**
   * The directory for mails as files. Default: `mail` in `dataDir`, or `dollar-send-UID/mail` in
   * the system's temporary directory, for this user alone.
   */
  file?: string
  /** Milliseconds that the delivery of one mail may take. Default: 60000. */
  timeoutMs?: number
  /** Mails under way at once, and connections to the server. Default: 4. */
  concurrency?: number
  /**
   * When a mail that the server could not take is sent again: after 4xx answers and failed
   * connections. `statuses` and `hosts` have no meaning here. Default: never; `{}` means five
   * attempts.
   */
  retry?: Omit<RetryOptions, 'hosts' | 'statuses'>
  /** Bytes of each text and html that the log keeps. Default: 64 KiB. */
  logBodyBytes?: number
}

/** The people of one workflow; what is not here is as for all. */
export interface EmailPeople {
  /** Whom mails are from. */
  from?: string
  /** The owner. */
  to?: string
  /** The collaborators. */
  collaborators?: Array<string>
}

/** So many in a time: all at once, then one after another as they come to be in order. */
export interface EmailRate {
  /** How many. */
  count: number
  /** In how many milliseconds. */
  perMs: number
}

/** What `Engine.open()` takes. Unknown keys are refused. */
export interface EngineOptions {
  /**
   * The directory that keeps the journal, the log and the warehouse, so that every completed execution survives
   * the process; it is made if it is not there. One process at a time may open it, and all its
   * worker threads share one engine. Default: none, everything is in memory.
   */
  dataDir?: string
  /**
   * What a completed execution survives: with `'fsync'` a crash of the machine and a loss of
   * power, with `'os'` a crash of the process. Default: `'fsync'`.
   */
  durability?: 'fsync' | 'os'
  /** The journal in the data directory. */
  journal?: JournalOptions
  /** How the lock of the data directory is taken. */
  lock?: LockOptions
  /**
   * A name under which worker threads of this process open the same engine. Give the same options
   * or the name alone to open it again. Default: none, an engine of its own.
   */
  name?: string
  /**
   * Warnings, such as ignored keys of a call or a URL that does not parse, throw at the call
   * instead of being logged. Default: `false`.
   */
  strict?: boolean
  /** Bytes that one recorded call may have. Default: 10 MiB. */
  maxPayloadBytes?: number
  /** Bytes that all undelivered calls may have together. Default: 256 MiB. */
  maxPendingBytes?: number
  /** What may be reached over the network. Default: public addresses only. */
  egress?: EgressOptions
  /** The HTTP destination. */
  http?: HttpOptions
  /** The email destination. Default: mails become `.eml` files. */
  email?: EmailOptions
  /** The S3 destination. Default: objects become files. */
  s3?: S3Options
  /** The SQL destination. Default: with `dataDir`, DuckDB in it; else there is none. */
  sql?: SqlOptions
  /** The server. Default: none, no socket is opened. */
  server?: ServerOptions
  /** What the log keeps. */
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
  /** Handed over and not terminal, those in flight included. */
  pending: number
  /** Attempts under way. */
  inFlight: number
  /** Bytes of all undelivered calls. */
  pendingBytes: number
  /** Executions that are neither completed nor discarded. */
  openExecutions: number
  /** Deliveries that wait for their next attempt. */
  retrying: number
  /** The queues that have work or fail, busiest first. */
  lanes: Array<LaneStats>
}

/** Which executions `engine.executions()` answers; what is absent does not restrict. */
export interface ExecutionFilter {
  /** Only of this workflow. */
  workflowId?: string
  /** At most this many. Default: 100. */
  limit?: number
  /**
   * Only older than this: the `cursor` of the last execution of the page before. An `executionId`
   * means its newest attempt, so that a page may repeat older attempts of it.
   */
  before?: string
}

/** One execution in the log; the Inspector's **Dest.** column is `delivered`/`total`. */
export interface ExecutionSummary {
  /**
   * Opaque text that names this attempt alone: `before` of `engine.executions()` and `after` of
   * the REST API continue from it.
   */
  cursor: string
  /** The run. */
  executionId: string
  /** Its workflow. */
  workflowId: string
  /** Which attempt of the run it is. */
  attempt: number
  /** `running` until its end; `failed` if it was completed with an error. */
  status: 'running' | 'completed' | 'failed' | 'discarded'
  /** Deliveries that reached their destination. */
  delivered: number
  /** Deliveries that failed. */
  failed: number
  /** Calls that were discarded. */
  discarded: number
  /** Deliveries that are not terminal. */
  pending: number
  /** All calls. */
  total: number
  /** When `engine.execution()` was called (ISO 8601, UTC). */
  startedAt: string
  /** When it was completed or discarded. */
  completedAt?: string
  /** The message of the error that it was completed with. */
  error?: string
}

/** How the HTTP destination behaves. */
export interface HttpOptions {
  /**
   * Milliseconds for a whole request: lookup, connection, TLS, writing, waiting, redirects and
   * reading the response. Default: 5000.
   */
  timeoutMs?: number
  /** Redirects that are followed; 0 follows none. Default: 5. */
  maxRedirects?: number
  /**
   * Bytes of a response's body that are read, after decompression; past it the connection is
   * dropped. Default: 1 MiB.
   */
  maxResponseBytes?: number
  /** Bytes of each request's and response's body that the log keeps. Default: 64 KiB. */
  logBodyBytes?: number
  /** Requests under way at once, over all hosts. Default: 1024. */
  concurrency?: number
  /** Requests under way at once to one host (scheme, name and port). Default: 64. */
  perHostConcurrency?: number
  /** The `User-Agent` of requests that bring none. Default: `dollar-send/VERSION`. */
  userAgent?: string
  /** Certificate authorities, client certificates and pins. Default: the machine's authorities. */
  tls?: TlsOptions
  /** HTTP/2: `'auto'` where a server offers it over TLS, or `'never'`. Default: `'auto'`. */
  http2?: 'auto' | 'never'
  /** When a failed request is made again. Default: never; `{}` means five attempts. */
  retry?: RetryOptions
  /**
   * What becomes of a request that was under way when the process died. `'resend'`: it is sent
   * again, with the same id in an `Idempotency-Key` header (at least once). `'fail'`: it fails
   * with `ERR_SEND_INTERRUPTED` and can be replayed (at most once). Default: `'resend'`.
   */
  onInterrupted?: 'resend' | 'fail'
}

/** The journal in the data directory. */
export interface JournalOptions {
  /**
   * Bytes of the journal past which `complete()` and `flush()` reject with
   * `ERR_SEND_JOURNAL_FULL` and keep nothing of what they were to hand over. Default: no limit
   * but the disk's.
   */
  maxBytes?: number
  /**
   * The key that seals calls which are not delivered: 32 bytes, or their base64 or hexadecimal
   * text. Default: the file `journal.key` in the data directory, made with mode 0600.
   */
  key?: string | Uint8Array
}

/** One queue: for `http`, one host. */
export interface LaneStats {
  /** The destination. */
  destination: string
  /** For `http` the origin of the URL, otherwise the destination's name. */
  lane: string
  /** Attempts under way. */
  inFlight: number
  /** Deliveries that wait. */
  waiting: number
  /** `open`: the host keeps failing and is left alone; `half-open`: it is probed. */
  breaker: 'closed' | 'open' | 'half-open'
}

/** How the lock of the data directory is taken. */
export interface LockOptions {
  /**
   * Milliseconds to wait for a data directory that another process has open, before
   * `Engine.open()` rejects with `ERR_SEND_DATA_DIR_LOCKED`. Default: 0.
   */
  waitMs?: number
}

/** What the log keeps. */
export interface LogOptions {
  /** Finished executions per workflow. Default: 100. */
  maxExecutionsPerWorkflow?: number
  /** Days after which a finished execution is forgotten. Default: 30. */
  maxAgeDays?: number
  /**
   * Bytes of requests and responses in memory; past it the oldest finished executions are
   * forgotten, and bodies of further deliveries are left out. Default: 128 MiB.
   */
  maxBytes?: number
  /**
   * More names of headers whose values never reach the log. Default: none beyond the built-in
   * ones (authorization, cookies, API keys, tokens, secrets).
   */
  redact?: Array<string>
}

/** A PostgreSQL server. */
export interface PostgresOptions {
  /**
   * `postgres://user:password@host:5432/database`. The connection is encrypted, and on this machine
   * if the server offers it; `?sslmode=disable`, `prefer` or `require` says otherwise. The
   * certificate is always checked. A host that is not public needs `egress.allow`.
   */
  url?: string
  /** The schema that the tables are in; it is made if it is not there. Default: `public`. */
  schema?: string
}

/** A new delivery and the one that it repeats. */
export interface Replay {
  /** The new delivery. */
  id: string
  /** The failed one. */
  replayOf: string
}

/** What `engine.replay()` did. */
export interface ReplayResult {
  /** The new deliveries. */
  replayed: Array<Replay>
  /** What was asked for and cannot be replayed. */
  skipped: Array<SkippedReplay>
}

/**
 * Which failed deliveries `engine.replay()` makes again: those with these ids, or those that the
 * other members find. At least one member has to be there.
 */
export interface ReplaySelection {
  /** The ids of failed deliveries. Not together with other members. */
  ids?: Array<string>
  /** Only of this workflow. */
  workflowId?: string
  /** Only of this execution. */
  executionId?: string
  /** Only of this step. */
  step?: string
  /** Only to this destination. */
  destination?: Delivery['destination']
  /** Only `'failed'` deliveries can be replayed: `{ status: 'failed' }` means all of them. */
  status?: 'failed'
  /** At most this many, the newest. Default: all. */
  limit?: number
  /** Only older than the delivery with this id. */
  before?: string
}

/**
 * When a failed request is made again. The delays between attempts are either those of
 * `scheduleMs`, or grow from `initialMs`. Every attempt carries the delivery's id in an
 * `Idempotency-Key` header, unless the call brings one. A call may have its own `retry`: `false`,
 * a number of attempts, or an object with these members but `hosts`.
 */
export interface RetryOptions {
  /**
   * Milliseconds to wait after the first attempt, the second, and so on: there is one attempt
   * more than delays. Default: none, the delays grow.
   */
  scheduleMs?: Array<number>
  /** Attempts altogether, the first included. Default: 5. */
  attempts?: number
  /** Milliseconds before the second attempt. Default: 1000. */
  initialMs?: number
  /** How many times as long each delay is as the one before. Default: 2. */
  factor?: number
  /** Milliseconds that no delay exceeds. Default: 300000, five minutes. */
  maxMs?: number
  /** The share of each delay that chance may take away, from 0 to 1. Default: 0.5. */
  jitter?: number
  /** Milliseconds after the call past which nothing is attempted. Default: a day. */
  maxAgeMs?: number
  /**
   * Milliseconds of the longest `Retry-After` that is waited for; where a server asks for
   * more, this is the wait. Default: an hour.
   */
  retryAfterMaxMs?: number
  /**
   * Statuses after which there is another attempt. Default: 408, 425, 429, 500, 502, 503, 504,
   * 507 and 520 to 530.
   */
  statuses?: Array<number>
  /**
   * Codes of failures after which there is another attempt. Default: `ERR_SEND_DNS`,
   * `ERR_SEND_CONNECT`, `ERR_SEND_TLS`, `ERR_SEND_CONNECTION`, `ERR_SEND_TIMEOUT`.
   */
  errors?: Array<ErrorCode>
  /** When a host that keeps failing is left alone. */
  breaker?: BreakerOptions
  /**
   * Hosts with options of their own, by host name, `*.example.com`, address or CIDR range; what
   * they do not say is as for all. Default: none.
   */
  hosts?: Record<string, RetryOptions>
}

/**
 * The S3 destination. With `region`, `endpoint`, keys or a role, objects go to a service; without
 * any of them they become files.
 */
export interface S3Options {
  /** A service other than Amazon S3: `https://host:port`. Default: Amazon S3. */
  endpoint?: string
  /**
   * The region, such as `eu-west-1`; `auto` looks up the region of each bucket. Default: `auto`,
   * with `endpoint` `us-east-1`.
   */
  region?: string
  /**
   * The id of an access key. Default: what the environment of the process says
   * (`AWS_ACCESS_KEY_ID` and the others of the AWS SDKs: web identity, ECS and EKS containers),
   * and the metadata service of the machine after that. Files such as `~/.aws/credentials` are
   * not read.
   */
  accessKeyId?: string
  /** The secret of the access key. */
  secretAccessKey?: string
  /** The token of a session, for keys that last for a time. */
  sessionToken?: string
  /** A role that is taken with the keys. */
  assumeRole?: AssumeRoleOptions
  /**
   * Whether buckets are in the path of URLs, and not in the host name. Default: `false`, with
   * `endpoint` `true`.
   */
  forcePathStyle?: boolean
  /**
   * Whether `endpoint`, and that of `assumeRole`, may be `http://`, which sends everything in the
   * clear. Default: `false`.
   */
  allowHttp?: boolean
  /**
   * How objects are compressed, which their keys end with: `.gz`, `.zst` or `.ndjson`. Default:
   * `'gzip'`.
   */
  compression?: 'gzip' | 'zstd' | 'none'
  /** When a batch is closed and stored. */
  batch?: BatchOptions
  /**
   * The directory for objects as files, `BUCKET/KEY` in it. Default: `s3` in `dataDir`, or
   * `dollar-send-UID/s3` in the system's temporary directory, for this user alone.
   */
  file?: string
  /** Milliseconds that one attempt to store a batch may take. Default: 300000. */
  timeoutMs?: number
  /** Bytes of each call that the log keeps. Default: 64 KiB. */
  logBodyBytes?: number
}

/** Where the server listens. */
export interface ServerAddress {
  /** The address. */
  host: string
  /** The port. */
  port: number
  /** How it is reached: `server.publicUrl`, or `http://` and the address. */
  url: string
}

/**
 * The server: streams for browsers (`$send.sse`), and a REST API for emitted events, subscriptions,
 * webhooks and the log. It is open as long as the engine is, and keeps no process alive.
 */
export interface ServerOptions {
  /**
   * The IP address to listen on. Without `tokens`, only a loopback address. Default:
   * `'127.0.0.1'`.
   */
  host?: string
  /** The port; 0 for any that is free, see `engine.address()`. Default: 8787. */
  port?: number
  /**
   * What requests authorize themselves with: `Authorization: Bearer TOKEN`. At least 16 characters
   * each; several let you change them without a gap. Default: none, whoever reaches the loopback
   * address may do everything.
   */
  tokens?: Array<string>
  /**
   * The origins of pages that may read from the server in a browser
   * (`'https://app.example.com'`), or, with `tokens`, `'*'` for all. Default: none.
   */
  cors?: Array<string>
  /**
   * How the server is reached from outside, such as through a reverse proxy:
   * `'https://send.example.com'`. Default: `http://` and the address.
   */
  publicUrl?: string
  /**
   * How long a connection may be silent before its next request, in milliseconds: longer than a
   * load balancer in front keeps idle connections. From 1,000 to 3,600,000. Default: 75,000.
   */
  keepAliveMs?: number
  /** Whether each request is written to standard error. Default: `false`. */
  accessLog?: boolean
  /** Who may read streams. */
  sse?: SseOptions
}

/** A delivery that cannot be replayed. */
export interface SkippedReplay {
  /** The delivery. */
  id: string
  /** Why. */
  reason: string
}

/** The SQL destination: a data warehouse, whose tables are made of what is sent to them. */
export interface SqlOptions {
  /**
   * DuckDB in this process, through the package `@duckdb/node-api`, which is installed beside this
   * one. Default: what is used with `dataDir`, unless there is a server.
   */
  duckdb?: DuckDbOptions
  /** A PostgreSQL server, 11 or later. */
  postgres?: PostgresOptions
  /** A ClickHouse server, 23.3 or later. */
  clickhouse?: ClickHouseOptions
  /** When a batch is closed and loaded. */
  batch?: BatchOptions
  /**
   * Days after which rows are deleted, counted from their arrival in the warehouse; 0 keeps them.
   * For DuckDB: what a server keeps is the server's. Default: 30.
   */
  retentionDays?: number
  /** Milliseconds that one attempt to load a batch may take. Default: 300000. */
  timeoutMs?: number
  /** Bytes of each call that the log keeps. Default: 64 KiB. */
  logBodyBytes?: number
}

/** Who may read streams without a token. */
export interface SseOptions {
  /**
   * Workflows whose streams everybody may read: ids, or patterns in which `*` stands for any
   * characters. Default: none.
   */
  public?: Array<string>
  /**
   * What `engine.streamUrl()` signs with: at least 16 bytes, the same in every process that
   * serves one address. Default: drawn at each opening, so that signed URLs end with the engine.
   */
  signingKey?: string
}

/** What `engine.streamUrl()` takes. */
export interface StreamUrlOptions {
  /** Milliseconds that the URL is good for. Default: an hour. */
  expiresInMs?: number
}

/** A limit for a wait. */
export interface TimeoutOptions {
  /** Milliseconds to wait at most. */
  timeoutMs?: number
}

/** How connections over TLS are made. */
export interface TlsOptions {
  /** Certificate authorities that are trusted beside the machine's, in PEM. Default: none. */
  ca?: string
  /** The client certificate and its chain, in PEM, for servers that ask for one. Default: none. */
  cert?: string
  /** The key of the client certificate, in PEM. Default: none. */
  key?: string
  /**
   * SHA-256 hashes of public keys in base64 (`sha256/…`). The certificate of the server must have
   * one of them, and be valid. Default: any key.
   */
  pins?: Array<string>
  /**
   * Hosts with options of their own, by host name, `*.example.com`, address or CIDR range. The
   * general ones do not apply to them. Default: none.
   */
  hosts?: Record<string, TlsOptions>
}
