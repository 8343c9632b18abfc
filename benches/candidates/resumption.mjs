// One round of ours or of undici: a call to each host on a new connection, and then another, which is
// measured. The first leaves sessions, with which the second makes shorter handshakes.

import { createRequire } from 'node:module'

import { example } from '../examples.mjs'
import { metered } from './meter.mjs'

const { entry, urls } = JSON.parse(process.argv[2])
const IN_FLIGHT = 64
const { data } = example(urls[0])

const sendAll = entry ? await ours() : await undici()
await sendAll()
const cost = await metered(sendAll)
console.log(JSON.stringify({ requests: urls.length, ...cost }))
process.exit(0)

async function ours() {
  const { Engine } = createRequire(import.meta.url)(entry)
  const engine = await Engine.open({
    egress: { allow: ['127.0.0.0/8'] },
    http: { concurrency: IN_FLIGHT, timeoutMs: 30_000 },
  })
  return async () => {
    const execution = engine.execution({ workflowId: 'p_bench' })
    const { $send } = execution.step('notify')
    for (const url of urls) $send.http({ method: 'POST', url, data })
    await execution.complete()
    const deliveries = await execution.settled({ timeoutMs: 90_000 })
    const failed = deliveries.find(({ status }) => status !== 'delivered')
    if (failed) throw new Error(`not delivered: ${JSON.stringify(failed.error)}`)
  }
}

async function undici() {
  const { Agent, request } = await import('undici')
  const dispatcher = new Agent()
  const headers = { 'content-type': 'application/json' }
  return async () => {
    let next = 0
    const worker = async () => {
      while (next < urls.length) {
        const body = JSON.stringify(data)
        const options = { method: 'POST', headers, body, dispatcher }
        const response = await request(urls[next++], options)
        await response.body.text()
        if (response.statusCode !== 200) throw new Error(`answered ${response.statusCode}`)
      }
    }
    await Promise.all(Array.from({ length: IN_FLIGHT }, worker))
  }
}
