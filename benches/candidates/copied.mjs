// One round of ours: rows recorded in executions of `callsEach`, until all are in a warehouse that
// runs as a server.

import { createRequire } from 'node:module'

import { event } from '../examples.mjs'
import { metered } from './meter.mjs'

const FLUSH_TIMEOUT_MS = 90_000

const { entry, warehouse, url, table, rows, warmUp, callsEach, distinct } = JSON.parse(
  process.argv[2],
)
const { Engine } = createRequire(import.meta.url)(entry)

const engine = await Engine.open({
  egress: { allow: ['127.0.0.0/8'] },
  sql: { [warehouse]: { url } },
})
const made = Array.from({ length: distinct }, (_, number) => event(number))

async function load(count) {
  for (let recorded = 0; recorded < count;) {
    const execution = engine.execution({ workflowId: 'p_bench' })
    const { $send } = execution.step('track')
    for (let calls = 0; calls < callsEach && recorded < count; calls++, recorded++)
      $send.sql({ table, payload: made[recorded % distinct] })
    await execution.complete()
    await engine.ready()
  }
  await engine.flush({ timeoutMs: FLUSH_TIMEOUT_MS })
}

await load(warmUp)
const cost = await metered(() => load(rows))
await engine.close({ timeoutMs: 10_000 })
console.log(JSON.stringify({ requests: rows, ...cost }))
process.exit(0)
