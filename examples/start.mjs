// `npm start`: the example from Pipedream's documentation, unchanged, against a local receiver.
// `npm start -- --page` goes on until Ctrl-C, with the page of the engine.

import { Engine, runStep } from 'dollar-send'

import { createPaint } from '../js/cli/paint.mjs'
import { formatDelivery, formatSummary } from '../js/cli/print.mjs'
import { startReceiver } from './receiver.mjs'

const paint = createPaint(process.stdout)
const receiver = await startReceiver(0)
// Private addresses are refused by default; the receiver has one.
const withPage = process.argv.includes('--page')
const engine = await Engine.open({
  egress: { allow: ['127.0.0.0/8'] },
  ...(withPage && { server: { port: 0, try: true } }),
})

console.log(
  `Running examples/http-v1.mjs, then examples/http-v2-loop.mjs, against ${receiver.url}\n`,
)
const deliveries = []
for (const file of ['./http-v1.mjs', './http-v2-loop.mjs']) {
  const { execution } = await runStep(engine, await import(file), {
    workflowId: 'p_start',
    trigger: 'npm start',
    event: { url: receiver.url },
  })
  // runStep returns when the calls are committed; the engine delivers them in the background.
  deliveries.push(...(await execution.settled()))
}
console.log()
for (const delivery of deliveries) console.log(formatDelivery(delivery, paint))
console.log(formatSummary(deliveries, paint))

if (withPage) {
  console.log(`\nThe page of this engine: ${engine.address()?.url}   (Ctrl-C ends it)`)
  // The server keeps no process alive; the receiver does.
  await new Promise((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, resolve)
  })
}
await engine.close({ timeoutMs: 10_000 })
await receiver.close()

const page = process.stdout.isTTY && !withPage
console.log(`What next:
${page ? '  npm start -- --page                see these calls in a page\n' : ''}  node js/cli/main.mjs run --help    run a step or action file of your own
  examples/runner.mjs                a small workflow runner
  examples/README.md                 the other examples
`)
process.exitCode = deliveries.every(({ status }) => status === 'delivered') ? 0 : 1
