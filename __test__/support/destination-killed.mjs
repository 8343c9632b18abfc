// A process that sends to destinations of its own until it is killed, and writes down what they were
// given.
//
//   node destination-killed.mjs '{ "dataDir", "given", "round", "seed" }'

import { Engine } from '../../js/index.mjs'
import { destinations } from './given.mjs'
import { random, runUntilKilled, settings } from './until-killed.mjs'

const { dataDir, given } = settings
const engine = await Engine.open({ dataDir })
destinations(engine, given)

runUntilKilled(engine, async (execution) => {
  const { executionId } = execution
  const { $send } = /** @type {any} */ (execution.step('step'))
  const calls = 1 + Math.floor(random() * 3)
  for (let call = 0; call < calls; call++) {
    $send.single({ executionId, call })
    $send.batched({ executionId, call })
  }
  await execution.complete()
  return calls
})
