// What commands need of an engine.

import { statSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'

import { UsageError } from './usage.mjs'

/** @typedef {import('./config.mjs').Configuration} Configuration */

/** Options of an engine without a configuration: nothing is delivered, and nothing is forgotten. */
export const LOOKING = {
  deliver: false,
  log: { maxExecutionsPerWorkflow: 1_000_000, maxAgeDays: 36_500 },
}

/**
 * Refusals of the engine to what the command line said become bad usage.
 *
 * @template T
 * @param {() => T | Promise<T>} open
 * @returns {Promise<T>}
 */
export async function asUsage(open) {
  try {
    return await open()
  } catch (error) {
    const { code, message } = /** @type {{ code?: unknown, message: string }} */ (error)
    if (typeof code === 'string' && code.startsWith('ERR_SEND_'))
      throw new UsageError(message, { cause: error })
    throw error
  }
}

/**
 * The options of `Engine.open()`: those of the configuration, then those of the command line. The
 * server of the configuration belongs to the runner and to `serve`.
 *
 * @param {Configuration} configuration
 * @param {{ allow?: string[], timeoutMs?: number }} settings
 */
export function engineOptions({ options: given, dataDir }, { allow = [], timeoutMs }) {
  const options = { ...given }
  delete options.server
  if (dataDir !== undefined) options.dataDir = dataDir
  if (allow.length > 0)
    options.egress = { ...options.egress, allow: [...(options.egress?.allow ?? []), ...allow] }
  if (timeoutMs !== undefined) options.http = { ...options.http, timeoutMs }
  return options
}

/**
 * Refuses a data directory that nothing was ever recorded in.
 *
 * @param {Configuration} configured
 */
export function checkJournal(configured) {
  const dataDir = String(configured.dataDir)
  try {
    statSync(join(dataDir, 'journal.sqlite'))
  } catch (error) {
    const isDenied = /** @type {NodeJS.ErrnoException} */ (error).code === 'EACCES'
    throw new UsageError(
      isDenied
        ? `${dataDir} cannot be read: permission denied. Run this as the user that owns it.`
        : `${dataDir} holds no journal.`,
    )
  }
}

/**
 * The address of the engine that has a data directory open.
 *
 * @param {string} dataDir
 * @returns {Promise<string | undefined>} `undefined`: it has no server
 */
async function addressOf(dataDir) {
  const text = await readFile(join(dataDir, 'lock'), 'utf8').catch(() => '')
  return text.split('\n').find((line) => line.startsWith('http'))
}

/**
 * Opens an engine on the data directory, or finds the server of the one that has it open.
 *
 * @param {Configuration} configured
 * @param {object} options of `Engine.open()`
 * @param {string} verb what the command does, for messages
 * @returns {Promise<{ engine: import('../engine.cjs').Engine, address?: undefined } | { engine?: undefined, address: string }>}
 * @throws {UsageError} when the directory is in use, and has no server
 */
export async function openOrFind(configured, options, verb) {
  const { Engine } = (await import('../index.cjs')).default
  try {
    return { engine: await Engine.open(options) }
  } catch (error) {
    const { code, message } = /** @type {NodeJS.ErrnoException} */ (error)
    if (code !== 'ERR_SEND_DATA_DIR_LOCKED') return asUsage(() => Promise.reject(error))
    const address = await addressOf(String(configured.dataDir))
    if (address) return { address }
    throw new UsageError(
      `${message}. It has no server that could ${verb}: Engine.open({ server })`,
      { cause: error },
    )
  }
}
