// A process whose calls fail, until it is killed.
//
//   node on-failed-killed.mjs '{ "dataDir", "url", "round", "seed" }'

import { Engine } from '../../js/index.mjs'
import { LOCAL } from './engine.mjs'
import { random, runUntilKilled, settings } from './until-killed.mjs'

const { dataDir, url } = settings
const engine = await Engine.open({
  dataDir,
  egress: LOCAL,
  onFailed: 'dead',
  log: { maxExecutionsPerWorkflow: 1_000_000 },
})
engine.destination('dead', { deliver() {} })

runUntilKilled(engine, async (execution) => {
  const { $send } = execution.step('step')
  const calls = 1 + Math.floor(random() * 4)
  for (let call = 0; call < calls; call++) {
    const path = random() < 0.3 ? '/ok' : '/failing'
    $send.http({ method: 'POST', url: url + path, data: { call } })
  }
  await execution.complete()
  return calls
})
