// A webhook server in several processes of `node:cluster`. A data directory belongs to one process, so
// each worker has its own: a worker that is replaced takes over the directory of the one before it.
// `node examples/runners/cluster.mjs`

import cluster from 'node:cluster'
import { fileURLToPath } from 'node:url'

import { Engine } from 'dollar-send'

import { createWebhookServer } from './node-http.mjs'
import workflow from './workflow.mjs'

const { env } = process
const WORKERS = Number(env.WORKERS ?? 2)
const DATA_DIR = env.DOLLAR_SEND_DATA_DIR ?? './.dollar-send'

/** Starts the worker with this number, and again when it ends, until a signal. */
function startWorker(number) {
  const worker = cluster.fork({ WORKER: number })
  worker.once('exit', () => {
    if (!isEnding) startWorker(number)
  })
}

let isEnding = false

if (cluster.isPrimary) {
  cluster.setupPrimary({ exec: fileURLToPath(import.meta.url) })
  for (let number = 0; number < WORKERS; number++) startWorker(number)
  process.once('SIGTERM', () => {
    isEnding = true
    for (const worker of Object.values(cluster.workers)) worker.kill('SIGTERM')
  })
} else {
  const engine = await Engine.open({
    dataDir: `${DATA_DIR}/worker-${env.WORKER}`,
    egress: { allow: env.EGRESS_ALLOW?.split(',') ?? [] },
    lock: { waitMs: 10_000 },
  })
  const server = createWebhookServer(engine, workflow)
  server.listen(Number(env.PORT ?? 3000), '127.0.0.1', () => {
    console.log(`Worker ${env.WORKER} (${process.pid}) on port ${server.address().port}`)
  })
  process.once('SIGTERM', async () => {
    server.close()
    await engine.close({ timeoutMs: 10_000 })
    process.exit(0)
  })
}
