// One round of ours: events recorded in executions of `callsEach`, until all are stored. `most`: the
// largest resident set on the way. `perSecond`: no more events than that.

import { createRequire } from 'node:module'

import { event } from '../examples.mjs'
import { metered } from './meter.mjs'

const FLUSH_TIMEOUT_MS = 90_000

const { entry, s3, format, bucket, events, warmUp, callsEach, perSecond, distinct } = JSON.parse(
  process.argv[2],
)
const { Engine } = createRequire(import.meta.url)(entry)

const engine = await Engine.open({
  egress: { allow: ['127.0.0.0/8'] },
  s3: { ...s3, allowHttp: true, format },
})
let batches = 0
engine.on('batch', ({ status }) => {
  if (status === 'stored') batches++
})

const made = Array.from({ length: distinct }, (_, number) => event(number))

async function store(count) {
  const begun = performance.now()
  for (let recorded = 0; recorded < count;) {
    const execution = engine.execution({ workflowId: 'p_bench' })
    const { $send } = execution.step('track')
    for (let calls = 0; calls < callsEach && recorded < count; calls++, recorded++)
      $send.s3({ bucket, prefix: 'events/', payload: made[recorded % distinct] })
    await execution.complete()
    // It records faster than batches are stored.
    await engine.ready()
    const ahead = (recorded / perSecond) * 1000 - (performance.now() - begun)
    if (ahead > 1) await new Promise((resolve) => setTimeout(resolve, ahead))
  }
  await engine.flush({ timeoutMs: FLUSH_TIMEOUT_MS })
}

await store(warmUp)
const cost = await metered(() => store(events))
const summary = await engine.close({ timeoutMs: 10_000 })
if (summary.delivered !== events + warmUp) throw new Error(`not stored: ${JSON.stringify(summary)}`)
const most = process.resourceUsage().maxRSS / 1024
console.log(JSON.stringify({ requests: events, batches, most, ...cost }))
process.exit(0)
