// A process that makes calls, one engine each, and prints what they came to and what they cost.
// `process.argv[2]` is a list of `{ name, options, call: { destination, config } }`.

import { Engine } from '../../js/index.mjs'
import { PATIENCE_MS } from './patience.mjs'

/** The most memory that this process has had, in bytes. */
const peak = () => process.resourceUsage().maxRSS * 1024

/** @param {any} work */
async function cost({ name, options, call: { destination, config } }) {
  const engine = await Engine.open({ egress: { allow: ['127.0.0.0/8'] }, ...options })
  const delayed = new Promise((resolve) => {
    engine.on('batch', ({ status, error }) => status === 'delayed' && resolve(error))
  })
  const execution = engine.execution({ workflowId: 'p_hostile' })
  execution.step('step').$send[destination](config)
  const before = peak()
  await execution.complete()
  const flushed = engine.flush({ timeoutMs: PATIENCE_MS }).catch(() => undefined)
  const settled = execution.settled({ timeoutMs: PATIENCE_MS }).catch(() => [])
  const ended = settled.then(([delivery]) => delivery?.error?.message ?? delivery?.status)
  const message = await Promise.race([ended, delayed])
  const bytes = peak() - before
  await engine.close({ timeoutMs: 0 })
  await flushed
  return { name, message, bytes }
}

// What everything needs at its first use is no cost of a call.
const [warm, ...all] = JSON.parse(process.argv[2])
await cost(warm)
for (const work of all) process.stdout.write(`${JSON.stringify(await cost(work))}\n`)
