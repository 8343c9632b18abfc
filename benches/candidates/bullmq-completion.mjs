// One round of `Queue.addBulk` of BullMQ over Redis: how long it takes to add a job while 32 producers each do so
// after `stepMs` milliseconds, the same call as a completion hook hands over. Nothing works on the jobs.

import { setTimeout as pause } from 'node:timers/promises'

import { Queue } from 'bullmq'

import { example } from '../examples.mjs'
import { quantile } from '../statistics.mjs'

const PRODUCERS = 32

const { url, socket, stepMs, completions, warmUp } = JSON.parse(process.argv[2])
const { data } = example(url)
const queue = new Queue('completions', { connection: { path: socket, maxRetriesPerRequest: null } })
await queue.waitUntilReady()

/** Times of additions in microseconds. */
async function addAll(count) {
  const times = []
  let begun = 0
  const producer = async () => {
    while (begun++ < count) {
      await pause(stepMs * (0.5 + Math.random()))
      const start = process.hrtime.bigint()
      await queue.addBulk([{ name: 'http', data }])
      times.push(Number(process.hrtime.bigint() - start) / 1000)
    }
  }
  await Promise.all(Array.from({ length: PRODUCERS }, producer))
  return times
}

await addAll(warmUp)
const times = await addAll(completions)
await queue.obliterate({ force: true })
await queue.close()
console.log(JSON.stringify({ medianUs: quantile(times, 0.5), p99Us: quantile(times, 0.99) }))
process.exit(0)
