/* The destinations that are built in: their functions, and what the log and a test show of their calls. */

import type { EmailConfig, HttpConfig, S3Config, SqlConfig, SseConfig } from './calls'
import type {
  DeliveryOf,
  EmailRequestLog,
  EmailResponseLog,
  EmitResponseLog,
  HttpRequestLog,
  HttpResponseLog,
  S3ResponseLog,
  SqlResponseLog,
  SseResponseLog,
} from './log'
import type { Untyped } from './steps'

/**
 * The destinations, each a function that does not depend on `this`. A call checks its argument, records
 * a snapshot of it and returns `undefined`. Nothing is sent before the execution is completed.
 *
 * Every method throws `ERR_SEND_INVALID_ARGUMENT`, `ERR_SEND_PAYLOAD_TOO_LARGE`,
 * `ERR_SEND_JOURNAL_FULL` and, after the end, `ERR_SEND_EXECUTION_COMPLETED`.
 */
export interface Send {
  /** Sends an HTTP request. Default: one attempt, with a deadline of 5 s. */
  http(config: HttpConfig): void
  /** Sends a mail, over `email.smtp` of the engine or into a file. Default: one attempt. */
  email(config: EmailConfig): void
  /** Stores a record in S3 (`s3` of the engine) or in a file. Records are stored in batches. */
  s3(config: S3Config): void
  /** Loads a row into a table of the warehouse. Rows are loaded in batches. */
  sql(config: SqlConfig): void
  /** Publishes an event on the workflow's stream, for browsers (`server` of the engine). */
  sse(config: SseConfig): void
  /** Emits an event to subscribers; it can also be queried later. */
  emit(config: { raw_event: object }): void
  emit(event: object, channel?: string | { name?: string }): void
}

/** The deliveries of the destinations of this package. */
export interface BuiltinDeliveries {
  http: DeliveryOf<'http', HttpRequestLog, HttpResponseLog>
  email: DeliveryOf<'email', EmailRequestLog, EmailResponseLog>
  s3: DeliveryOf<'s3', Record<string, unknown>, S3ResponseLog>
  sql: DeliveryOf<'sql', Record<string, unknown>, SqlResponseLog>
  sse: DeliveryOf<'sse', Record<string, unknown>, SseResponseLog>
  emit: DeliveryOf<'emit', Record<string, unknown>, EmitResponseLog>
}

/** The calls of the destinations of this package, as a test of a step sees them. */
export interface BuiltinSends {
  /** Requests as they would be sent, with `data` where the body is JSON. */
  http: Array<HttpRequestLog & { data?: Untyped }>
  email: EmailRequestLog[]
  s3: Array<{ bucket: string; prefix?: string; payload: Untyped }>
  sql: Array<{ table: string; payload: Untyped }>
  sse: Array<{ channel: string; payload: Untyped }>
  emit: Array<{ event?: Untyped; raw_event?: Untyped; channel?: string }>
}
