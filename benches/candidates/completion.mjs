// One round of completion hooks: how long `complete()` takes while 32 executions are open at once, each
// with a step of `stepMs` milliseconds, and how long the same disk takes for one bare fsync. With steps
// of no time at all the machine has no time left either: what is measured then is the queue for it.

import { closeSync, fdatasyncSync, openSync, writeSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'

import { example } from '../examples.mjs'

const RUNNERS = 32
const FSYNCS = 300

const { entry, url, completions, warmUp, dataDir, stepMs } = JSON.parse(process.argv[2])
const { Engine } = createRequire(import.meta.url)(entry)
const call = example(url)

/** Times of completions in microseconds. */
async function completeAll(engine, count) {
  const times = []
  let begun = 0
  const runner = async () => {
    while (begun++ < count) {
      const execution = engine.execution({ workflowId: 'p_bench' })
      execution.step('notify').$send.http(call)
      if (stepMs > 0) await pause(stepMs * (0.5 + Math.random()))
      const start = process.hrtime.bigint()
      await execution.complete()
      times.push(Number(process.hrtime.bigint() - start) / 1000)
    }
  }
  await Promise.all(Array.from({ length: RUNNERS }, runner))
  return times
}

/** Times of bare fsyncs in microseconds, each of 4 KiB more. */
function fsyncs() {
  const file = openSync(join(dataDir, 'bare'), 'w')
  const page = Buffer.alloc(4096, 1)
  const times = Array.from({ length: FSYNCS }, () => {
    writeSync(file, page)
    const start = process.hrtime.bigint()
    fdatasyncSync(file)
    return Number(process.hrtime.bigint() - start) / 1000
  })
  closeSync(file)
  return times
}

const sorted = (times) => times.sort((one, other) => one - other)
const at = (times, share) => times[Math.floor(times.length * share)]

const engine = await Engine.open({ dataDir, egress: { allow: ['127.0.0.0/8'] } })
await completeAll(engine, warmUp)
await engine.flush({ timeoutMs: 60_000 })
const bare = sorted(fsyncs())
const times = sorted(await completeAll(engine, completions))
await engine.close({ timeoutMs: 60_000 })
console.log(
  JSON.stringify({
    fsyncUs: at(bare, 0.5),
    fsyncP99Us: at(bare, 0.99),
    medianUs: at(times, 0.5),
    p99Us: at(times, 0.99),
  }),
)
process.exit(0)
