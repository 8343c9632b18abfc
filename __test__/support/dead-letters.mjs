// Dead letters whose replays fill the memory of an engine, behind a receiver that holds them.

import { finish, record } from './engine.mjs'
import { PATIENCE_MS } from './patience.mjs'
import { deferred, receiver } from './receiver.mjs'
import { serve } from './serving.mjs'

/**
 * Looks until there is a result.
 *
 * @template T
 * @param {() => Promise<T | undefined> | T | undefined} look
 * @returns {Promise<T>}
 */
export async function until(look) {
  const deadline = Date.now() + PATIENCE_MS
  for (;;) {
    const found = await look()
    if (found !== undefined) return found
    if (Date.now() > deadline) throw new Error(`nothing after ${PATIENCE_MS} ms: ${look}`)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

/**
 * So many failed calls of one execution, of which the memory of the engine holds a few at once. Their
 * receiver answers none of their replays before `open()`.
 *
 * @param {{ after(fn: () => unknown): void }} t
 * @param {number} count
 * @param {object} [options] of the engine
 */
export async function deadLettersBehindAGate(t, count, options = {}) {
  const gate = deferred()
  let [fails, held] = [true, 0]
  /** @type {number[]} */
  const delivered = Array(count).fill(0)
  const server = await receiver(t, async (request, response) => {
    if (fails) {
      response.statusCode = 500
      response.end()
      return
    }
    held++
    await gate.promise
    delivered[JSON.parse(request.text).n]++
    response.end()
  })
  t.after(() => gate.resolve(undefined))
  const served = await serve(t, {}, { maxPendingBytes: 24_000, ...options })
  const { engine } = served
  const execution = record(engine, [])
  const step = execution.step('more')
  for (let n = 0; n < count; n++) {
    step.$send.http({
      method: 'POST',
      url: server.url,
      data: { n, text: 'x'.repeat(2000) },
    })
    await execution.flush()
    await engine.flush()
  }
  await finish(execution)
  fails = false
  return {
    ...served,
    server: { ...server, held: () => held, counts: () => delivered },
    open: () => gate.resolve(undefined),
  }
}
