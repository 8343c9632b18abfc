// Runs the workflow for each POST request, with the body as its event. `node runner.mjs`

import { createServer } from 'node:http'
import { json } from 'node:stream/consumers'

import { Engine, loadStep, runWorkflow } from 'dollar-send'

import options from './dollar-send.config.mjs'

const engine = await Engine.open(options)
engine.on('delivery', ({ destination, status, error }) => {
  console.log(`${destination} ${status}${error ? `: ${error.message}` : ''}`)
})

const workflow = {
  id: 'p_first',
  steps: { greet: await loadStep(new URL('./step.mjs', import.meta.url)) },
}

const server = createServer(async (request, response) => {
  // A receiver for the trial.
  if (request.url === '/echo') return request.pipe(response)
  const event = await json(request).catch(() => ({}))
  const outcome = await runWorkflow(engine, workflow, event)
  const threw = outcome.status === 'threw'
  if (threw) console.error(outcome.error)
  // What the step passed to `$.respond()`, else what it returned.
  const reply = outcome.response ?? { body: `${outcome.returnValue ?? outcome.status}\n` }
  response.writeHead(reply.status ?? (threw ? 500 : 200), reply.headers)
  response.end(typeof reply.body === 'object' ? JSON.stringify(reply.body) : reply.body)
})
server.listen(Number(process.env.PORT ?? 3000), '127.0.0.1', () => {
  console.log(`Listening on http://127.0.0.1:${server.address().port}`)
})

async function close() {
  server.close()
  console.log(await engine.close({ timeoutMs: 10_000 }))
  process.exit(0)
}
process.once('SIGTERM', close)
process.once('SIGINT', close)
