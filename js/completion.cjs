// @ts-check
'use strict'

// Completion hooks that wait for a journal: the promises are made here, and settled many at a time.

/**
 * @typedef {object} Waiting
 * @property {string} executionId
 * @property {(receipt: object) => void} resolve
 * @property {(error: unknown) => void} reject
 */

// Taken now, so that a clock of somebody's tests does not stand for it later.
const { setInterval } = globalThis

/**
 * What keeps the process alive while somebody waits; the first who does begins it.
 *
 * @type {NodeJS.Timeout | undefined}
 */
let alive

/**
 * Makes the function that answers a hand-over with its receipt.
 *
 * @param {any} binding
 */
function createReceipts(binding) {
  /** @type {Map<number, Waiting>} */
  const waiting = new Map()
  let lastTicket = 0
  let listens = false

  function settle() {
    const answers = binding._takeCompletions()
    for (let place = 0; place < answers.length; place += 3) {
      const [ticket, recorded, durable] = answers.slice(place, place + 3)
      const hook = waiting.get(ticket)
      waiting.delete(ticket)
      if (recorded < 0) hook?.reject(refusal(ticket))
      else hook?.resolve({ executionId: hook.executionId, recorded, durable: durable === 1 })
    }
    if (waiting.size === 0) alive?.unref()
  }

  /** @param {number} ticket */
  function refusal(ticket) {
    try {
      binding._throwRefusal(ticket)
    } catch (error) {
      return error
    }
    return new Error('the hand-over was refused')
  }

  /**
   * @param {any} execution
   * @param {(ticket: number) => number | undefined} handOver answers the calls that were handed over,
   *   or nothing when that is known later
   */
  return function receipt(execution, handOver) {
    if (!listens) {
      binding._completions(settle)
      listens = true
    }
    const ticket = (lastTicket = (lastTicket + 1) >>> 0)
    const recorded = handOver(ticket)
    const { executionId } = execution
    if (typeof recorded === 'number') return { executionId, recorded, durable: false }
    alive ??= setInterval(() => {}, 2 ** 30)
    if (waiting.size === 0) alive.ref()
    return new Promise((resolve, reject) => {
      waiting.set(ticket, { executionId, resolve, reject })
    })
  }
}

module.exports = { createReceipts }
