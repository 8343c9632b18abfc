// Dead letters in a data directory, for processes that are killed, and their receiver.

import assert from 'node:assert/strict'

import { dataDirectory } from './data-dir.mjs'
import { openEngine, record } from './engine.mjs'
import { PATIENT } from './patience.mjs'
import { receiver } from './receiver.mjs'

/**
 * Makes dead letters of calls with the data `{ n }`.
 *
 * @param {{ after(fn: () => unknown): void }} t
 * @param {number} count
 * @param {() => number} random decides which requests fail
 */
export async function deadLetters(t, count, random) {
  const letters = {
    dataDir: dataDirectory(t),
    /** The share of the requests that fail. */
    failing: 1,
    /** By `n`: the keys of the requests, and how many were taken. @type {Map<number, { keys: Set<unknown>, delivered: number }>} */
    arrivals: new Map(),
    requests: () => server.requests.length,
    /** Returns how many were taken again. Asserts that each call had one key. */
    again() {
      const arrivals = [...letters.arrivals.values()]
      assert.deepEqual(
        arrivals.filter(({ keys }) => keys.size !== 1),
        [],
      )
      return arrivals.reduce((sum, { delivered }) => sum + Math.max(0, delivered - 1), 0)
    },
  }
  const server = await receiver(t, ({ text, headers }, response) => {
    const { n } = JSON.parse(text)
    const arrival = letters.arrivals.get(n) ?? { keys: new Set(), delivered: 0 }
    letters.arrivals.set(n, arrival)
    arrival.keys.add(headers['idempotency-key'])
    response.statusCode = random() < letters.failing ? 500 : 200
    if (response.statusCode === 200) arrival.delivered++
    response.end()
  })
  const engine = await openEngine(t, { dataDir: letters.dataDir })
  const calls = Array.from({ length: count }, (_, n) => ({ url: server.url, data: { n } }))
  await record(engine, calls).complete()
  const closed = { delivered: 0, failed: count, pending: 0, open: 0 }
  assert.deepEqual(await engine.close(PATIENT), closed)
  return letters
}
