// A data directory, read without opening it.

import { createRequire } from 'node:module'

import { asUsage } from './engine.mjs'
import { UsageError } from './usage.mjs'

const require = createRequire(import.meta.url)
const { keyText } = require('../options.cjs')

/** @typedef {import('./config.mjs').Configuration} Configuration */
/** @typedef {import('./print.mjs').Logged} Logged */
/** @typedef {import('../../index.js').ExecutionSummary} ExecutionSummary */

/** The log of a data directory, which may be in use by another process. */
export class Directory {
  /** @type {string} */ #path
  /** @type {string | undefined} */ #key

  /** @param {Configuration} configuration */
  constructor({ dataDir, options }) {
    this.#path = String(dataDir)
    this.#key = keyText(options.journal?.key)
  }

  /** @param {Record<string, unknown>} filter @returns {Promise<Logged[]>} newest first */
  async deliveries(filter) {
    const native = require('../native.cjs')
    return JSON.parse(await asUsage(() => native.readLog(this.#path, this.#key, filter)))
  }

  /**
   * The deliveries that became terminal after a place; without one, the place after the newest.
   *
   * @param {string | undefined} after
   * @param {Record<string, unknown>} filter
   * @returns {Promise<import('./follow.mjs').Settlements>}
   */
  async settled(after, filter) {
    const native = require('../native.cjs')
    return JSON.parse(await asUsage(() => native.readSettled(this.#path, after, filter)))
  }

  /** @param {Record<string, unknown>} filter @returns {Promise<ExecutionSummary[]>} newest first */
  async executions(filter) {
    const native = require('../native.cjs')
    return JSON.parse(await asUsage(() => native.readExecutions(this.#path, filter)))
  }
}

/** Lists of deliveries in which a prefix of an id is sought. */
const ALL = 1_000_000

/** @typedef {{ id: string, status: string, resolvedBy?: string, dismissedAt?: string }} Known */

/** A failed delivery that was neither replayed with success nor dismissed. */
export const isDeadLetter = (/** @type {Known} */ { status, resolvedBy, dismissedAt }) =>
  status === 'failed' && !resolvedBy && !dismissedAt

/**
 * The ids that prefixes name. Of several, the one that is wanted.
 *
 * @param {{ deliveries(filter: Record<string, unknown>): Promise<Known[]> }} source
 * @param {string[]} prefixes
 * @param {(delivery: Known) => boolean} [isWanted]
 * @returns {Promise<string[]>}
 * @throws {UsageError} when one names none or several
 */
export async function wholeIds(source, prefixes, isWanted = () => true) {
  if (prefixes.every((prefix) => prefix.length === 36)) return prefixes
  const all = await source.deliveries({ limit: ALL })
  return prefixes.map((prefix) => {
    const named = all.filter(({ id }) => id.startsWith(prefix.toLowerCase()))
    const wanted = named.length > 1 ? named.filter(isWanted) : named
    const found = (wanted.length > 0 ? wanted : named).map(({ id }) => id)
    if (found.length === 1) return found[0]
    if (found.length === 0)
      throw new UsageError(`There is no delivery whose id begins with ${prefix}.`)
    const some = found.slice(0, 5).join('\n  ')
    throw new UsageError(
      `${found.length} deliveries have ids that begin with ${prefix}:\n  ${some}`,
    )
  })
}
