// Engines that load into the server of a test.

import { openEngine } from './engine.mjs'
import { PATIENT } from './patience.mjs'

/**
 * An engine that loads into a server, and `load`, which records rows, waits for their ends, and
 * answers the log.
 *
 * @param {{ after(fn: () => unknown): void }} t
 * @param {NonNullable<import('../../index.d.ts').EngineOptions['sql']>} sql
 * @param {import('../../index.d.ts').EngineOptions} [options]
 */
export async function openLoader(t, sql, options = {}) {
  const engine = await openEngine(t, { sql, ...options })
  /**
   * @param {string} table
   * @param {any[]} payloads
   */
  const load = async (table, payloads) => {
    const execution = engine.execution({ workflowId: 'p_test' })
    const { $send } = execution.step('step')
    for (const payload of payloads) $send.sql({ table, payload })
    await execution.complete()
    await engine.flush(PATIENT)
    return execution.settled(PATIENT)
  }
  return { engine, load }
}
