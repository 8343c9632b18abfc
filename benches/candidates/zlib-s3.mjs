// One round of what one writes in Node without us: events as lines, Node's gzip, the SDK of Amazon.
// `how`: `stream` writes each event into a gzip stream, so that only compressed bytes are held;
// `whole` keeps the lines of a batch and compresses them at once, in Node's thread pool. Either
// stores a full batch beside the events that follow it.

import { once } from 'node:events'
import { buffer } from 'node:stream/consumers'
import { promisify } from 'node:util'
import { createGzip, gzip } from 'node:zlib'

import { PutObjectCommand, S3Client } from '@aws-sdk/client-s3'

import { DISTINCT, event } from '../examples.mjs'
import { metered } from './meter.mjs'

const BATCH = 100_000

const { s3, bucket, events, warmUp, callsEach, how } = JSON.parse(process.argv[2])
const { endpoint, ...credentials } = s3
const client = new S3Client({ endpoint, region: 'us-east-1', forcePathStyle: true, credentials })

const compress = promisify(gzip)
const made = Array.from({ length: DISTINCT }, (_, number) => event(number))

let stored = 0
async function put(Body) {
  const Key = `events/${Date.now()}-${stored++}.gz`
  await client.send(new PutObjectCommand({ Bucket: bucket, Key, Body }))
}

const BATCHES = {
  stream() {
    const stream = createGzip()
    const compressed = buffer(stream)
    return {
      add: (line) => (stream.write(`${line}\n`) ? undefined : once(stream, 'drain')),
      async close() {
        stream.end()
        await put(await compressed)
      },
    }
  },
  whole() {
    const lines = []
    return {
      add: (line) => void lines.push(line),
      close: async () => put(await compress(`${lines.join('\n')}\n`)),
    }
  },
}

async function store(count) {
  const closed = []
  let batch = BATCHES[how]()
  for (let recorded = 0; recorded < count;) {
    for (let calls = 0; calls < callsEach && recorded < count; calls++, recorded++) {
      const full = batch.add(JSON.stringify(made[recorded % DISTINCT]))
      if (full) await full
    }
    // A step ends here.
    await new Promise((resolve) => setImmediate(resolve))
    if (recorded % BATCH !== 0) continue
    closed.push(batch.close())
    batch = BATCHES[how]()
  }
  await Promise.all([...closed, batch.close()])
}

await store(warmUp)
const cost = await metered(() => store(events))
const most = process.resourceUsage().maxRSS / 1024
console.log(JSON.stringify({ requests: events, batches: stored, most, ...cost }))
process.exit(0)
