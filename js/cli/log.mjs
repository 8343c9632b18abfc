// `dollar-send log`: deliveries of a data directory or of a running engine, read without delivering
// anything.

import { configuration } from './config.mjs'
import { Directory, wholeIds } from './directory.mjs'
import { follow } from './follow.mjs'
import { deliveryLines } from './lines.mjs'
import { createPaint, harmlessJson } from './paint.mjs'
import { formatDelivery, formatSummary } from './print.mjs'
import { Server } from './server.mjs'
import { terminalWidth } from './table.mjs'

/** @typedef {import('./arguments.mjs').LogSettings} LogSettings */
/** @typedef {import('./print.mjs').Logged} Delivery */

/**
 * Prints the deliveries that the settings ask for, the oldest first, so that the newest is nearest to
 * the prompt.
 *
 * @param {LogSettings} settings
 * @returns {Promise<number>} the exit status
 * @throws {import('./usage.mjs').UsageError}
 */
export async function logCommand(settings) {
  const { json, verbose, url, token } = settings
  const source = url ? new Server(url, token) : new Directory(await configuration(settings))
  const filter = { ...settings.filter }
  if (filter.before !== undefined) [filter.before] = await wholeIds(source, [String(filter.before)])
  if (settings.follow) return follow(source, filter, outputOf(settings))
  const found = await source.deliveries(filter)
  if (json) {
    process.stdout.write(`${harmlessJson(found)}\n`)
    return 0
  }
  process.stdout.write(asText(found.reverse(), verbose))
  const summary = formatSummary(found, createPaint(process.stdout))
  process.stdout.write(found.length > 0 ? summary : 'No such deliveries.\n')
  return 0
}

/**
 * The output of a log that goes on.
 *
 * @param {{ json: boolean, verbose: boolean }} settings
 * @returns {import('./follow.mjs').Output}
 */
function outputOf({ json, verbose }) {
  const detail = json || verbose ? 'full' : 'heads'
  if (!json) {
    const format = (/** @type {Delivery[]} */ found) => asText(found, verbose)
    return { format, detail, notes: process.stdout }
  }
  const line = (/** @type {Delivery} */ delivery) => `${harmlessJson(delivery, 0)}\n`
  return { format: (found) => found.map(line).join(''), detail, notes: process.stderr }
}

/**
 * Deliveries as text: a line each, or with requests and responses.
 *
 * @param {Delivery[]} deliveries
 * @param {boolean} verbose
 */
export function asText(deliveries, verbose) {
  const paint = createPaint(process.stdout)
  if (!verbose) return deliveryLines(deliveries, paint, terminalWidth(process.stdout))
  return deliveries.map((one) => `${formatDelivery(one, paint, 'identified')}\n`).join('')
}
