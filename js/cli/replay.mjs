// `dollar-send replay`: shows the plan of a replay, asks, and has the engine run it.

import { createInterface } from 'node:readline/promises'

import { configuration } from './config.mjs'
import { Directory, isDeadLetter, wholeIds } from './directory.mjs'
import { checkJournal } from './engine.mjs'
import { asText } from './log.mjs'
import { createPaint, harmlessJson, oneLine } from './paint.mjs'
import { formatSummary } from './print.mjs'
import { showProgress } from './progress.mjs'
import { LocalReplayer, ServerReplayer } from './replayers.mjs'
import { Server } from './server.mjs'
import { EXIT } from './usage.mjs'
import { leftText, waitForDeliveries } from './wait.mjs'
import { Interrupt, watchProcess } from './watch.mjs'

/** @typedef {import('./arguments.mjs').ReplaySettings} ReplaySettings */
/** @typedef {import('./print.mjs').Logged} Delivery */
/** @typedef {import('./server.mjs').Skipped} Skipped */
/**
 * The plan of an engine.
 *
 * @typedef {object} Plan
 * @property {string} id
 * @property {number} count of calls
 * @property {number} bytes of their payloads
 * @property {Record<string, number>} hosts calls by queue
 * @property {Record<string, number>} errors calls by code
 * @property {string | null} oldest
 * @property {number} skipped selected deliveries that cannot be replayed
 * @property {Record<string, number>} reasons of them by reason
 */
/**
 * The end of a replay.
 *
 * @typedef {object} Replayed
 * @property {string[]} ids of the new deliveries
 * @property {Skipped[]} skipped
 * @property {boolean} cancelled
 * @property {number} total
 */
/**
 * An engine that replays.
 *
 * @typedef {object} Replayer
 * @property {(selection: Record<string, unknown>) => Promise<Plan>} plan
 * @property {(run: { onProgress(replayed: number, total: number): void, signal: AbortSignal })
 *   => Promise<Replayed>} run runs the plan
 * @property {(ids: string[]) => Promise<Delivery[]>} look
 * @property {() => Promise<void>} close
 */

const NOTHING = 'Nothing to replay.\n'

/**
 * @param {ReplaySettings} settings
 * @returns {Promise<number>} the exit status
 * @throws {import('./usage.mjs').UsageError}
 */
export async function replayCommand(settings) {
  const { url, token } = settings
  const configured = url ? undefined : await configuration(settings)
  if (configured) checkJournal(configured)
  const source = configured ? new Directory(configured) : new Server(String(url), token)
  const selection = await selectionIn(source, settings)
  const replayer = configured
    ? await LocalReplayer.open(configured, settings)
    : new ServerReplayer(String(url), token)
  const watch = watchProcess(() => {})
  try {
    return await replay(replayer, selection, settings, watch)
  } catch (error) {
    if (error instanceof Interrupt) return error.exitStatus
    throw error
  } finally {
    await replayer.close()
    watch.stop()
  }
}

/**
 * The selection of `engine.replay()`.
 *
 * @param {{ deliveries(filter: Record<string, unknown>): Promise<import('./directory.mjs').Known[]> }} source
 * @param {ReplaySettings} settings
 * @returns {Promise<Record<string, unknown>>}
 */
async function selectionIn(source, { ids, filter }) {
  if (ids.length > 0) return { ids: await wholeIds(source, ids, isDeadLetter) }
  const { before, ...rest } = filter
  if (before === undefined) return { ...rest, status: 'failed' }
  const [whole] = await wholeIds(source, [String(before)])
  return { ...rest, before: whole, status: 'failed' }
}

/**
 * @param {Replayer} replayer
 * @param {Record<string, unknown>} selection
 * @param {ReplaySettings} settings
 * @param {ReturnType<typeof watchProcess>} watch
 * @returns {Promise<number>} the exit status
 */
