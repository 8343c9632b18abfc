// @ts-check
'use strict'

// Completion hooks that wait for a journal: the promises are made here, and settled many at a time.

const { localError } = require('./errors.cjs')

/** @typedef {import('../index.d.ts').CompletionReceipt} Receipt */
/**
 * @typedef {object} Waiting
 * @property {string} executionId
 * @property {(receipt: Receipt) => void} resolve
 * @property {(error: unknown) => void} reject
 */

// Taken now, so that the clock of a test does not stand for it later.
const { setInterval } = globalThis

/**
 * Timer that keeps the event loop alive while a completion hook waits.
 *
 * @type {NodeJS.Timeout | undefined}
 */
let alive
/** Engines of which a hook waits. */
let engines = 0

/** The completion hooks of one engine. */
class Completions {
  #handle
  #onWaiting
  /** @type {Map<number, Waiting>} */ #waiting = new Map()
  #lastTicket = 0

  /**
   * @param {import('./native.cjs').EngineHandle} handle
   * @param {(waiting: boolean) => void} onWaiting called when the first hook begins to wait, and when
   *   none waits any more
   */
  constructor(handle, onWaiting) {
    this.#handle = handle
    this.#onWaiting = onWaiting
  }

  /**
   * Hands calls over. Returns the receipt, or a promise for it while the journal has not stored them.
   *
   * @param {{ executionId: string }} execution
   * @param {(ticket: number) => number | null | undefined} handOver returns the number of calls that were
   *   handed over, or nothing when it is known later
   * @returns {Receipt | Promise<Receipt>}
   */
  receipt(execution, handOver) {
    const ticket = (this.#lastTicket = (this.#lastTicket + 1) >>> 0)
    const recorded = handOver(ticket)
    const { executionId } = execution
    if (typeof recorded === 'number') return { executionId, recorded, durable: false }
    if (this.#waiting.size === 0) this.#tellWaiting(true)
    return new Promise((resolve, reject) => {
      this.#waiting.set(ticket, { executionId, resolve, reject })
    })
  }

  /** Settles the promises of the hooks that are done. */
  settle() {
    const done = this.#handle.takeCompletions()
    if (done.length === 0) return
    for (let place = 0; place < done.length; place += 3) {
      const hook = this.#waiting.get(done[place])
      this.#waiting.delete(done[place])
      const recorded = done[place + 1]
      if (recorded < 0) hook?.reject(this.#refusal(done[place]))
      else
        hook?.resolve({ executionId: hook.executionId, recorded, durable: done[place + 2] === 1 })
    }
    if (this.#waiting.size === 0) this.#tellWaiting(false)
  }

  /** @param {boolean} waiting */
  #tellWaiting(waiting) {
    engines += waiting ? 1 : -1
    alive ??= setInterval(() => {}, 2 ** 30)
    if (engines > 0) alive.ref()
    else alive.unref()
    this.#onWaiting(waiting)
  }

  /** @param {number} ticket */
  #refusal(ticket) {
    try {
      this.#handle.throwRefusal(ticket)
    } catch (error) {
      return localError(error)
    }
    return new Error('the hand-over was refused')
  }
}

module.exports = { Completions }
