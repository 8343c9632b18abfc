// Calls of a destination of one's own, `$send.test`.

import { PATIENT } from './patience.mjs'

/**
 * Records calls of `$send.test` in one execution and waits until they are settled.
 *
 * @param {import('../../index.d.ts').Engine} engine
 * @param {object[]} calls
 */
export async function send(engine, calls) {
  const execution = engine.execution({ workflowId: 'p_test' })
  const { $send } = /** @type {any} */ (execution.step('step'))
  for (const call of calls) $send.test(call)
  await execution.complete()
  const [log] = await Promise.all([execution.settled(PATIENT), engine.flush()])
  return log
}

/** The ends of deliveries. */
export const ends = (/** @type {import('../../index.d.ts').Delivery[]} */ log) =>
  log.map(({ status, attempts, error }) => [status, attempts, error?.code])
