// A runner in a container: `POST /run` runs a step with the body as its event. Journal and log are in
// the data directory, which outlives the container. SIGTERM drains: no new runs, then the deliveries
// in flight, then exit.

import { createServer } from 'node:http'
import { json } from 'node:stream/consumers'

import { Engine, runStep } from 'dollar-send'

import step from './step.mjs'

const { env } = process
const PORT = Number(env.PORT ?? 3000)

/** Must be less than `stop_grace_period` in compose.yaml, after which the container is killed. */
const DRAIN_MS = Number(env.DRAIN_MS ?? 20_000)

const engine = await Engine.open({
  dataDir: env.DOLLAR_SEND_DATA_DIR ?? './.dollar-send',
  // Without a key of yours, the key lies in the data directory.
  journal: { key: env.JOURNAL_KEY },
  // The process before this one may still be draining.
  lock: { waitMs: 30_000 },
  // Without tokens the engine's server listens on loopback only, which suffices for the health check.
  server: env.DOLLAR_SEND_TOKENS
    ? {
        host: '0.0.0.0',
        port: Number(env.API_PORT ?? 8787),
        tokens: env.DOLLAR_SEND_TOKENS.split(','),
      }
    : { port: Number(env.API_PORT ?? 8787) },
  // Private addresses are refused by default. Allow hosts or networks, separated by commas.
  egress: { allow: env.EGRESS_ALLOW?.split(',') ?? [] },
})

/** @type {Set<Promise<unknown>>} */
const runs = new Set()

/** Runs the step; resolves with the id of the execution once its calls are durable. */
async function run(event) {
  const running = runStep(engine, step, { workflowId: 'p_deploy', event })
  runs.add(running)
  try {
    return (await running).executionId
  } finally {
    runs.delete(running)
  }
}

const server = createServer(async (request, response) => {
  if (request.method !== 'POST' || request.url !== '/run') {
    response.writeHead(404).end()
    return
  }
  try {
    const executionId = await run(await json(request))
    response.writeHead(202, { 'content-type': 'application/json' })
    response.end(JSON.stringify({ executionId }))
  } catch (error) {
    console.error(error)
    response.writeHead(500).end()
  }
})
server.listen(PORT, () => console.log(`Listening on port ${server.address().port}`))

let isDraining = false

/** @param {NodeJS.Signals} signal */
async function drain(signal) {
  if (isDraining) return
  isDraining = true
  console.log(`${signal}: draining`)
  server.close()
  await Promise.allSettled(runs)
  // Undelivered calls stay in the data directory for the next container.
  const { delivered, failed, pending } = await engine.close({ timeoutMs: DRAIN_MS })
  console.log(`Closed: ${delivered} delivered, ${failed} failed, ${pending} pending`)
  process.exit(0)
}

process.once('SIGTERM', drain)
process.once('SIGINT', drain)
