// Two destinations, one in batches, that write down what they are given before they take it.

import { appendFileSync, existsSync, readFileSync } from 'node:fs'

/**
 * @typedef {object} Given
 * @property {string} destination
 * @property {string} batchId
 * @property {Array<{ id: string, name: string }>} items `name`: the destination, the execution, the call
 */

/**
 * @param {import('../../index.d.ts').Engine} engine
 * @param {string} file
 */
export function destinations(engine, file) {
  /** @param {string} destination */
  const deliver = (destination) =>
    async function (
      /** @type {import('../../index.d.ts').DestinationItem<any>[]} */ items,
      /** @type {{ batchId: string }} */ { batchId },
    ) {
      const named = items.map(({ id, argument: { executionId, call } }) => ({
        id,
        name: `${destination}/${executionId}/${call}`,
      }))
      appendFileSync(file, `${JSON.stringify({ destination, batchId, items: named })}\n`)
      // A kill may come between this and the answer.
      await new Promise(setImmediate)
    }
  engine.destination('single', { deliver: deliver('single') })
  engine.destination('batched', {
    batch: { maxCount: 8, intervalMs: 5 },
    deliver: deliver('batched'),
  })
}

/**
 * What a process wrote down, but for a line that its end cut off.
 *
 * @param {string} file absent if the process was given nothing
 * @returns {Given[]}
 */
export function givenIn(file) {
  if (!existsSync(file)) return []
  const lines = readFileSync(file, 'utf8').split('\n')
  return lines.slice(0, -1).map((line) => JSON.parse(line))
}
