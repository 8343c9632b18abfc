// The server of a running engine, as the commands use it.

import values from '../values.cjs'
import { UsageError } from './usage.mjs'

/** Where tokens may stand that are not to be seen in a list of processes. */
export const TOKENS_VARIABLE = 'DOLLAR_SEND_TOKENS'

/** Rows of one page. */
const PAGE = 100

/** The time for an answer. A query of the warehouse may take as long. */
const ANSWER_MS = 60_000

/** The names of filters by REST. */
const PARAMETERS = /** @type {Record<string, string>} */ ({
  workflowId: 'workflow_id',
  executionId: 'execution_id',
  step: 'step',
  destination: 'destination',
  status: 'status',
  before: 'after',
  settledSince: 'settled_since',
  errorCode: 'error_code',
  dryRun: 'dry_run',
})

/** @typedef {import('./print.mjs').Logged} Logged */
/** @typedef {import('../../index.js').ExecutionSummary} ExecutionSummary */
/** @typedef {import('../../index.js').Pause} Pause */
/** @typedef {{ data?: unknown, message?: unknown, error?: unknown }} Body */
/** @typedef {{ id: string, reason: string }} Skipped */
/**
 * @typedef {object} ReplayState
 * @property {string} id
 * @property {'running' | 'done' | 'cancelled' | 'failed'} status
 * @property {number} replayed
 * @property {number} total
 * @property {string | null} error
 */

/** @typedef {{ replay: ReplayState, deliveries: { id: string }[], skips: Skipped[] }} ReplayPart */

/** @typedef {Error & { cause?: { message?: string, code?: string } }} FetchError */

/** A server that cannot be reached, or refuses. */
export class ServerError extends Error {
  /** @type {boolean} `true` if the server may be there later */
  isTransient = false
}

/** The REST API of a running engine. */
export class Server {
  /** @type {string} */ #url
  /** @type {Record<string, string>} */ #headers

  /**
   * @param {string} url
   * @param {string} [token] default: the first in `DOLLAR_SEND_TOKENS`
   */
  constructor(url, token) {
    this.#url = addressIn(url)
    const known = token ?? (process.env[TOKENS_VARIABLE] ?? '').split(',')[0].trim()
    if (!/^[\x21-\x7e]*$/.test(known))
      throw new UsageError(
        'The token has characters that no header can have, such as a line break.',
      )
    this.#headers = known ? { authorization: `Bearer ${known}` } : {}
  }

  /** @param {Record<string, unknown>} filter @returns {Promise<Logged[]>} newest first */
  deliveries(filter) {
    return this.#rows('/v1/deliveries', filter, 'id')
  }

  /**
   * The deliveries that became terminal after a place; without one, the place after the newest.
   *
   * @param {string | undefined} after
   * @param {Record<string, unknown>} filter
   * @param {import('./follow.mjs').Detail} detail
   * @returns {Promise<import('./follow.mjs').Settlements>}
   */
  async settled(after, filter, detail) {
    const bodies = detail === 'full'
    const query = queryOf({ ...filter, ...(after && { after }), ...(!bodies && { bodies }) })
    const page = await this.#json(`/v1/settlements?${query}`)
    if (!Array.isArray(page.data)) throw this.#stranger()
    return /** @type {import('./follow.mjs').Settlements} */ (page)
  }

  /** @param {Record<string, unknown>} filter @returns {Promise<ExecutionSummary[]>} newest first */
  executions(filter) {
    return this.#rows('/v1/executions', filter, 'cursor')
  }

  /**
   * Plans a replay.
   *
   * @param {Record<string, unknown>} selection
   * @returns {Promise<import('./replay.mjs').Plan>}
   */
  async plan(selection) {
    const { data } = await this.#post('/v1/replays', { ...selection, dryRun: true })
    if (typeof values.memberOf(data, 'id') !== 'string') throw this.#stranger()
    return /** @type {import('./replay.mjs').Plan} */ (data)
  }

  /**
   * Begins the replay of a plan.
   *
   * @param {string} plan
   * @returns {Promise<ReplayState>}
   */
  async beginReplay(plan) {
    const { data } = await this.#post('/v1/replays', { plan, wait: false })
    return /** @type {ReplayState} */ (data)
  }

  /**
   * The progress of a replay, and a part of its deliveries.
   *
   * @param {string} id
   * @param {number} offset
   * @returns {Promise<ReplayPart>}
   */
  async replayed(id, offset) {
    const { data } = await this.#json(`/v1/replays/${id}?limit=${PAGE}&offset=${offset}`)
    return /** @type {ReplayPart} */ (data)
  }

