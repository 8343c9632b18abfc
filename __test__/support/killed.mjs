// A process that completes executions of `$send.http` calls until it is killed.
//
//   node killed.mjs '{ "dataDir" or "journal", "url", "round", "seed", "onInterrupted" }'

import { Engine } from '../../js/index.mjs'
import { LOCAL } from './engine.mjs'
import { random, runUntilKilled, settings } from './until-killed.mjs'

const { dataDir, journal, url, onInterrupted } = settings
const place = journal ? { journal } : { dataDir, log: { maxExecutionsPerWorkflow: 1_000_000 } }
const engine = await Engine.open({
  ...place,
  egress: LOCAL,
  http: { onInterrupted, perHostConcurrency: 8 },
})

runUntilKilled(engine, async (execution) => {
  const { executionId } = execution
  const { $send } = execution.step('step')
  const calls = 1 + Math.floor(random() * 5)
  const send = (/** @type {number} */ call) =>
    $send.http({ method: 'POST', url, data: { executionId, call } })
  for (let call = 0; call < calls; call++) send(call)
  const choice = random()
  if (choice < 0.1) {
    // Never completed: nobody may see these calls.
    await new Promise(setImmediate)
    return 0
  }
  if (choice < 0.25) {
    await execution.flush()
    // Recorded after the flush, and never handed over.
    send(99)
  } else {
    await execution.complete()
  }
  return calls
})
