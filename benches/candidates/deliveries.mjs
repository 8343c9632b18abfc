// One round of ours: records the documents' example in executions of `callsEach`, completes each, and
// waits until the last delivery is terminal. The log is on, as it always is.

import { fork } from 'node:child_process'
import { once } from 'node:events'
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'

import { example } from '../examples.mjs'
import { metered } from './meter.mjs'

const IN_FLIGHT = 64
const FLUSH_TIMEOUT_MS = 90_000
/** Executions whose log is read after the round, to see that it holds what was sent. */
const CHECKED = 5

const { entry, url, requests, warmUp, callsEach, pages } = JSON.parse(process.argv[2])
const { Engine } = createRequire(import.meta.url)(entry)
const call = example(url)

async function deliverAll(engine, count) {
  let last = []
  for (let recorded = 0; recorded < count;) {
    const execution = engine.execution({ workflowId: 'p_bench' })
    const { $send } = execution.step('notify')
    for (let calls = 0; calls < callsEach && recorded < count; calls++, recorded++) $send.http(call)
    await execution.complete()
    last = [...last.slice(1 - CHECKED), execution]
  }
  await engine.flush({ timeoutMs: FLUSH_TIMEOUT_MS })
  return last
}

/** A failed delivery counted as throughput would be a lie: every execution looked at must be whole. */
async function checkLog(executions) {
  for (const execution of executions) {
    for (const delivery of await execution.settled({ timeoutMs: 1000 })) {
      if (delivery.status !== 'delivered' || delivery.response?.status !== 200) {
        throw new Error(`not delivered: ${JSON.stringify(delivery)}`)
      }
    }
  }
}

/** Opens a page of the server in a process of its own. */
async function openPage(address) {
  const child = fork(fileURLToPath(new URL('../servers/page-reader.mjs', import.meta.url)), [
    address,
  ])
  process.once('exit', () => child.kill())
  await once(child, 'message')
}

const engine = await Engine.open({
  egress: { allow: ['127.0.0.0/8'] },
  http: { perHostConcurrency: IN_FLIGHT },
  ...(pages !== undefined && { server: { port: 0 } }),
})
for (let page = 0; page < pages; page++) await openPage(engine.address().url)
await deliverAll(engine, warmUp)
let last
const cost = await metered(async () => {
  last = await deliverAll(engine, requests)
})
await checkLog(last)
const summary = await engine.close({ timeoutMs: 10_000 })
if (summary.failed > 0 || summary.pending > 0)
  throw new Error(`left over: ${JSON.stringify(summary)}`)
console.log(JSON.stringify({ requests, warmUp, ...cost }))
process.exit(0)
