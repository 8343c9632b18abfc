// One round of graphile-worker: 64 producers add jobs ten at a time, one worker with a local queue and batched
// completions makes them requests with undici, 64 at once, and the round ends with the last of them.

import graphile from 'graphile-worker'
import { Pool } from 'undici'

import { example } from '../examples.mjs'
import { metered } from './meter.mjs'
import { walSince } from './wal.mjs'

const { Logger, makeWorkerUtils, run } = graphile
const IN_FLIGHT = 64
const CALLS_EACH = 10

const { url, postgres, requests, warmUp } = JSON.parse(process.argv[2])
const { origin, pathname: path } = new URL(url)
const pool = new Pool(origin, { connections: IN_FLIGHT })
const { data } = example(url)

let done = 0
let target = 0
let finished = () => {}

// The settings of the page on performance of its documentation, with the concurrency of the other candidates.
const preset = {
  worker: {
    connectionString: postgres,
    concurrentJobs: IN_FLIGHT,
    maxPoolSize: 25,
    localQueue: { size: 500 },
    completeJobBatchDelay: 0,
    failJobBatchDelay: 0,
  },
}
const logger = new Logger(() => () => {})
const utils = await makeWorkerUtils({ connectionString: postgres, maxPoolSize: 25, logger })
await utils.migrate()
const taskList = {
  async http(body) {
    const headers = { 'content-type': 'application/json' }
    const request = { method: 'POST', path, headers, body: JSON.stringify(body) }
    const { statusCode, body: response } = await pool.request(request)
    await response.text()
    if (statusCode !== 200) throw new Error(`answered ${statusCode}`)
  },
}
const worker = await run({ preset, taskList, logger, noHandleSignals: true })
worker.events.on('job:success', () => {
  if (++done === target) finished()
})
worker.events.on('job:error', ({ error }) => {
  throw error
})

async function deliverAll(count) {
  done = 0
  target = count
  const end = new Promise((resolve) => (finished = resolve))
  let added = 0
  const producer = async () => {
    while (added < count) {
      const calls = Math.min(CALLS_EACH, count - added)
      added += calls
      const jobs = Array.from({ length: calls }, () => ({ identifier: 'http', payload: data }))
      await utils.addJobs(jobs)
    }
  }
  await Promise.all(Array.from({ length: IN_FLIGHT }, producer))
  await end
}

await deliverAll(warmUp)
const wal = await walSince(postgres)
const cost = await metered(() => deliverAll(requests))
await worker.stop()
await utils.release()
console.log(JSON.stringify({ requests, warmUp, ...cost, walBytes: await wal() }))
process.exit(0)
