/* The codes of errors and warnings. */

/**
 * The codes of this package's errors and of failed deliveries. *Thrown*: thrown by a call or rejected
 * from a promise. *Log*: `error.code` of a delivery, which never throws into the runner.
 */
export type ErrorCode =
  /**
   * Thrown: The native addon could not be loaded: missing, damaged, of another version or platform,
   * or addons are disabled. To do: Follow the message.
   */
  | 'ERR_SEND_ADDON'
  /**
   * Thrown: An option of `Engine.open` is unknown, of the wrong type or out of range; or the `name`
   * is open with other options. To do: Correct the path in the message.
   */
  | 'ERR_SEND_INVALID_OPTION'
  /**
   * Thrown, log: An argument has the wrong type or cannot be copied (a cycle, a BigInt). In the log:
   * a part that is read only at delivery, such as `params`. To do: Correct the value at the path in
   * the message.
   */
  | 'ERR_SEND_INVALID_ARGUMENT'
  /**
   * Thrown, log: One call exceeds `maxPayloadBytes`. In the log: a `FormData` did once it was read,
   * or a form grew beyond 64 MiB. To do: Send less, or raise the limit.
   */
  | 'ERR_SEND_PAYLOAD_TOO_LARGE'
  /**
   * Thrown, log: Undelivered calls would exceed `maxPendingBytes`. From `complete()` or `flush()`:
   * `journal.maxBytes` or the disk is full. In the log: the bytes of a `Blob` or `FormData` did not
   * fit. To do: Wait for `engine.flush()`, free space, or raise the limit. The execution stays open.
   */
  | 'ERR_SEND_JOURNAL_FULL'
  /**
   * Thrown: Another process or engine listens on `server.host` and `server.port`. To do: Stop it, or
   * choose another port; 0 takes a free one.
   */
  | 'ERR_SEND_ADDRESS_IN_USE'
  /**
   * Thrown: Another process has the data directory open. The message contains its pid. To do: Stop
   * that process, use another directory, or set `lock.waitMs`.
   */
  | 'ERR_SEND_DATA_DIR_LOCKED'
  /**
   * Thrown: The data directory cannot be used, read or written: permissions, an I/O error, a damaged
   * or newer file, another key. To do: Follow the message. The execution stays open.
   */
  | 'ERR_SEND_JOURNAL'
  /**
   * Thrown, log: The execution was completed or discarded before this call. A late `$send` call is
   * logged as discarded unless `lateCalls` is `'throw'`. To do: Await what the step starts before it
   * returns.
   */
  | 'ERR_SEND_EXECUTION_COMPLETED'
  /**
   * Thrown: The engine is closed or closing: `$send` calls, `complete()`, `flush()` and
   * `execution()` are refused. To do: Complete executions before `close()`, or open another engine.
   */
  | 'ERR_SEND_CLOSED'
  /**
   * Thrown, log: `settled()` or `engine.flush()` waited for `timeoutMs`, or a step did not end
   * within it. In the log: the request's deadline passed; `phase` names the stage. To do: Wait
   * longer, raise `http.timeoutMs`, or check the receiver.
   */
  | 'ERR_SEND_TIMEOUT'
  /**
   * Thrown: The global `$send` or `$end` was used outside a step. To do: Call it from code that
   * `runStep` or `runInStep` runs.
   */
  | 'ERR_SEND_NO_STEP'
  /**
   * Thrown: A step uses a feature that only the runner can provide, such as `$.flow.suspend` or
   * `$.files`. To do: Pass the option that the message names.
   */
  | 'ERR_SEND_NOT_SUPPORTED'
  /**
   * Thrown, log: The mail server, bucket or database that the data directory had is not in the
   * options: the delivery waits. Or there is no warehouse, its package is not installed, or it is a
   * server, which `engine.sql()` cannot query. From `engine.streamUrl()`: there is no server. To do:
   * Follow the message, then replay the failed deliveries.
   */
  | 'ERR_SEND_NOT_CONFIGURED'
  /**
   * Log: The URL, or the location of a redirect, does not parse, is not http(s), or is too long. To
   * do: Correct the URL. `strict: true` reports most of these at the call.
   */
  | 'ERR_SEND_INVALID_URL'
  /** Log: A header's name or value may not be sent. To do: Remove or encode it. */
  | 'ERR_SEND_INVALID_HEADER'
  /**
   * Log: The policy forbids the address, host, port or scheme. To do: Allow it with `egress.allow`,
   * if that is intended.
   */
  | 'ERR_SEND_EGRESS_DENIED'
  /** Log: The host name did not resolve. To do: Check the name and the resolver. */
  | 'ERR_SEND_DNS'
  /** Log: No connection to the host or the proxy. To do: Check host, port and firewall. */
  | 'ERR_SEND_CONNECT'
  /**
   * Log: The proxy responded instead of the host; its status and page are in the log. To do: Read
   * the response; check `egress.proxy`.
   */
  | 'ERR_SEND_PROXY'
  /**
   * Log: The handshake failed or the certificate was refused. To do: Check the certificate. For a
   * private authority see `SSL_CERT_FILE`.
   */
  | 'ERR_SEND_TLS'
  /**
   * Log: An open connection broke before the response was complete. To do: The outcome is unknown:
   * check at the receiver.
   */
  | 'ERR_SEND_CONNECTION'
  /**
   * Log: The response is not valid HTTP or SMTP, or could not be decoded. To do: The request
   * arrived: check the receiver.
   */
  | 'ERR_SEND_INVALID_RESPONSE'
  /**
   * Log: The status is not 2xx; a mail server replied 4xx or 5xx; S3 refused the batch. To do: Read
   * `response`; for mail and S3, the message.
   */
  | 'ERR_SEND_STATUS'
  /** Log: More redirects than `http.maxRedirects`. To do: Use the final URL, or raise the limit. */
  | 'ERR_SEND_TOO_MANY_REDIRECTS'
  /**
   * Log: `close()` reached its deadline. The message says if the attempt had begun. To do: Give
   * `close()` more time.
   */
  | 'ERR_SEND_INTERRUPTED'
  /**
   * Log: The call was dropped, with status `discarded`: by `discard()`, or because its execution was
   * garbage-collected or its thread ended first. To do: Nothing, if intended. Otherwise call
   * `complete()` on every path.
   */
  | 'ERR_SEND_DISCARDED'
  /**
   * Log: `deliver` of a custom destination returned `failed` or threw; or the warehouse refused a
   * batch. To do: Read the message.
   */
  | 'ERR_SEND_REFUSED'
  /**
   * Log: A custom destination requested a retry until no attempts were left. To do: Read the
   * message; check `retry` of the destination.
   */
  | 'ERR_SEND_UNAVAILABLE'
  /**
   * Log: The event would be one too many in a chain of executions started by each other's events
   * (16). To do: Find the workflow that listens to itself, directly or through others.
   */
  | 'ERR_SEND_EMIT_LOOP'
  /**
   * Log: The webhook was disabled because its receiver responded 410 Gone, or it was removed.
   * Nothing was sent. To do: Enable it with `PATCH /v1/webhooks/:id`, then replay.
   */
  | 'ERR_SEND_WEBHOOK_DISABLED'
  /**
   * Thrown: The query is not a single reading statement, or uses something other than tables. To do:
   * Query tables only, one statement at a time.
   */
  | 'ERR_SEND_QUERY_NOT_ALLOWED'
  /** Thrown: The query took longer than `timeoutMs`. To do: Query less, or raise `timeoutMs`. */
  | 'ERR_SEND_QUERY_TIMEOUT'
  /**
   * Thrown: The result exceeds `maxBytes`, or the longest possible string. To do: Select fewer rows
   * or columns; use `POST /sql` for up to 1 GB.
   */
  | 'ERR_SEND_QUERY_TOO_LARGE'
  /**
   * Thrown: The query is wrong, names a missing table or column, needs more memory, or the engine
   * closed. To do: Read the message.
   */
  | 'ERR_SEND_QUERY_FAILED'
  /** Thrown, log: A defect of this package. To do: Report it. */
  | 'ERR_SEND_INTERNAL'

