// Leaves a data directory with so many records that wait, as a process that was killed does; or opens
// one and tells how long it takes to the first delivery.

import { createRequire } from 'node:module'

import { example } from '../examples.mjs'

const RUNNERS = 64
const CALLS_EACH = 10

const { entry, url, dataDir, records } = JSON.parse(process.argv[2])
const { Engine } = createRequire(import.meta.url)(entry)

const start = process.hrtime.bigint()
const engine = await Engine.open({
  dataDir,
  maxPendingBytes: 2 ** 32,
  egress: { allow: ['127.0.0.0/8'] },
  http: { perHostConcurrency: 1, timeoutMs: 600_000 },
})
if (records) await leave()
else await first()

/** The server answers nobody, so all of them wait. */
async function leave() {
  const call = example(url)
  let recorded = 0
  const runner = async () => {
    while (recorded < records) {
      const execution = engine.execution({ workflowId: 'p_bench' })
      const { $send } = execution.step('notify')
      for (let calls = 0; calls < CALLS_EACH; calls++, recorded++) $send.http(call)
      await execution.complete()
    }
  }
  await Promise.all(Array.from({ length: RUNNERS }, runner))
  console.log(JSON.stringify({ records: recorded }))
  process.kill(process.pid, 'SIGKILL')
}

async function first() {
  const alive = setInterval(() => {}, 2 ** 30)
  await new Promise((resolve) => engine.on('delivery', resolve))
  const elapsedMs = Number(process.hrtime.bigint() - start) / 1e6
  clearInterval(alive)
  const { pending } = engine.stats()
  console.log(JSON.stringify({ elapsedMs, pending }))
  process.kill(process.pid, 'SIGKILL')
}
