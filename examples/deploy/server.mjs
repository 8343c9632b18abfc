// A runner in a container: `POST /run` runs a step with the body as its event. Journal and log are in
// the data directory, which outlives the container. SIGTERM drains: no new runs, then the deliveries
// in flight, then exit.

import { createServer } from 'node:http'
import { json } from 'node:stream/consumers'
import { setTimeout } from 'node:timers/promises'

import { Engine, runStep } from 'dollar-send'

import step from './step.mjs'

const { env } = process
const PORT = Number(env.PORT ?? 3000)

/** Must be less than `stop_grace_period` in compose.yaml, after which the container is killed. */
const DRAIN_MS = Number(env.DRAIN_MS ?? 20_000)

/** The parts of a list that commas separate; a variable may be set and empty. */
const list = (text = '') => text.split(',').filter(Boolean)

const tokens = [
  ...list(env.DOLLAR_SEND_TOKENS),
  // For Prometheus, and for people who only look.
  ...list(env.DOLLAR_SEND_READ_TOKENS).map((token) => ({ token, role: 'read' })),
]

const engine = await Engine.open({
  dataDir: env.DOLLAR_SEND_DATA_DIR ?? './.dollar-send',
  // Without a key of yours, the key lies in the data directory.
  journal: { key: env.JOURNAL_KEY || undefined },
  // The process before this one may still be draining.
  lock: { waitMs: 30_000 },
  // Without tokens the engine's server listens on loopback only, which suffices for the health check.
  server: {
    ...(tokens.length > 0 ? { host: '0.0.0.0', tokens } : {}),
    port: Number(env.API_PORT ?? 8787),
  },
  // Without it, one 503 of a receiver is final.
  http: { retry: {} },
  // Private addresses are refused by default. Allow hosts or networks, separated by commas.
  egress: { allow: list(env.EGRESS_ALLOW) },
})

/** @type {Set<Promise<unknown>>} */
const runs = new Set()
let isDraining = false

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
  // A connection that stays open brings no more runs.
  if (isDraining) {
    response.writeHead(503, { connection: 'close' }).end()
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

/** @param {NodeJS.Signals} signal */
async function drain(signal) {
  if (isDraining) return
  isDraining = true
  console.log(`${signal}: draining`)
  server.close()
  // A step that hangs leaves half of the time to the deliveries.
  await Promise.race([Promise.allSettled(runs), setTimeout(DRAIN_MS / 2)])
  // Undelivered calls stay in the data directory for the next container.
  const { delivered, failed, pending } = await engine.close({ timeoutMs: DRAIN_MS / 2 })
  console.log(`Closed: ${delivered} delivered, ${failed} failed, ${pending} pending`)
  process.exit(0)
}

process.once('SIGTERM', drain)
process.once('SIGINT', drain)
