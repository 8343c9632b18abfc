// A process that emits events and sends to a stream until it is killed.
//
//   node emit-killed.mjs '{ "dataDir", "round", "seed" }'

import { Engine } from '../../js/index.mjs'
import { LOCAL } from './engine.mjs'
import { random, runUntilKilled, settings } from './until-killed.mjs'

const { dataDir } = settings
const engine = await Engine.open({ dataDir, egress: LOCAL })

/** @param {import('../../index.d.ts').Execution} execution */
async function emit(execution) {
  const { executionId } = execution
  const { $send } = execution.step('step')
  const calls = 1 + Math.floor(random() * 3)
  for (let call = 0; call < calls; call++) {
    $send.emit({ executionId, call })
    $send.sse({ channel: 'n', payload: { executionId, call } })
  }
  await execution.complete()
  return calls
}

runUntilKilled(engine, emit, 'p_killed')