  /** @param {string} id of a replay */
  async cancelReplay(id) {
    await this.#json(`/v1/replays/${id}`, { method: 'DELETE' })
  }

  /**
   * @param {'pause' | 'resume'} act
   * @param {Record<string, unknown>} target
   * @returns {Promise<Pause[]>} the pauses
   */
  async changePauses(act, target) {
    const { data } = await this.#post(`/v1/queues/${act}`, target)
    const pauses = values.memberOf(data, 'pauses')
    if (!Array.isArray(pauses)) throw this.#stranger()
    return pauses
  }

  /** @param {Record<string, unknown>} filter @returns {Promise<number>} */
  async retryNow(filter) {
    const { data } = await this.#post('/v1/queues/retry-now', filter)
    const retried = values.memberOf(data, 'retried')
    if (typeof retried !== 'number') throw this.#stranger()
    return retried
  }

  /** @param {string} path @param {Record<string, unknown>} members by the names of the API */
  #post(path, members) {
    const renamed = Object.entries(members).map(([name, value]) => [
      PARAMETERS[name] ?? name,
      value,
    ])
    return this.#json(path, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(Object.fromEntries(renamed)),
    })
  }

  /**
   * @param {string} path
   * @param {Record<string, unknown>} filter
   * @param {string} cursor the member that names a place
   */
  async #rows(path, { limit = PAGE, ...filter }, cursor) {
    const rows = []
    const query = queryOf(filter)
    while (rows.length < Number(limit)) {
      const wanted = Math.min(PAGE, Number(limit) - rows.length)
      query.set('limit', String(wanted))
      const { data } = await this.#json(`${path}?${query}`)
      if (!Array.isArray(data)) throw this.#stranger()
      rows.push(...data)
      if (data.length < wanted) break
      query.set('after', data.at(-1)[cursor])
    }
    return rows
  }

  #stranger() {
    return new ServerError(
      `${this.#url} is not the server of an engine: its answer has no such data.`,
    )
  }

  /** @param {string} path @param {RequestInit} [init] @returns {Promise<Body>} */
  async #json(path, init = {}) {
    const response = await this.request(path, init)
    const text = await response.text().catch((error) => {
      throw transient(`${this.#url} broke off its response`, error)
    })
    const body = parsed(text)
    if (response.ok) return body
    const { message, error } = body
    const reason = message ?? values.memberOf(error, 'message') ?? error ?? response.statusText
    const token = response.status === 401 ? ` Give a token: --token, or ${TOKENS_VARIABLE}.` : ''
    const refusal = new ServerError(`${this.#url} answered ${response.status}: ${reason}.${token}`)
    refusal.isTransient = response.status === 503
    throw refusal
  }

  /**
   * Makes a request to the server.
   *
   * @param {string} path
   * @param {RequestInit} [init]
   */
  async request(path, init = {}) {
    try {
      return await fetch(this.#url + path, {
        signal: AbortSignal.timeout(ANSWER_MS),
        ...init,
        headers: { ...this.#headers, ...init.headers },
      })
    } catch (error) {
      const { name, message, cause } = /** @type {FetchError} */ (error)
      if (name === 'TimeoutError') {
        const seconds = ANSWER_MS / 1000
        throw transient(`${this.#url} did not answer within ${seconds} s`, error)
      }
      const reason = cause?.message || cause?.code || message
      throw transient(`${this.#url} cannot be reached: ${reason}`, error)
    }
  }
}

/**
 * The error of a server that may be there later.
 *
 * @param {string} message
 * @param {unknown} cause
 */
function transient(message, cause) {
  const error = new ServerError(message, { cause })
  error.isTransient = true
  return error
}

/** @param {string} text @returns {Body} */
function parsed(text) {
  try {
    return JSON.parse(text) ?? {}
  } catch {
    return {}
  }
}

/** @param {Record<string, unknown>} filter */
function queryOf(filter) {
  const query = new URLSearchParams()
  for (const [name, value] of Object.entries(filter))
    query.set(PARAMETERS[name] ?? name, String(value))
  return query
}

/**
 * The address in `--url`, without a slash at its end.
 *
 * @param {string} url
 * @throws {UsageError}
 */
function addressIn(url) {
  if (!/^https?:\/\//.test(url) || !URL.canParse(url))
    throw new UsageError(`--url must begin with http:// or https://, not ${withoutLogin(url)}.`)
  const { username, password } = new URL(url)
  if (username || password)
    throw new UsageError('--url has a user or password, which no server asks for: give --token.')
  return url.replace(/\/+$/, '')
}

/** @param {string} url */
function withoutLogin(url) {
  return url.replace(/\/\/.*@/s, '//…@')
}
