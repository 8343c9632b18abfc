import assert from 'node:assert/strict'
import { test } from 'node:test'

import { deliver, openEngine } from '../support/servers/deliver.mjs'
import { echo } from '../support/servers/echo.mjs'

/** Answers when `expected` requests are there, so that less concurrency would never end. */
async function gate(t, expected) {
  const waiting = []
  const full = []
  const server = await echo(t, (_, response) => {
    waiting.push(response)
    if (waiting.length < expected) return
    full.shift()?.()
    for (const held of waiting.splice(0)) held.end()
  })
  return { ...server, whenFull: (call) => full.push(call) }
}

test('no more than http.perHostConcurrency requests are under way to one host', async (t) => {
  const server = await gate(t, 3)
  const engine = await openEngine(t, { http: { perHostConcurrency: 3 } })
  let lanes
  server.whenFull(() => (lanes = engine.stats().lanes))
  const calls = Array.from({ length: 12 }, () => ({ method: 'GET', url: server.url }))
  const deliveries = await deliver(engine, ...calls)
  assert.ok(deliveries.every(({ status }) => status === 'delivered'))
  const lane = `http://${server.host}`
  assert.deepEqual(lanes, [
    { destination: 'http', lane, inFlight: 3, waiting: 9, breaker: 'closed', paused: false },
  ])
  assert.ok(server.seen.connections <= 3)
})

test('no more than http.concurrency requests are under way over all hosts', async (t) => {
  const full = []
  const held = []
  const answer = (_, response) => {
    held.push(response)
    if (held.length === 2) full.push(engine.stats().inFlight)
    if (held.length >= 2) for (const waiting of held.splice(0)) waiting.end()
  }
  const [one, two] = await Promise.all([echo(t, answer), echo(t, answer)])
  const engine = await openEngine(t, { http: { concurrency: 2 } })
  const calls = Array.from({ length: 8 }, (_, n) => ({
    method: 'GET',
    url: (n % 2 ? one : two).url,
  }))
  const deliveries = await deliver(engine, ...calls)
  assert.ok(deliveries.every(({ status }) => status === 'delivered'))
  assert.deepEqual(full, [2, 2, 2, 2])
})

test('http.concurrency leaves attempts to the other destinations', async (t) => {
  const held = []
  const server = await echo(t, (_, response) => held.push(response))
  const options = { concurrency: 2, http: { concurrency: 1, timeoutMs: 60_000 } }
  const engine = await openEngine(t, options)
  const reached = []
  engine.destination('crm', { deliver: (items) => void reached.push(...items) })
  const execution = engine.execution({ workflowId: 'p_concurrency' })
  const { $send } = execution.step('first')
  for (let n = 0; n < 3; n++) $send.http({ method: 'GET', url: server.url })
  $send.crm({ n: 1 })
  await execution.complete()
  while (reached.length === 0 || held.length === 0) await new Promise(setImmediate)
  assert.equal(server.requests.length, 1, 'one request, and two that wait')
  while (server.requests.length < 3 || held.length > 0) {
    assert.ok(held.length <= 1)
    held.shift()?.end()
    await new Promise(setImmediate)
  }
  const deliveries = await execution.settled({ timeoutMs: 60_000 })
  assert.ok(deliveries.every(({ status }) => status === 'delivered'))
})

test('concurrency limits all destinations together', async (t) => {
  const held = []
  const server = await echo(t, (_, response) => held.push(response))
  const engine = await openEngine(t, { concurrency: 1, http: { timeoutMs: 60_000 } })
  const reached = []
  engine.destination('crm', { deliver: (items) => void reached.push(...items) })
  const execution = engine.execution({ workflowId: 'p_concurrency' })
  const { $send } = execution.step('first')
  $send.http({ method: 'GET', url: server.url })
  await execution.flush()
  while (held.length === 0) await new Promise(setImmediate)
  $send.crm({ n: 1 })
  await execution.complete()
  assert.equal(engine.stats().inFlight, 1)
  assert.deepEqual(reached, [])
  held.shift().end()
  await execution.settled({ timeoutMs: 60_000 })
  assert.equal(reached.length, 1)
})
