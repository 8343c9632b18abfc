// What the processes have in common that `killEach` starts and kills.

import { writeSync } from 'node:fs'

import { randomOf } from './random.mjs'

/** What the process was started with. */
export const settings = JSON.parse(process.argv[2])
export const random = randomOf(settings.seed)

/** Executions at a time. */
const LANES = 4

/**
 * Runs executions until the process is killed, and says of each what was promised.
 *
 * @param {import('../../index.d.ts').Engine} engine
 * @param {(execution: import('../../index.d.ts').Execution, n: number) => Promise<number>} run hands
 *   calls of one over, the `n`th of its lane; answers how many were promised, and 0 if it is
 *   abandoned
 * @param {string} [workflowId] of all of them; each lane has its own if there is none
 */
export function runUntilKilled(engine, run, workflowId) {
  say('open')
  for (let lane = 0; lane < LANES; lane++) runForever(lane)

  /** @param {number} lane */
  async function runForever(lane) {
    for (let n = 0; ; n++) {
      const executionId = `${settings.round}-${lane}-${n}`
      const execution = engine.execution({ workflowId: workflowId ?? `p_${lane}`, executionId })
      const promised = await run(execution, n)
      if (promised > 0) say(`kept ${executionId} ${promised}`)
    }
  }
}

/** @param {string} line */
function say(line) {
  // Synchronous, so that a promise that was kept is known of before the next one is made.
  writeSync(1, `${line}\n`)
}
