// A process that completes executions of `$send.s3` calls until it is killed.
//
//   node s3-killed.mjs '{ "dataDir", "s3", "round", "seed" }'

import { Engine } from '../../js/index.mjs'
import { LOCAL } from './engine.mjs'
import { random, runUntilKilled, settings } from './until-killed.mjs'

const { dataDir, s3 } = settings
const engine = await Engine.open({ dataDir, s3, egress: LOCAL })

runUntilKilled(engine, async (execution) => {
  const id = execution.executionId
  const { $send } = execution.step('step')
  const calls = 1 + Math.floor(random() * 8)
  const prefix = random() < 0.5 ? 'a/' : 'b/'
  for (let call = 0; call < calls; call++) {
    $send.s3({ bucket: 'bucket', prefix, payload: { id, call, text: 'x'.repeat(random() * 300) } })
  }
  if (random() < 0.1) {
    // Never completed: nobody may see these calls.
    await new Promise(setImmediate)
    return 0
  }
  await execution.complete()
  return calls
})
