/* Deliveries in the log, by destination. */

import type { DeliveryError, Untyped } from '../index'
import type { BuiltinDeliveries, Send } from './send'

/** The members of every delivery in the log: a call and its result. */
export interface DeliveryBase {
  /** A `UUIDv7`, ordered by time and known from the call on. */
  id: string
  /** The id of the workflow. */
  workflowId: string
  /** The id of the run. */
  executionId: string
  /** The name of the step that made the call. */
  step: string
  /** Index of the call within its execution, from 0. */
  index: number
  /** The id of the failed delivery that this one replays. */
  replayOf?: string
  /** The replay of this delivery. */
  replayedBy?: string
  /** The replay that delivered the call: this failed delivery is no dead letter any more. */
  resolvedBy?: string
  /** When this failed delivery was dismissed: it is no dead letter any more. */
  dismissedAt?: string
  /** The status. `delivered`, `failed` and `discarded` are terminal. */
  status: 'recorded' | 'pending' | 'batched' | 'in-flight' | 'delivered' | 'failed' | 'discarded'
  /** The error of a failed delivery. */
  error?: DeliveryError
  /** The failure of the last attempt, while the delivery waits for another one or makes it. */
  lastError?: DeliveryError
  /** When the next attempt is made. Absent while one is in progress, and while a webhook is paused. */
  nextAttemptAt?: string
  /** When its open batch is sent, if it is not full before. Absent without an open batch in this process. */
  dueAt?: string
  /** Warnings about the call. */
  warnings: Array<string>
  /** Attempts so far. */
  attempts: number
  /**
   * The newest attempts, 20 at most, oldest first. Absent if the only attempt succeeded, whose phases
   * are in the response, and of records of a batch.
   */
  attemptLog?: Array<DeliveryAttempt>
  /** When the call was made (ISO 8601, UTC). */
  recordedAt: string
  /** When the destination accepted it (ISO 8601, UTC). */
  deliveredAt?: string
  /** When it became terminal (ISO 8601, UTC). */
  settledAt?: string
}

/** One attempt of a delivery. */
export interface DeliveryAttempt {
  /** Its number, from 1. */
  attempt: number
  /** When it began (ISO 8601, UTC). */
  startedAt: string
  /** Time between when it was due and its beginning, in milliseconds. */
  queueMs: number
  /** Its duration, in milliseconds. */
  durationMs: number
  /** The status of an HTTP response. */
  status?: number
  /** Phases of `durationMs`, of HTTP; those that were not reached are absent. */
  timings?: {
    dnsMs?: number
    connectMs?: number
    tlsMs?: number
    firstByteMs?: number
    bodyMs?: number
  }
  /** The error, if it failed. */
  error?: DeliveryError
  /** When the next attempt was due (ISO 8601, UTC). */
  nextAttemptAt?: string
}

/** A delivery of one destination, with its request and its response. */
export interface DeliveryOf<Destination, Request, Response> extends DeliveryBase {
  /** The method of `$send` that was called. */
  destination: Destination
  /** The request, redacted. */
  request: Request
  /** The last response, if there was one, also of a failed delivery. */
  response?: Response
}

/** The names of destinations that `interface Send` was extended by. */
type OwnDestination = Exclude<keyof Send, keyof BuiltinDeliveries>

/**
 * One delivery in the log. `delivery.destination === 'http'` narrows its `request` and `response`.
 * Destinations of your own take part when `interface Send` declares them.
 */
export type Delivery =
  | BuiltinDeliveries[keyof BuiltinDeliveries]
  | {
      // The response is what `deliver` of that destination returned: its type is not declared anywhere.
      [Name in OwnDestination]: DeliveryOf<Name, Record<string, unknown>, Untyped>
    }[OwnDestination]

/** The `request` of an `http` delivery, as it was sent; secrets are redacted. */
export interface HttpRequestLog {
  /** The method. */
  method: string
  /** The whole URL. */
  url: string
  /** The headers, their names in lower case. */
  headers: Record<string, string>
  /** Present if `headers` are incomplete: the log keeps at most 256 lines and 32 KiB. */
  headersTruncated?: true
  /** The body: text, or base64 with `bodyEncoding`. Absent without a body. */
  body?: string
  /** The encoding of a `body` that is not UTF-8. */
  bodyEncoding?: 'base64'
  /** Length of the whole body in bytes. */
  bodyBytes?: number
  /** Whether `body` is cut (`http.logBodyBytes`). */
  truncated?: boolean
}

/** A mail in the log: as sent, or as recorded if it was not sent. */
export interface EmailRequestLog {
  /** The `Message-ID`, the same for each attempt. Absent if it was not sent. */
  messageId?: string
  /** The sender. */
  from?: string
  /** The recipients. */
  to: Array<string>
  /** The recipients of a copy. */
  cc?: Array<string>
  /** The recipients of a blind copy. */
  bcc?: Array<string>
  /** The addresses for replies. */
  replyTo?: Array<string>
  /** The subject. */
  subject: string
  /** The beginning of the plain text, up to `email.logBodyBytes`. */
  text?: string
  /** Bytes of the plain text. */
  textBytes?: number
  /** The beginning of the HTML text, up to `email.logBodyBytes`. */
  html?: string
  /** Bytes of the HTML text. */
  htmlBytes?: number
  /** Whether `text` or `html` is cut. */
  truncated: boolean
  /** The attachments, without their content. */
  attachments?: Array<{ filename: string; contentType?: string; bytes: number }>
  /** Bytes of the mail as it was sent. */
  bytes?: number
}

