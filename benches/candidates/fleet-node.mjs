// A node of a fleet, a child of `fleet.mjs`: completes as many executions as its parent says, and reports the
// hosts of what it delivered.

import { createRequire } from 'node:module'

import { example } from '../examples.mjs'

const RUNNERS = 64
const REPORT_MS = 10

const { entry, journal, callsEach } = JSON.parse(process.argv[2])
const { Engine } = createRequire(import.meta.url)(entry)
const engine = await Engine.open({ journal, egress: { allow: ['127.0.0.0/8'] } })

let hosts = []
engine.on('delivery', ({ status, request }) => {
  if (status !== 'delivered') throw new Error(`a delivery is ${status}`)
  hosts.push(new URL(request.url).hostname)
})
setInterval(() => {
  if (hosts.length > 0) process.send({ hosts })
  hosts = []
}, REPORT_MS)

/** Records `count` calls, each to the next host. */
async function record(urls, count) {
  let recorded = 0
  const runner = async () => {
    while (recorded < count) {
      const execution = engine.execution({ workflowId: 'p_bench' })
      const { $send } = execution.step('notify')
      for (let calls = 0; calls < callsEach && recorded < count; calls++, recorded++)
        $send.http(example(urls[recorded % urls.length]))
      await execution.complete()
    }
  }
  await Promise.all(Array.from({ length: RUNNERS }, runner))
}

process.on('message', async ({ urls, count }) => {
  if (urls) return record(urls, count)
  await engine.close({ timeoutMs: 10_000 })
  process.exit(0)
})
process.on('disconnect', () => process.exit(1))
process.send({ hosts: [] })
