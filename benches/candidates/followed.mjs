// One round of a log that is followed: deliveries at a fixed rate, from an engine with a server, and
// `dollar-send log -f` in a process of its own behind it, or none. It follows the server, or the data
// directory that the engine has open.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, openSync, readFileSync, rmSync, statSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'

import { example } from '../examples.mjs'
import { metered } from './meter.mjs'

const TICK_MS = 10
const CALLS_EACH = 10
/** Executions in the log: those of several looks of the follower. */
const KEPT = 2000
const FLUSH_TIMEOUT_MS = 30_000
/** Milliseconds that the last line may take. */
const BEHIND_MS = 10_000

const { entry, url, perSecond, requests, warmUp, isDurable, follows } = JSON.parse(process.argv[2])
const { Engine } = createRequire(import.meta.url)(entry)
const call = example(url)
const folder = mkdtempSync(join(tmpdir(), 'dollar-send-followed-'))
const file = join(folder, 'log')
const dataDir = join(folder, 'data')
process.once('exit', () => rmSync(folder, { recursive: true, force: true }))

async function record(engine) {
  const execution = engine.execution({ workflowId: 'p_bench' })
  const { $send } = execution.step('notify')
  for (let calls = 0; calls < CALLS_EACH; calls++) $send.http(call)
  await execution.complete()
}

/** Records so many calls, no faster than `perSecond`, and waits until they are delivered. */
async function deliverAll(engine, count) {
  const begun = Date.now()
  for (let recorded = 0; recorded < count; await wait(TICK_MS)) {
    const due = Math.min(count, ((Date.now() - begun) * perSecond) / 1000)
    for (; recorded < due; recorded += CALLS_EACH) await record(engine)
  }
  await engine.flush({ timeoutMs: FLUSH_TIMEOUT_MS })
}

/** Follows the log into a file: reading it is not the engine's work. */
function follow(address) {
  const main = join(dirname(entry), 'cli/main.mjs')
  const place = follows === 'directory' ? ['--data-dir', dataDir] : ['--url', address]
  const args = [main, 'log', '-f', ...place]
  const child = spawn(process.execPath, args, { stdio: ['ignore', openSync(file, 'w'), 'inherit'] })
  process.once('exit', () => child.kill())
  return child
}

const lines = () => readFileSync(file, 'utf8').split('\n').length - 1

/** Waits until the follower has written so many lines. Gives the time in milliseconds. */
async function caughtUp(count) {
  const begun = Date.now()
  while (lines() < count) {
    if (Date.now() - begun > BEHIND_MS) throw new Error(`${lines()} lines of ${count}`)
    await wait(TICK_MS)
  }
  return Date.now() - begun
}

const engine = await Engine.open({
  egress: { allow: ['127.0.0.0/8'] },
  log: { maxExecutionsPerWorkflow: KEPT },
  server: { port: 0 },
  ...(isDurable && { dataDir }),
})
const child = follows ? follow(engine.address().url) : undefined
// It follows from its first line on.
while (child && statSync(file).size === 0) await deliverAll(engine, CALLS_EACH)
await deliverAll(engine, warmUp)
if (child) await wait(1000)
const before = child ? lines() : 0
const cost = await metered(() => deliverAll(engine, requests))
const behindMs = child ? await caughtUp(before + requests) : undefined
if (child) {
  child.kill('SIGINT')
  await once(child, 'exit')
}
const { delivered, failed } = await engine.close()
if (failed > 0) throw new Error(`${failed} failed`)
console.log(JSON.stringify({ requests, warmUp: delivered - requests, behindMs, ...cost }))
process.exit(0)
