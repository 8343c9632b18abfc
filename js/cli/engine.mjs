// What commands need of an engine.

import { UsageError } from './usage.mjs'

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

/** @param {{ dataDir?: string, allow: string[], timeoutMs?: number }} settings */
export function engineOptions({ dataDir, allow, timeoutMs }) {
  return {
    ...(dataDir === undefined ? {} : { dataDir }),
    ...(allow.length === 0 ? {} : { egress: { allow } }),
    ...(timeoutMs === undefined ? {} : { http: { timeoutMs } }),
  }
}
