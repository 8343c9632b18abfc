// A small workflow runner: several steps in one execution, one completion hook at its end.
// `node examples/runner.mjs`

import { Engine } from 'dollar-send'
import { runInStep } from 'dollar-send/global'

import { startReceiver } from './receiver.mjs'

/** Runs the steps of a workflow in order; each receives the exports of the earlier ones. */
async function runWorkflow(engine, workflow, event) {
  const execution = engine.execution({ workflowId: workflow.id })
  const steps = { trigger: { event } }
  let failure
  try {
    for (const [name, { default: component }] of Object.entries(workflow.steps)) {
      const step = execution.step(name)
      const exports = {}
      const $ = {
        ...step.$,
        export: (key, value) => {
          exports[key] = value
        },
      }
      const run =
        typeof component === 'function'
          ? () => component(event, steps)
          : () => component.run({ steps, $ })
      exports.$return_value = await runInStep(step, run)
      steps[name] = exports
    }
  } catch (error) {
    failure = { error }
  }
  // Also after an error: calls recorded before it are delivered.
  await execution.complete(failure)
  return { execution, steps, failure }
}

const receiver = await startReceiver(0)
const engine = await Engine.open({ egress: { allow: ['127.0.0.0/8'] } })
const workflow = {
  id: 'p_greetings',
  steps: { one: await import('./http-v1.mjs'), many: await import('./http-v2-loop.mjs') },
}

const { execution } = await runWorkflow(engine, workflow, { url: receiver.url })
// A runner need not wait for this; the engine delivers in the background.
const deliveries = await execution.settled()
for (const { step, destination, status, response } of deliveries) {
  console.log(`${step}: ${destination} ${status}, HTTP ${response?.status}`)
}
console.log(
  `Dest. ${deliveries.filter(({ status }) => status === 'delivered').length}/${deliveries.length}`,
)

await engine.close({ timeoutMs: 10_000 })
await receiver.close()
