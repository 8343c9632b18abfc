/* What the log shows of requests and responses, by destination. */

/** The `request` of an `http` delivery, as it was sent; secrets are redacted. */
export interface HttpRequestLog {
  /** The method. */
  method: string
  /** The whole URL. */
  url: string
  /** The headers, their names in lower case. */
  headers: Record<string, string>
  /** Present where `headers` are not all: at most 256 lines and 32 KiB are kept. */
  headersTruncated?: true
  /** The body: text, or base64 if `bodyEncoding` says so. Absent without a body. */
  body?: string
  /** How `body` is spelled when it is not UTF-8. */
  bodyEncoding?: 'base64'
  /** Length of the whole body. */
  bodyBytes?: number
  /** Whether `body` is only its beginning (`http.logBodyBytes`). */
  truncated?: boolean
}

/** A mail in the log: as it was sent, or as it was recorded if it was not. */
export interface EmailRequestLog {
  /** The `Message-ID`, the same for each attempt. Absent if it was not sent. */
  messageId?: string
  /** The sender. */
  from?: string
  /** Whom it goes to. */
  to: Array<string>
  /** Who gets a copy. */
  cc?: Array<string>
  /** Who gets a copy that others do not see. */
  bcc?: Array<string>
  /** Whom an answer goes to. */
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
  /** Whether `text` or `html` is only the beginning. */
  truncated: boolean
  /** The attachments, without what is in them. */
  attachments?: Array<{ filename: string; contentType?: string; bytes: number }>
  /** Bytes of the mail as it was sent. */
  bytes?: number
}

/** What became of a mail: the server's answer, or the file that it was written to. */
export interface EmailResponseLog {
  /** The code of the server's answer. */
  code?: number
  /** The text of the server's answer. */
  message?: string
  /** The server. */
  server?: string
  /** The file, where no server is configured. */
  file?: string
  /** Milliseconds that it took. */
  durationMs: number
}

/** The `response` of an `s3` delivery: where its record is. */
export interface S3ResponseLog {
  /** The bucket. Absent if the batch failed, as are the next four. */
  bucket?: string
  /** The key of the object. */
  key?: string
  /** What the service calls this version of the object. Absent for a file. */
  etag?: string
  /** The file, where no service is configured. */
  file?: string
  /** Bytes of the object. */
  objectBytes?: number
  /** Milliseconds that the attempt took that stored it. */
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
  /** How many clients followed the stream. */
  clients: number
}

/** The `response` of an `emit` delivery. */
export interface EmitResponseLog {
  /** The id of the event in its stream. */
  id: string
  /** How many listeners of the process it was told to. */
  listeners: number
  /** The webhooks that it is sent to: each has an execution of its own, under its id. */
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
  /** Present where `headers` are not all: at most 256 lines and 32 KiB are kept. */
  headersTruncated?: true
  /** The body after decompression: text by its charset, or base64 if `bodyEncoding` says so. */
  body: string
  /** How `body` is spelled when it is not UTF-8. */
  bodyEncoding?: 'base64'
  /** Bytes that were read. */
  bodyBytes: number
  /** Whether `body` is not the whole body: it was cut, broke off, or could not be decoded. */
  truncated: boolean
  /** From the beginning of the attempt to the last byte that was read. */
  durationMs: number
  /** The parts of it; those of connecting are absent on a reused connection. */
  timings: {
    dnsMs?: number
    connectMs?: number
    tlsMs?: number
    firstByteMs: number
    bodyMs: number
  }
  /** `proxy` where the response is the proxy's own, in the place of the host's. */
  answeredBy?: 'proxy'
  /** Redirects that were followed. Absent without any. */
  redirects?: Array<{ status: number; method: string; url: string }>
}

/** The `response` of an `sql` delivery: the batch that its row is in. */
export interface SqlResponseLog {
  /** What holds the table. */
  warehouse: 'duckdb'
  /** The table. */
  table: string
  /** The id of the batch, which the warehouse keeps: that is how it is loaded once. */
  batchId: string
  /** Whether an earlier attempt had loaded it already. */
  repeated?: boolean
  /** Milliseconds that the last attempt took. */
  durationMs: number
  /** The batch. */
  batch: { reason: BatchReason; records: number }
  /** The row's place in the batch, from 1. */
  line: number
}

/**
 * Why a batch was closed: a limit of its options, `engine.flush()`, the end of the engine, or because
 * undelivered calls had half of the memory that they may have (`maxPendingBytes`).
 */
export type BatchReason =
  'maxBytes' | 'maxCount' | 'interval' | 'idle' | 'flush' | 'close' | 'maxPendingBytes'
