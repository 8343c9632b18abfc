// A process that records numbered calls, serves, and replays what failed, until it is killed.
//
//   node ledger-killed.mjs '{ "dataDir", "url", "from", "to" }'

import { writeSync } from 'node:fs'

import { Engine } from '../../js/index.mjs'
import { LOCAL } from './engine.mjs'

/** Calls of one execution. */
const CHUNK = 25

const { dataDir, url, from, to } = JSON.parse(process.argv[2])
const engine = await Engine.open({
  dataDir,
  egress: LOCAL,
  http: { perHostConcurrency: 8 },
  log: { maxExecutionsPerWorkflow: 1_000_000 },
  server: { port: 0 },
})
writeSync(1, `open ${/** @type {any} */ (engine.address()).url}\n`)

for (let n = from; n < to; n += CHUNK) {
  const last = Math.min(n + CHUNK, to)
  const execution = engine.execution({ workflowId: 'p_ledger', executionId: `run-${n}` })
  const { $send } = execution.step('step')
  for (let call = n; call < last; call++) $send.http({ method: 'POST', url, data: { n: call } })
  await execution.complete()
  writeSync(1, `kept ${last}\n`)
}
for (;;) {
  await engine.replay({ status: 'failed' })
  await engine.flush()
}
