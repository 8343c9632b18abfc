// One round of BullMQ: 64 producers add jobs ten at a time to a queue in Redis or PostgreSQL, one worker makes
// them requests with undici, 64 at once, and the round ends with the last of them.

import { Pool } from 'undici'

import { example } from '../examples.mjs'
import { metered } from './meter.mjs'
import { walSince } from './wal.mjs'

const IN_FLIGHT = 64
const CALLS_EACH = 10

const { url, requests, warmUp, socket, postgres } = JSON.parse(process.argv[2])
const { Queue, Worker, createPostgresBackend } = await import(
  postgres ? 'bullmq-postgres' : 'bullmq'
)
// As its documentation says: a pool as large as the concurrency needs, and finished jobs are removed.
const connection = postgres
  ? { connectionString: postgres, max: IN_FLIGHT, migrate: true }
  : { path: socket, maxRetriesPerRequest: null }
const removeOnComplete = postgres ? true : { count: 1000 }
const { origin, pathname: path } = new URL(url)
const pool = new Pool(origin, { connections: IN_FLIGHT })
const { data } = example(url)

let done = 0
let target = 0
let finished = () => {}

const queue = new Queue('deliveries', { connection }, createPostgresBackend)
await queue.waitUntilReady()
const worker = new Worker(
  'deliveries',
  async ({ data: body }) => {
    const headers = { 'content-type': 'application/json' }
    const request = { method: 'POST', path, headers, body: JSON.stringify(body) }
    const { statusCode, body: answer } = await pool.request(request)
    await answer.text()
    if (statusCode !== 200) throw new Error(`answered ${statusCode}`)
  },
  { connection, concurrency: IN_FLIGHT, removeOnComplete },
  createPostgresBackend,
)
worker.on('completed', () => {
  if (++done === target) finished()
})
worker.on('failed', (_job, error) => {
  throw error
})
await worker.waitUntilReady()

async function deliverAll(count) {
  done = 0
  target = count
  const end = new Promise((resolve) => (finished = resolve))
  let added = 0
  const producer = async () => {
    while (added < count) {
      const calls = Math.min(CALLS_EACH, count - added)
      added += calls
      await queue.addBulk(Array.from({ length: calls }, () => ({ name: 'http', data })))
    }
  }
  await Promise.all(Array.from({ length: IN_FLIGHT }, producer))
  await end
}

await deliverAll(warmUp)
const wal = postgres && (await walSince(postgres))
const cost = await metered(() => deliverAll(requests))
if (postgres) await Promise.all([worker.close(), queue.close()])
const walBytes = wal && (await wal())
console.log(JSON.stringify({ requests, warmUp, ...cost, walBytes }))
process.exit(0)
