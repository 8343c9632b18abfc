// The command line of `pause`, `resume` and `retry-now`. Pure, touches no file.

import { UsageError } from './usage.mjs'

/**
 * @typedef {Pick<import('./arguments.mjs').LogSettings, 'url' | 'token' | 'config' | 'dataDir' | 'json'>}
 *   Place
 */
/**
 * @typedef {{ host?: string, destination?: string, workflow?: string, execution?: string, step?: string,
 *   code?: string, all?: boolean }} Values
 */
/**
 * @typedef {Place
 *   & { target: Record<string, string | true> }} PauseSettings
 */
/**
 * @typedef {Place
 *   & { ids: string[], filter: Record<string, string> }} RetrySettings
 */

/**
 * The members of an object that are given.
 *
 * @template T
 * @param {Record<string, T | undefined>} members
 * @returns {Record<string, T>}
 */
function given(members) {
  const entries = Object.entries(members).filter(([, value]) => value !== undefined)
  return /** @type {Record<string, T>} */ (Object.fromEntries(entries))
}

/**
 * @param {'pause' | 'resume'} command
 * @param {string[]} others
 * @param {Values} values
 * @param {Place} place
 * @returns {PauseSettings}
 */
export function pauseSettings(command, others, values, place) {
  const { host, destination, workflow, all } = values
  /** @type {Record<string, string | true | undefined>} */
  const members = { host, destination, workflowId: workflow, all: all || undefined }
  const target = given(members)
  if (others.length > 0 || Object.keys(target).length !== 1)
    throw new UsageError(
      `${command} needs one of --host, --destination, --workflow and --all, and no arguments.`,
    )
  const { config, dataDir, url, token, json } = place
  return { config, dataDir, url, token, json, target }
}

/**
 * @param {string[]} ids
 * @param {Values} values
 * @param {Place} place
 * @returns {RetrySettings}
 */
export function retrySettings(ids, values, place) {
  const { host, destination, workflow, execution, step, code, all } = values
  const filter = given({
    ...{ host, destination, step, workflowId: workflow, executionId: execution },
    errorCode: code,
    status: all ? 'pending' : undefined,
  })
  const count = Object.keys(filter).length
  if (ids.length > 0 ? count > 0 : count === 0 || (all && count > 1))
    throw new UsageError('retry-now needs either ids, filters, or --all.')
  const { config, dataDir, url, token, json } = place
  return { config, dataDir, url, token, json, ids, filter }
}
