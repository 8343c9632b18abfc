// One round of BullMQ: 64 producers add jobs ten at a time to a queue in Redis, one worker makes them
// requests with undici, 64 at once, and the round ends with the last of them.

import { Queue, Worker } from 'bullmq'
import { Pool } from 'undici'

import { example } from '../examples.mjs'
import { metered } from './meter.mjs'

const IN_FLIGHT = 64
const CALLS_EACH = 10

const { url, requests, warmUp, socket } = JSON.parse(process.argv[2])
const connection = { path: socket, maxRetriesPerRequest: null }
const { origin, pathname: path } = new URL(url)
const pool = new Pool(origin, { connections: IN_FLIGHT })
const { data } = example(url)

let done = 0
let target = 0
let finished = () => {}

const queue = new Queue('deliveries', { connection })
const worker = new Worker(
  'deliveries',
  async ({ data: body }) => {
    const headers = { 'content-type': 'application/json' }
    const request = { method: 'POST', path, headers, body: JSON.stringify(body) }
    const { statusCode, body: answer } = await pool.request(request)
    await answer.text()
    if (statusCode !== 200) throw new Error(`answered ${statusCode}`)
  },
  { connection, concurrency: IN_FLIGHT, removeOnComplete: { count: 1000 } },
)
worker.on('completed', () => {
  if (++done === target) finished()
})
worker.on('failed', (_job, error) => {
  throw error
})
await Promise.all([queue.waitUntilReady(), worker.waitUntilReady()])

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
const cost = await metered(() => deliverAll(requests))
console.log(JSON.stringify({ requests, warmUp, ...cost }))
process.exit(0)
