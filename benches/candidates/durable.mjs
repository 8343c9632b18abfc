// One round of hand-overs: 64 runners at once complete executions of `callsEach` calls, in memory, in
// a data directory or in PostgreSQL, and the round ends when the last delivery is terminal.

import { createRequire } from 'node:module'

import { example } from '../examples.mjs'
import { metered } from './meter.mjs'
import { walSince } from './wal.mjs'

const RUNNERS = 64
const FLUSH_TIMEOUT_MS = 100_000

const { entry, url, requests, warmUp, callsEach, dataDir, durability, journal } = JSON.parse(
  process.argv[2],
)
const { Engine } = createRequire(import.meta.url)(entry)
const call = example(url)

async function deliverAll(engine, count) {
  let recorded = 0
  const runner = async () => {
    while (recorded < count) {
      const execution = engine.execution({ workflowId: 'p_bench' })
      const { $send } = execution.step('notify')
      for (let calls = 0; calls < callsEach && recorded < count; calls++, recorded++)
        $send.http(call)
      await execution.complete()
    }
  }
  await Promise.all(Array.from({ length: RUNNERS }, runner))
  await engine.flush({ timeoutMs: FLUSH_TIMEOUT_MS })
}

const engine = await Engine.open({
  ...(dataDir ? { dataDir, durability } : {}),
  ...(journal ? { journal } : {}),
  egress: { allow: ['127.0.0.0/8'] },
  http: { perHostConcurrency: 64 },
})
await deliverAll(engine, warmUp)
const wal = journal && (await walSince(journal.postgres.url))
const cost = await metered(() => deliverAll(engine, requests))
const { delivered, failed, pending } = await engine.close({ timeoutMs: 10_000 })
if (failed > 0 || pending > 0 || delivered !== requests + warmUp)
  throw new Error(`left over: ${JSON.stringify({ delivered, failed, pending })}`)
const walBytes = wal && (await wal())
console.log(JSON.stringify({ requests, warmUp, ...cost, walBytes }))
process.exit(0)
