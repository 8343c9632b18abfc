// A process that completes executions of `$send.s3` calls until it is killed. It says which
// hand-overs were promised.
//
//   node s3-killed.mjs '{ "dataDir", "s3", "round", "seed" }'

import { writeSync } from 'node:fs'

import { Engine } from '../../js/index.mjs'
import { randomOf } from './random.mjs'

const { dataDir, s3, round, seed } = JSON.parse(process.argv[2])
const random = randomOf(seed)
const engine = await Engine.open({ dataDir, s3, egress: { allow: ['127.0.0.0/8'] } })
writeSync(1, 'open\n')

/** @param {number} lane */
async function completeForever(lane) {
  for (let n = 0; ; n++) {
    const id = `${round}-${lane}-${n}`
    const execution = engine.execution({ workflowId: `p_${lane}`, executionId: id })
    const { $send } = execution.step('step')
    const calls = 1 + Math.floor(random() * 8)
    const prefix = random() < 0.5 ? 'a/' : 'b/'
    for (let call = 0; call < calls; call++) {
      $send.s3({
        bucket: 'bucket',
        prefix,
        payload: { id, call, text: 'x'.repeat(random() * 300) },
      })
    }
    if (random() < 0.1) {
      // Never completed: nobody may see these calls.
      await new Promise(setImmediate)
      continue
    }
    await execution.complete()
    // Synchronous, so that a promise that was kept is known of before the next one is made.
    writeSync(1, `kept ${id} ${calls}\n`)
  }
}

for (let lane = 0; lane < 4; lane++) completeForever(lane)
