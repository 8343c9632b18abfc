// A process whose calls fail, until it is killed.
//
//   node on-failed-killed.mjs '{ "dataDir" or "journal", "url", "round", "seed" }'

import { Engine } from '../../js/index.mjs'
import { LOCAL } from './engine.mjs'
import { random, runUntilKilled, settings } from './until-killed.mjs'

const { dataDir, journal, url } = settings
const place = journal ? { journal } : { dataDir, log: { maxExecutionsPerWorkflow: 1_000_000 } }
const engine = await Engine.open({ ...place, egress: LOCAL, onFailed: 'dead' })
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
