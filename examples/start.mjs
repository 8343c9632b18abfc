// `npm start`: the documents' own example, unchanged, against a receiver on this machine.

import { Engine, runStep } from 'dollar-send'

import { createPaint } from '../js/cli/paint.mjs'
import { formatDelivery, formatSummary } from '../js/cli/print.mjs'
import { startReceiver } from './receiver.mjs'

const paint = createPaint(process.stdout)
const receiver = await startReceiver(0)
// Private addresses are refused by default; this example's receiver is on one.
const engine = await Engine.open({ egress: { allow: ['127.0.0.0/8'] } })

console.log(
  `Running examples/http-v1.mjs, then examples/http-v2-loop.mjs, against ${receiver.url}\n`,
)
const deliveries = []
for (const file of ['./http-v1.mjs', './http-v2-loop.mjs']) {
  const { execution } = await runStep(engine, await import(file), {
    workflowId: 'p_start',
    event: { url: receiver.url },
  })
  // runStep returned when the calls were handed over; the engine delivers them in the background.
  deliveries.push(...(await execution.settled()))
}
console.log()
for (const delivery of deliveries) console.log(formatDelivery(delivery, paint))
console.log(formatSummary(deliveries, paint))

await engine.close({ timeoutMs: 10_000 })
await receiver.close()

console.log(`What next:
  node js/cli/main.mjs run --help    run a step or action file of your own
  examples/runner.mjs                a workflow runner in one screen
  examples/README.md                 the other examples
`)
process.exitCode = deliveries.every(({ status }) => status === 'delivered') ? 0 : 1
