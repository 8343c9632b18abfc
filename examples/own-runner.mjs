// A runner that calls one step itself, with a receiver of its own. `node examples/own-runner.mjs`

import { createServer } from 'node:http'

import { Engine } from 'dollar-send'
import { runInStep } from 'dollar-send/global'

import step from './http-v1.mjs'

const receiver = createServer((request, response) => {
  request.on('data', (body) => console.log(`received ${request.method} ${body}`))
  request.on('end', () => response.end('thanks'))
})
await new Promise((resolve) => receiver.listen(0, '127.0.0.1', resolve))
const event = { url: `http://127.0.0.1:${receiver.address().port}/hook` }

// Once per process. Private addresses are refused by default.
const engine = await Engine.open({ egress: { allow: ['127.0.0.0/8'] } })

// Once per run of a workflow.
const execution = engine.execution({ workflowId: 'p_abc123' })
let failure
try {
  await runInStep(execution.step('notify'), () => step(event, { trigger: { event } }))
} catch (error) {
  failure = { error }
}
// The completion hook, also after an error: delivery starts here.
const receipt = await execution.complete(failure)
console.log(`recorded ${receipt.recorded}`)

// A runner need not wait for this.
const [delivery] = await execution.settled()
console.log(`${delivery.destination} ${delivery.status}, HTTP ${delivery.response.status}`)

// Once, before the process ends.
console.log(await engine.close())
receiver.close()
