// Bursts of numbered calls, and the proof that what a receiver processed and what is said of the calls
// agree.

import assert from 'node:assert/strict'

import { PATIENT } from './patience.mjs'

/** Calls of one burst; the long form has 100,000. */
export const CALLS = Number(process.env.DOLLAR_SEND_BURST_CALLS ?? 2000)

const CALLS_EACH = 20
const EXECUTIONS_AT_ONCE = 16

/** @typedef {{ n: number, status: string, attempts: number, code?: string, phase?: string, message?: string }} Ended */

/**
 * Sends calls numbered by `?n=`, from `first` on, and returns how each ended. `during` is called with
 * the number of those that have ended.
 *
 * @param {import('../../index.d.ts').Engine} engine
 * @param {string} url
 * @param {{ count?: number, first?: number, during?: (ended: number) => unknown }} [options]
 */
export async function burst(engine, url, { count = CALLS, first = 0, during = () => {} } = {}) {
  /** @type {Ended[]} */
  const all = []
  let next = first
  const end = first + count
  const worker = async () => {
    while (next < end) {
      const numbers = []
      while (numbers.length < CALLS_EACH && next < end) numbers.push(next++)
      const execution = engine.execution({ workflowId: 'p_burst' })
      const { $send } = execution.step('code')
      for (const n of numbers) {
        $send.http({ method: 'POST', data: { n }, url: `${url}?n=${n}` })
      }
      await execution.complete()
      const deliveries = await execution.settled(PATIENT)
      for (const [index, { status, attempts, error }] of deliveries.entries()) {
        const { code, phase, message } = error ?? {}
        all.push({ n: numbers[index], status, attempts, code, phase, message })
      }
      await during(all.length)
    }
  }
  await Promise.all(Array.from({ length: EXECUTIONS_AT_ONCE }, worker))
  assert.equal(all.length, count, 'every call has ended')
  return all
}

/** Phases of a failure before any of the request was written. */
const BEFORE = ['dns', 'connect', 'tls']

/**
 * Checks that every call was delivered, or failed in one of the `permitted` ways (`CODE phase`), and
 * that the receiver says the same: it has processed what was delivered once, what failed at most once,
 * and nothing of what failed before it was sent.
 *
 * @param {Ended[]} all
 * @param {number[]} processed numbers of the requests that the receiver has processed
 * @param {string[]} [permitted]
 * @param {boolean} [isWhole] `false`: a receiver that ended at once did not record its last requests
 */
export function assertConserved(all, processed, permitted = [], isWhole = true) {
  const times = new Map(all.map(({ n }) => [n, 0]))
  for (const n of processed) times.set(n, (times.get(n) ?? 0) + 1)
  const wrong = all.flatMap((ended) => {
    const { n, status, attempts, code, phase, message } = ended
    const seen = times.get(n) ?? 0
    const way = `${code} ${phase}`
    const least = status === 'delivered' && isWhole ? 1 : 0
    const most = BEFORE.includes(phase ?? '') ? 0 : 1
    const isGood = status === 'delivered' || (permitted.includes(way) && message)
    if (isGood && seen >= least && seen <= most && attempts === 1) return []
    return [`${n}: ${status} ${way} «${message}», ${attempts} attempts, processed ${seen} times`]
  })
  assert.equal(wrong.length, 0, `${wrong.length} of ${all.length}: ${wrong.slice(0, 5).join('\n')}`)
  assert.equal(times.size, all.length, 'the receiver has processed no other request')
}

/** @param {Ended[]} all */
export const delivered = (all) => all.filter(({ status }) => status === 'delivered').length
