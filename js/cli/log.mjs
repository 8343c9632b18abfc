// `dollar-send log`: deliveries of a data directory or of a running engine, read without delivering
// anything.

import { configuration } from './config.mjs'
import { Directory, wholeIds } from './directory.mjs'
import { deliveryLines } from './lines.mjs'
import { createPaint, harmlessJson } from './paint.mjs'
import { formatDelivery, formatSummary } from './print.mjs'
import { Server } from './server.mjs'
import { terminalWidth } from './table.mjs'
import { Interrupt, watchProcess } from './watch.mjs'

/** @typedef {import('./arguments.mjs').LogSettings} LogSettings */
/** @typedef {import('./print.mjs').Logged} Delivery */

/** The time between two looks of --follow. */
const LOOK_MS = 500

/** The most deliveries of one look of --follow. */
const LOOK_AT = 1_000_000

/** What is settled is in the file a moment later: each look sees this much of the time before it again. */
const OVERLAP_MS = 2000

const TERMINAL = ['delivered', 'failed', 'discarded']

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
  const found = await source.deliveries(filter)
  if (settings.follow) return follow(source, filter, found, settings)
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

/**
 * Prints what is there, and then each delivery when it is terminal, until the process is asked to end.
 *
 * @param {{ deliveries(filter: Record<string, string | number>): Promise<Delivery[]> }} source
 * @param {Record<string, string | number>} filter
 * @param {Delivery[]} found
 * @param {LogSettings} settings
 */
async function follow(source, filter, found, { json, verbose }) {
  const print = (/** @type {Delivery[]} */ deliveries) => {
    if (deliveries.length === 0) return
    const lines = json
      ? deliveries.map((delivery) => `${harmlessJson(delivery, 0)}\n`).join('')
      : asText(deliveries, verbose)
    process.stdout.write(lines)
  }
  const watch = watchProcess(() => {})
  const terminal = found.filter(isTerminal)
  /** The end of each delivery that the next look may see again. */
  let seen = new Map(terminal.map((delivery) => [delivery.id, endOf(delivery)]))
  let newest = Math.max(Date.now(), ...seen.values())
  print(found.reverse())
  try {
    for (;;) {
      const look = new Promise((resolve) => setTimeout(resolve, LOOK_MS))
      await Promise.race([look, watch.interrupted, watch.crashed])
      const since = newest - OVERLAP_MS
      const settledSince = new Date(since).toISOString()
      const all = await source.deliveries({ ...filter, settledSince, limit: LOOK_AT })
      const fresh = all.filter(({ id }) => !seen.has(id))
      for (const delivery of fresh) seen.set(delivery.id, endOf(delivery))
      for (const end of seen.values()) newest = Math.max(newest, end)
      seen = new Map([...seen].filter(([, end]) => end >= newest - OVERLAP_MS))
      print(fresh.sort((one, other) => endOf(one) - endOf(other)))
    }
  } catch (error) {
    if (error instanceof Interrupt) return 0
    throw error
  } finally {
    watch.stop()
  }
}

/** @param {Delivery} delivery that is terminal */
function endOf({ settledAt }) {
  return Date.parse(String(settledAt))
}

/** @param {{ status: string }} delivery */
function isTerminal({ status }) {
  return TERMINAL.includes(status)
}