/** The `response` of an `email` delivery: the server's reply, or the file that the mail was written to. */
export interface EmailResponseLog {
  /** The code of the server's reply. */
  code?: number
  /** The text of the server's reply. */
  message?: string
  /** The server. */
  server?: string
  /** The file, where no server is configured. */
  file?: string
  /** `file` if it became a file. */
  transport?: 'file'
  /** Duration of the attempt in milliseconds. */
  durationMs: number
}

/** The `response` of an `s3` delivery: the object with its record. */
export interface S3ResponseLog {
  /** The bucket. Absent if the batch failed, like the next four members. */
  bucket?: string
  /** The key of the object. */
  key?: string
  /** The service's entity tag of the object. Absent for a file. */
  etag?: string
  /** The file, where no service is configured. */
  file?: string
  /** `file` if it became a file. */
  transport?: 'file'
  /** Bytes of the object. */
  objectBytes?: number
  /** Duration of the attempt that stored it, in milliseconds. */
  durationMs?: number
  /** The batch that the record was in. */
  batch: { reason: BatchReason; records: number }
  /** The line of the record, from 1. */
  line: number
}

/** The `response` of an `sse` delivery. */
export interface SseResponseLog {
  /** The id of the event in its stream. */
  id: string
  /** Number of clients of the stream. */
  clients: number
}

/** The `response` of an `emit` delivery. */
export interface EmitResponseLog {
  /** The id of the event in its stream. */
  id: string
  /** Number of listeners of the process that were called. */
  listeners: number
  /** The ids of the webhooks that receive it. Each is also the id of an execution. */
  webhooks: Array<string>
}

/** The `response` of an `http` delivery. */
export interface HttpResponseLog {
  /** The status code. */
  status: number
  /** The reason phrase as the server wrote it; the standard's over HTTP/2, which has none. */
  statusText: string
  /** `1.1` or `2.0`. */
  httpVersion: string
  /** The headers, their names in lower case; repeated ones are joined by a comma. */
  headers: Record<string, string>
  /** Present if `headers` are incomplete: the log keeps at most 256 lines and 32 KiB. */
  headersTruncated?: true
  /** The decompressed body: text by its charset, or base64 with `bodyEncoding`. */
  body: string
  /** The encoding of a `body` that is not UTF-8. */
  bodyEncoding?: 'base64'
  /** Length of the body that was read, in bytes. */
  bodyBytes: number
  /** Whether `body` is incomplete: it was cut, broke off, or could not be decoded. */
  truncated: boolean
  /** Duration from the beginning of the attempt to the last byte, in milliseconds. */
  durationMs: number
  /** Phases of `durationMs`; those of connecting are absent on a reused connection. */
  timings: {
    dnsMs?: number
    connectMs?: number
    tlsMs?: number
    firstByteMs: number
    bodyMs: number
  }
  /** `proxy` if the response is the proxy's own. */
  answeredBy?: 'proxy'
  /** Redirects that were followed. Absent without any. */
  redirects?: Array<{ status: number; method: string; url: string }>
}

/** The `response` of an `sql` delivery: the batch that its row is in. */
export interface SqlResponseLog {
  /** The warehouse that holds the table. */
  warehouse: 'duckdb'
  /** The table. */
  table: string
  /** The id of the batch, which the warehouse stores to load each batch once. */
  batchId: string
  /** Whether an earlier attempt had already loaded it. */
  repeated?: boolean
  /** Duration of the last attempt in milliseconds. */
  durationMs: number
  /** The batch. */
  batch: { reason: BatchReason; records: number }
  /** The row's place in the batch, from 1. */
  line: number
}

/**
 * The reason why a batch was closed: a limit of its options, `engine.flush()`, `engine.close()`, or
 * undelivered calls at half of `maxPendingBytes`.
 */
export type BatchReason =
  'maxBytes' | 'maxCount' | 'interval' | 'idle' | 'flush' | 'close' | 'maxPendingBytes'

/** An alert: a value is too high, for the first time in its episode. */
export interface AlertEvent {
  /** The id of the alert. */
  id: string
  /** The subject of the alert. */
  kind: 'breaker' | 'oldest-waiting' | 'dead-letters' | 'journal-size'
  /** A message for people. */
  message: string
  /** The value: failures, milliseconds, deliveries or bytes. */
  value: number
  /** The limit that it reached. */
  limit: number
  /** Of `breaker`: the percentage of the failures that open it. */
  percent?: number
  /** The destination of the delivery. */
  destination?: Delivery['destination'] | (string & {})
  /** Of `breaker`: the queue, which for `http` is the origin of the URL. */
  lane?: string
  /** Of `breaker`: the last failure. */
  error?: DeliveryError
  /** The delivery that failed last, or that has waited longest, redacted. */
  delivery?: Delivery
  /** The time of the alert (ISO 8601, UTC). */
  at: string
}