async function replay(replayer, selection, settings, watch) {
  const plan = await replayer.plan(selection)
  if (plan.count === 0 && plan.skipped === 0) return report([], [], settings)
  if (plan.count > 0 && !(await agreed(plan, settings, watch))) return EXIT.failed
  const { ids, skipped, cancelled, total } = await run(replayer, plan, watch)
  if (cancelled) {
    const left = `${total - ids.length} of ${total} stay dead letters.`
    process.stderr.write(`Cancelled: ${ids.length} of ${total} calls are handed over, ${left}\n`)
    return watch.interrupted.catch(({ exitStatus }) => exitStatus)
  }
  const deliveries = await waitForDeliveries(() => replayer.look(ids), {
    waitMs: settings.waitMs,
    interrupted: watch.interrupted,
  })
  return report(deliveries, skipped, settings)
}

/**
 * Runs a plan. The first signal cancels it.
 *
 * @param {Replayer} replayer
 * @param {Plan} plan
 * @param {ReturnType<typeof watchProcess>} watch
 */
async function run(replayer, plan, watch) {
  const controller = new AbortController()
  watch.interrupted.catch(() => controller.abort())
  let [replayed, total] = [0, plan.count]
  const progress = showProgress(process.stderr, () => `Handing over ${replayed} of ${total} calls`)
  try {
    return await replayer.run({
      onProgress: (now, all) => ([replayed, total] = [now, all]),
      signal: controller.signal,
    })
  } finally {
    progress.stop()
  }
}

/**
 * Shows the plan. On a terminal it asks, too.
 *
 * @param {Plan} plan
 * @param {ReplaySettings} settings
 * @param {ReturnType<typeof watchProcess>} watch
 */
async function agreed(plan, { yes }, watch) {
  process.stderr.write(`${planText(plan)}\n`)
  if (yes || !(process.stdin.isTTY && process.stderr.isTTY)) return true
  const reader = createInterface({ input: process.stdin, output: process.stderr })
  // A terminal in raw mode sends the key, not the signal.
  reader.on('SIGINT', () => process.kill(process.pid, 'SIGINT'))
  try {
    const answer = await Promise.race([reader.question('Send again? [y/N] '), watch.interrupted])
    return /^y(es)?$/i.test(answer.trim())
  } finally {
    reader.close()
  }
}

/** @param {Plan} plan @returns {string} what is sent again */
function planText({ count, hosts, errors, oldest, reasons }) {
  const counts = (/** @type {Record<string, number>} */ by) =>
    Object.entries(by)
      .map(([name, times]) => `${oneLine(name)} (${times})`)
      .join(', ')
  const nouns = (/** @type {number} */ times) =>
    `${times} ${times === 1 ? 'delivery' : 'deliveries'}`
  return [
    `Replays ${nouns(count)}, recorded since ${oldest}`,
    `  to ${counts(hosts)}`,
    `  after ${counts(errors)}`,
    ...Object.entries(reasons).map(
      ([reason, times]) => `Skips ${nouns(times)}: ${oneLine(reason)}`,
    ),
  ].join('\n')
}

/**
 * @param {Delivery[]} deliveries
 * @param {Skipped[]} skipped
 * @param {ReplaySettings} settings
 * @returns {number} the exit status
 */
function report(deliveries, skipped, { json, verbose, waitMs }) {
  if (json) process.stdout.write(`${harmlessJson({ deliveries, skipped })}\n`)
  else if (deliveries.length === 0) process.stdout.write(NOTHING)
  else {
    const summary = formatSummary(deliveries, createPaint(process.stdout))
    process.stdout.write(`${asText(deliveries, verbose)}${summary}`)
  }
  for (const { id, reason } of skipped) process.stderr.write(`${oneLine(`${id}: ${reason}`)}\n`)
  process.stderr.write(leftText(deliveries, waitMs))
  const good = deliveries.every(({ status }) => status === 'delivered') && skipped.length === 0
  return good ? EXIT.delivered : EXIT.failed
}
