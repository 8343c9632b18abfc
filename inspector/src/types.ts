// Rows of the REST API, as far as the page reads them.

export type RunStatus = 'running' | 'completed' | 'failed' | 'discarded'

export interface Run {
  cursor: string
  executionId: string
  workflowId: string
  attempt: number
  trigger?: string
  status: RunStatus
  delivered: number
  failed: number
  discarded: number
  dismissed: number
  pending: number
  total: number
  startedAt: string
  completedAt?: string
  error?: string
  message?: string
}

export type CallStatus =
  'recorded' | 'pending' | 'batched' | 'in-flight' | 'delivered' | 'failed' | 'discarded'

export interface CallError {
  code: string
  message: string
  phase?: string
}

export interface Timings {
  dnsMs?: number
  connectMs?: number
  tlsMs?: number
  firstByteMs?: number
  bodyMs?: number
}

/** One attempt of a call. */
export interface Try {
  attempt: number
  startedAt: string
  queueMs: number
  durationMs: number
  status?: number | undefined
  timings?: Timings | undefined
  error?: CallError | undefined
  nextAttemptAt?: string
}

export type Headers = Record<string, string | string[]>

/** The members that HTTP messages have; other destinations have members of their own. */
export interface Message {
  [name: string]: unknown
  method?: string
  url?: string
  status?: number
  statusText?: string
  httpVersion?: string
  headers?: Headers
  headersTruncated?: boolean
  body?: unknown
  /** The encoding of a body that is not text. */
  bodyEncoding?: 'base64'
  bodyBytes?: number
  truncated?: boolean
  durationMs?: number
  timings?: Timings
}

export interface Call {
  id: string
  workflowId: string
  executionId: string
  step: string
  index: number
  replayOf?: string
  replayedBy?: string
  resolvedBy?: string
  dismissedAt?: string
  destination: string
  status: CallStatus
  request: Message
  response?: Message
  error?: CallError
  lastError?: CallError
  nextAttemptAt?: string
  /** When the open batch that it is in is sent. */
  dueAt?: string
  warnings: string[]
  attempts: number
  /** The newest attempts; absent if the only one succeeded. */
  attemptLog?: Try[]
  recordedAt: string
  deliveredAt?: string
  settledAt?: string
}

export interface PageInfo {
  /** Unknown for a search, and with `total_above`. */
  total_count?: number | null
  /** The list has more rows than that. */
  total_above?: number | null
  count: number
  end_cursor?: string | null
}

export interface Page<T> {
  page_info: PageInfo
  data: T[]
}

export interface RunDetail {
  execution: Run
  deliveries: Call[]
  attempts: Run[]
}

export interface ReplayPlan {
  id: string
  count: number
  bytes: number
  hosts: Record<string, number>
  errors: Record<string, number>
  oldest?: string | null
  /** Selected calls that cannot be replayed. */
  skipped: number
  /** The number of them for each reason. */
  reasons: Record<string, number>
}

/** A replay that the engine makes by itself. */
export interface ReplayRun {
  id: string
  status: 'running' | 'done' | 'cancelled' | 'failed'
  replayed: number
  /** 0 until it is known. */
  total: number
  skipped: number
  startedAt: string
  endedAt?: string | null
  error?: string | null
}

export interface ReplayDetail {
  replay: ReplayRun
  /** The new deliveries of one page. */
  deliveries: { id: string }[]
  /** The number of skipped calls for each reason. */
  reasons: Record<string, number>
}
