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
