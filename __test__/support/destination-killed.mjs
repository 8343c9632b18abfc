// A process that sends to destinations of its own until it is killed. It says what was promised, and
// writes down what its destinations were given.
//
//   node destination-killed.mjs '{ "dataDir", "given", "round", "seed" }'

import { writeSync } from 'node:fs'

import { Engine } from '../../js/index.mjs'
import { destinations } from './given.mjs'
import { randomOf } from './random.mjs'

const { dataDir, given, round, seed } = JSON.parse(process.argv[2])
const random = randomOf(seed)
const engine = await Engine.open({ dataDir })
destinations(engine, given)
writeSync(1, 'open\n')

/** @param {number} lane */
async function sendForever(lane) {
  for (let n = 0; ; n++) {
    const executionId = `${round}-${lane}-${n}`
    const execution = engine.execution({ workflowId: 'p_killed', executionId })
    const { $send } = /** @type {any} */ (execution.step('step'))
    const calls = 1 + Math.floor(random() * 3)
    for (let call = 0; call < calls; call++) {
      $send.single({ executionId, call })
      $send.batched({ executionId, call })
    }
    await execution.complete()
    writeSync(1, `kept ${executionId} ${calls}\n`)
  }
}

for (let lane = 0; lane < 4; lane++) sendForever(lane)