/** The codes of warnings. */
export type WarningCode =
  /**
   * An alert could not be recorded for `alerts.url`; its event and its metric are there. To do: Raise
   * `maxPendingBytes`.
   */
  | 'ALERT_NOT_DELIVERED'
  /**
   * A batch of `s3` or `sql` could not be stored, and is retried. To do: Read the message; missing
   * credentials and a wrong region are named in it.
   */
  | 'BATCH_DELAYED'
  /**
   * A listener of `engine.on()` was too slow: more than 100,000 events waited for it. To do: Do less
   * in the listener.
   */
  | 'EVENTS_DROPPED'
  /**
   * An execution was garbage-collected before its end; its calls are discarded. To do: Call
   * `complete()` on every path.
   */
  | 'EXECUTION_DROPPED'
  /**
   * The engine closed while an execution was neither completed nor discarded; its calls were not
   * sent. To do: Complete executions before `close()`.
   */
  | 'EXECUTION_OPEN'
  /**
   * Mail or objects become files, because no service is configured. To do: Set `email.smtp`, or an
   * option of `s3` that names a service.
   */
  | 'FILE_TRANSPORT'
  /**
   * The data directory could not be read or written; it is retried. At most one a second. To do:
   * Check the disk.
   */
  | 'JOURNAL_TROUBLE'
  /**
   * Failed calls that were neither replayed nor dismissed were removed, because they were older than
   * `log.maxAgeDays`. To do: Replay or dismiss in time, raise it, or set `onFailed`.
   */
  | 'DEAD_LETTERS_REMOVED'
  /**
   * The clock of this machine is a second or more away from that of the database of
   * `journal.postgres`. The process goes by the database's. To do: Set the clock.
   */
  | 'CLOCK_DIFFERS'
  /**
   * Deliveries wait for a service that the data directory had and the options lack, or for a
   * destination that nothing has registered within 5 seconds. To do: Open it with the options of the
   * runner, or call `engine.destination()`.
   */
  | 'NOT_CONFIGURED'
  /**
   * A receiver responded 410 Gone: its webhook is disabled. To do: Enable it with `PATCH
   * /v1/webhooks/:id`, or remove it.
   */
  | 'WEBHOOK_DISABLED'
  /**
   * An event of the channel `$errors` could not be handed over to its webhooks. To do: Read the
   * message.
   */
  | 'WEBHOOK_NOT_TOLD'
