// Engines with a warehouse, and rows for it.

import { dataDirectory } from './data-dir.mjs'
import { openEngine } from './engine.mjs'
import { PATIENT } from './patience.mjs'

/** Rows each of which converts what the table has of the one before, or makes it anew. */
export const WIDENED = [
  { text: 1.5, list: [1], object: { a: 1 }, json: { a: [1] } },
  { text: 'x', list: ['x'], object: { a: 'x', b: 1 }, json: 'x' },
  Object.fromEntries(Array.from({ length: 40 }, (_, n) => [`c${n}`, n])),
]

/**
 * An engine with a warehouse in a directory of its own, and `load`, which records rows and waits
 * until they are there.
 *
 * @param {{ after(fn: () => unknown): void }} t
 * @param {import('../../index.d.ts').EngineOptions} [options]
 */
export async function openWarehouse(t, options = {}) {
  const dataDir = options.dataDir ?? dataDirectory(t)
  const engine = await openEngine(t, { ...options, dataDir })
  /**
   * @param {string} table
   * @param {any[]} payloads
   */
  const load = async (table, payloads) => {
    const execution = engine.execution({ workflowId: 'p_test' })
    const { $send } = execution.step('step')
    for (const payload of payloads) $send.sql({ table, payload })
    const { executionId } = await execution.complete()
    await engine.flush(PATIENT)
    const log = await engine.deliveries({ executionId, limit: payloads.length })
    return log.reverse()
  }
  /** @param {string} query */
  const rows = async (query) => (await engine.sql(query)).rows
  /** @param {string} table */
  const types = async (table) => {
    const described = await rows(`DESCRIBE ${table}`)
    return Object.fromEntries(described.map((row) => [row.column_name, row.column_type]))
  }
  return { engine, dataDir, load, rows, types }
}
