// `dollar-send replay`: makes failed deliveries of a data directory again.

import { existsSync } from 'node:fs'
import { join } from 'node:path'

import root from '../index.cjs'
import { asUsage, engineOptions } from './engine.mjs'
import { createPaint } from './paint.mjs'
import { formatDelivery, formatSummary } from './print.mjs'
import { showProgress } from './progress.mjs'
import { EXIT, UsageError } from './usage.mjs'

/** @type {any} */
const { Engine } = root

/** @typedef {import('./arguments.mjs').ReplaySettings} ReplaySettings */
/** @typedef {import('./print.mjs').Delivery & { id: string }} Delivery */

/**
 * Waits until every one of these deliveries is terminal.
 *
 * @param {any} engine
 * @param {Map<string, Delivery | undefined>} awaited by id; filled with what became of them
 */
async function settle(engine, awaited) {
  const left = () => [...awaited.values()].filter((delivery) => !delivery).length
  const progress = showProgress(
    process.stderr,
    () => `Waiting for ${left()} of ${awaited.size} deliveries`,
  )
  const alive = setInterval(() => {}, 2 ** 30)
  try {
    // Batches are not waited for until they are due.
    void engine.flush()
    await new Promise((resolve) => {
      engine.on('delivery', (/** @type {Delivery} */ delivery) => {
        if (awaited.has(delivery.id)) awaited.set(delivery.id, delivery)
        if (left() === 0) resolve(undefined)
      })
      const known = engine.deliveries({ limit: 1_000_000 })
      known.then((/** @type {Delivery[]} */ deliveries) => {
        const terminal = ['delivered', 'failed', 'discarded']
        for (const delivery of deliveries) {
          if (awaited.has(delivery.id) && terminal.includes(delivery.status))
            awaited.set(delivery.id, delivery)
        }
        if (left() === 0) resolve(undefined)
      })
    })
  } finally {
    clearInterval(alive)
    progress.stop()
  }
}

/**
 * @param {ReplaySettings} settings
 * @returns {Promise<number>} the exit status
 * @throws {UsageError}
 */
export async function replayCommand(settings) {
  const { dataDir, ids, filter, json } = settings
  if (!existsSync(join(dataDir, 'journal.sqlite')))
    throw new UsageError(`${dataDir} holds no journal.`)
  const engine = await asUsage(() => Engine.open(engineOptions(settings)))
  try {
    const selection = ids.length > 0 ? { ids } : { ...filter, status: 'failed' }
    const { replayed, skipped } = await asUsage(() => engine.replay(selection))
    /** @type {Map<string, Delivery | undefined>} */
    const awaited = new Map(replayed.map((/** @type {{ id: string }} */ { id }) => [id, undefined]))
    await settle(engine, awaited)
    const deliveries = /** @type {Delivery[]} */ ([...awaited.values()])
    if (json) process.stdout.write(`${JSON.stringify({ deliveries, skipped }, null, 2)}\n`)
    else process.stdout.write(asText(deliveries))
    for (const { id, reason } of skipped) process.stderr.write(`${id}: ${reason}\n`)
    const good = deliveries.every(({ status }) => status === 'delivered') && skipped.length === 0
    return good ? EXIT.delivered : EXIT.failed
  } finally {
    await engine.close()
  }
}

/** @param {Delivery[]} deliveries */
function asText(deliveries) {
  if (deliveries.length === 0) return 'Nothing to replay.\n'
  const paint = createPaint(process.stdout)
  const parts = deliveries.map((delivery) => formatDelivery(delivery, paint, 'identified'))
  return `${parts.map((part) => `${part}\n`).join('')}${formatSummary(deliveries, paint)}`
}
