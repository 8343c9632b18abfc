// `dollar-send log`: what a data directory holds, read without delivering anything.

import { createRequire } from 'node:module'

import { asUsage } from './engine.mjs'
import { createPaint } from './paint.mjs'
import { formatDelivery, formatSummary } from './print.mjs'

/** @type {any} */
const binding = createRequire(import.meta.url)('../native.cjs')

/** @typedef {import('./arguments.mjs').LogSettings} LogSettings */

/**
 * Prints the deliveries that the settings ask for, the oldest first, so that the newest is nearest to
 * the prompt.
 *
 * @param {LogSettings} settings
 * @returns {Promise<number>} the exit status
 * @throws {import('./usage.mjs').UsageError}
 */
export async function logCommand({ dataDir, filter, json }) {
  /** @type {import('./print.mjs').Delivery[]} */
  const found = JSON.parse(await asUsage(() => binding._readLog(dataDir, undefined, filter)))
  if (json) {
    process.stdout.write(`${JSON.stringify(found, null, 2)}\n`)
    return 0
  }
  const paint = createPaint(process.stdout)
  const parts = found.reverse().map((delivery) => formatDelivery(delivery, paint, 'identified'))
  process.stdout.write(parts.map((part) => `${part}\n`).join(''))
  process.stdout.write(found.length > 0 ? formatSummary(found, paint) : 'No such deliveries.\n')
  return 0
}
