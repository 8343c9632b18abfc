// A process that completes executions until it is killed. It says which hand-overs were promised.
//
//   node killed.mjs '{ "dataDir", "url", "round", "seed", "onInterrupted" }'

import { writeSync } from 'node:fs'

import { Engine } from '../../js/index.mjs'
import { randomOf } from './random.mjs'

const { dataDir, url, round, seed, onInterrupted } = JSON.parse(process.argv[2])
const random = randomOf(seed)
const engine = await Engine.open({
  dataDir,
  egress: { allow: ['127.0.0.0/8'] },
  http: { onInterrupted, perHostConcurrency: 8 },
  log: { maxExecutionsPerWorkflow: 1_000_000 },
})
say('open')

/** @param {string} line */
function say(line) {
  // Synchronous, so that a promise that was kept is known of before the next one is made.
  writeSync(1, `${line}\n`)
}

/** @param {number} lane */
async function completeForever(lane) {
  for (let n = 0; ; n++) {
    const executionId = `${round}-${lane}-${n}`
    const execution = engine.execution({ workflowId: `p_${lane}`, executionId })
    const { $send } = execution.step('step')
    const calls = 1 + Math.floor(random() * 5)
    const send = (/** @type {number} */ call) =>
      $send.http({ method: 'POST', url, data: { executionId, call } })
    for (let call = 0; call < calls; call++) send(call)
    const choice = random()
    if (choice < 0.1) {
      // Never completed: nobody may see these calls.
      await new Promise(setImmediate)
      continue
    }
    await (choice < 0.25 ? execution.flush() : execution.complete())
    say(`kept ${executionId} ${calls}`)
    // Recorded after the flush, and never handed over.
    if (choice < 0.25) send(99)
  }
}

for (let lane = 0; lane < 4; lane++) completeForever(lane)
