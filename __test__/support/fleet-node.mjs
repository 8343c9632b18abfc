// A node of a fleet: it records what its parent asks for, and says what was kept, delivered and settled.
//
//   node fleet-node.mjs '{ "journal", … }' < lines of { "executionId", "urls", "objects" },
//     { "executionId", "workflowId", "sends", "error" } or { "call", "method", "args" }
//
// With `listens` it says which emitted events its listeners get.

import { createInterface } from 'node:readline'

import { Engine } from '../../js/index.mjs'
import { LOCAL } from './engine.mjs'

const { listens, ...options } = JSON.parse(process.argv[2])
const engine = await Engine.open({ egress: LOCAL, ...options })
const say = (/** @type {unknown[]} */ ...words) => console.log(words.join(' '))
engine.on('delivery', ({ executionId, index, status }) => say('ended', executionId, index, status))
engine.on('warning', ({ code }) => say('warned', code))
for (const filter of listens ?? [])
  engine.subscribe(filter, ({ emitterId, name, event }) =>
    say('heard', JSON.stringify([emitterId, name, event])),
  )
say('open', engine.address()?.port)
for await (const line of createInterface({ input: process.stdin })) {
  const asked = JSON.parse(line)
  const { executionId, urls, objects, call, method, args } = asked
  if (method)
    answer(method, args).then(
      (value) => say('answer', call, JSON.stringify({ value })),
      ({ code, message }) => say('answer', call, JSON.stringify({ code, message })),
    )
  else if (asked.sends) send(asked).catch(({ code }) => say('refused', executionId, code))
  else record(executionId, urls, objects).catch(({ code }) => say('refused', executionId, code))
}
await engine.close({ timeoutMs: 5000 })
say('closed')

/**
 * @param {'replay' | 'dismiss' | 'pause' | 'resume' | 'retryNow'} method
 * @param {[any]} args
 */
async function answer(method, args) {
  return engine[method](...args)
}

/**
 * Records calls `[method, ...arguments]` of `$send`, and says their deliveries.
 *
 * @param {{ executionId: string, workflowId: string, sends: any[][], error?: string }} run
 */
async function send({ executionId, workflowId, sends, error }) {
  const execution = engine.execution({ workflowId, executionId })
  const $send = /** @type {any} */ (execution.step('step').$send)
  for (const [method, ...rest] of sends) $send[method](...rest)
  await execution.complete(error === undefined ? {} : { error })
  say('kept', executionId)
  const log = await execution.settled()
  say('sent', executionId, JSON.stringify(log))
}

/**
 * @param {string} executionId
 * @param {string[]} urls
 * @param {number} objects the number of calls of `$send.s3`
 */
async function record(executionId, urls, objects) {
  const execution = engine.execution({ workflowId: 'p_fleet', executionId })
  const { $send } = execution.step('step')
  for (const url of urls) $send.http({ method: 'POST', url, data: { executionId } })
  for (let call = 0; call < objects; call++)
    $send.s3({ bucket: 'bucket', prefix: 'p/', payload: { executionId, call } })
  await execution.complete()
  say('kept', executionId)
  const log = await execution.settled()
  say('settled', executionId, log.length, new Set(log.map(({ status }) => status)).size)
}
