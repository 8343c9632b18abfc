// A process that emits events and sends to a stream until it is killed. It says what was promised.
//
//   node emit-killed.mjs '{ "dataDir", "round", "seed" }'

import { writeSync } from 'node:fs'

import { Engine } from '../../js/index.mjs'
import { randomOf } from './random.mjs'

const { dataDir, round, seed } = JSON.parse(process.argv[2])
const random = randomOf(seed)
const engine = await Engine.open({ dataDir, egress: { allow: ['127.0.0.0/8'] } })
writeSync(1, 'open\n')

/** @param {number} lane */
async function emitForever(lane) {
  for (let n = 0; ; n++) {
    const executionId = `${round}-${lane}-${n}`
    const execution = engine.execution({ workflowId: 'p_killed', executionId })
    const { $send } = execution.step('step')
    const calls = 1 + Math.floor(random() * 3)
    for (let call = 0; call < calls; call++) {
      $send.emit({ executionId, call })
      $send.sse({ channel: 'n', payload: { executionId, call } })
    }
    await execution.complete()
    writeSync(1, `kept ${executionId} ${calls}\n`)
  }
}

for (let lane = 0; lane < 4; lane++) emitForever(lane)
