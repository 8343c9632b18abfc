// How long a command waits for deliveries, and what it says of those that are left.

import { showProgress } from './progress.mjs'

/** @typedef {import('./print.mjs').Logged} Delivery */

/** The time between two looks. */
const LOOK_MS = 200

const TERMINAL = ['delivered', 'failed', 'discarded']
const NOT_CONFIGURED = 'ERR_SEND_NOT_CONFIGURED'

/**
 * Waits until the deliveries are terminal, the time is over, or only those are left that wait for a
 * service which is not configured.
 *
 * @param {() => Promise<Delivery[]>} look returns the deliveries as they are now
 * @param {{ waitMs: number, interrupted?: Promise<never> }} options
 * @returns {Promise<Delivery[]>} as they are then
 */
export async function waitForDeliveries(look, { waitMs, interrupted = new Promise(() => {}) }) {
  const deadline = performance.now() + waitMs
  let deliveries = await look()
  const progress = showProgress(
    process.stderr,
    () => `Waiting for ${leftOf(deliveries).length} of ${deliveries.length} deliveries`,
  )
  try {
    while (!leftOf(deliveries).every(isUnconfigured) && performance.now() < deadline) {
      const pause = new Promise((resolve) => setTimeout(resolve, LOOK_MS))
      await Promise.race([pause, interrupted])
      deliveries = await look()
    }
  } finally {
    progress.stop()
  }
  return deliveries
}

/** @template {{ status: string }} T @param {T[]} deliveries @returns {T[]} those that are not terminal */
function leftOf(deliveries) {
  return deliveries.filter(({ status }) => !TERMINAL.includes(status))
}

/** @param {Delivery} delivery */
function isUnconfigured({ lastError, warnings }) {
  return (
    lastError?.code === NOT_CONFIGURED ||
    warnings.some((warning) => warning.startsWith(NOT_CONFIGURED))
  )
}

/**
 * What a command says of deliveries that are not terminal.
 *
 * @param {Delivery[]} deliveries
 * @param {number} waitMs
 * @returns {string} empty when there are none
 */
export function leftText(deliveries, waitMs) {
  const left = leftOf(deliveries)
  if (left.length === 0) return ''
  const some = left.filter(isUnconfigured).length
  const reason =
    some === left.length
      ? 'they wait for a service that is not configured (--config)'
      : `they are not done after ${waitMs / 1000} s (--wait)`
  return `${left.length} of ${deliveries.length} deliveries are left: ${reason}.\n`
}
