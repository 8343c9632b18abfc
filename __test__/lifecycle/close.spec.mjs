// How an engine ends, and who may share it until then.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { setImmediate } from 'node:timers/promises'
import { test } from 'node:test'

import { Engine } from '../../js/index.mjs'
import { LOCAL, nextEvent, openEngine, openStep } from '../support/engine.mjs'
import { PATIENT } from '../support/patience.mjs'
import { blackHole, gate, receiver } from '../support/receiver.mjs'

let names = 0
const uniqueName = () => `close-${process.pid}-${names++}`

test('close() drains and counts, and answers the same again', async (t) => {
  const server = await gate(t)
  const { $send, execution, engine } = await openStep(t)
  $send.http({ method: 'GET', url: server.url })
  $send.sql({ table: 't', payload: {} })
  await execution.complete()
  await server.received(1)
  const closing = engine.close()
  server.open()
  const counts = { delivered: 1, failed: 1, pending: 0, open: 0 }
  assert.deepEqual(await closing, counts)
  assert.deepEqual(await engine.close(), counts)
  assert.deepEqual(await engine.close({ timeoutMs: 0 }), counts)
  assert.equal(server.requests.length, 1)
})

test('close() of an unused engine counts nothing', async (t) => {
  const engine = await openEngine(t)
  assert.deepEqual(await engine.close(), { delivered: 0, failed: 0, pending: 0, open: 0 })
})

test('two closes at once both wait', async (t) => {
  const server = await gate(t)
  const { $send, execution, engine } = await openStep(t)
  $send.http({ method: 'GET', url: server.url })
  await execution.complete()
  const both = Promise.all([engine.close(), engine.close()])
  server.open()
  for (const { delivered } of await both) assert.equal(delivered, 1)
})

test('a deadline cuts off what is under way, and the log says so', async (t) => {
  const hole = await blackHole(t)
  const { $send, execution, engine } = await openStep(t, { http: { perHostConcurrency: 2 } })
  for (let call = 0; call < 5; call++)
    $send.http({ method: 'POST', url: hole.url, data: `${call}` })
  const reached = hole.requests(2)
  await execution.complete()
  await reached
  const cut = Promise.all(hole.sockets.map((socket) => once(socket, 'close')))
  assert.deepEqual(await engine.close({ timeoutMs: 10 }), {
    delivered: 0,
    failed: 0,
    pending: 5,
    open: 0,
  })
  await cut
  const log = await execution.settled(PATIENT)
  assert.equal(log.length, 5)
  for (const { status, error, request } of log) {
    // reaches ERR_SEND_INTERRUPTED
    assert.deepEqual([status, error.code], ['failed', 'ERR_SEND_INTERRUPTED'])
    assert.equal(request.url, hole.url)
  }
  assert.deepEqual(log.map(({ error }) => /unknown|before/.exec(error.message)[0]).sort(), [
    'before',
    'before',
    'before',
    'unknown',
    'unknown',
  ])
  const { pending, inFlight, pendingBytes, failed } = engine.stats()
  assert.deepEqual([pending, inFlight, pendingBytes, failed], [0, 0, 0, 5])
})

test('closing again after a deadline answers the same counts', async (t) => {
  const hole = await blackHole(t)
  const { $send, execution, engine } = await openStep(t)
  $send.http({ method: 'GET', url: hole.url })
  const reached = hole.requests(1)
  await execution.complete()
  await reached
  const counts = await engine.close({ timeoutMs: 10 })
  assert.deepEqual(counts, { delivered: 0, failed: 0, pending: 1, open: 0 })
  assert.deepEqual(await engine.close(), counts)
})

test('listeners hear what happens while the engine closes', async (t) => {
  const server = await gate(t)
  const { $send, execution, engine } = await openStep(t)
  const heard = []
  engine.on('delivery', ({ status }) => heard.push(status))
  engine.on('execution', ({ status }) => heard.push(status))
  $send.http({ method: 'GET', url: server.url })
  await execution.complete()
  await server.received(1)
  const closing = engine.close()
  server.open()
  await closing
  for (let turn = 0; turn < 1000 && heard.length < 2; turn++) await setImmediate()
  assert.deepEqual(heard, ['delivered', 'completed'])
})

test('listeners hear what a deadline interrupts', async (t) => {
  const hole = await blackHole(t)
  const { $send, execution, engine } = await openStep(t)
  const heard = []
  engine.on('delivery', ({ error }) => heard.push(error.code))
  $send.http({ method: 'GET', url: hole.url })
  const reached = hole.requests(1)
  await execution.complete()
  await reached
  await engine.close({ timeoutMs: 10 })
  for (let turn = 0; turn < 1000 && heard.length < 1; turn++) await setImmediate()
  assert.deepEqual(heard, ['ERR_SEND_INTERRUPTED'])
})

test('a closed engine takes no more work, and its log can still be read', async (t) => {
  const { $send, execution, engine } = await openStep(t)
  $send.sql({ table: 't', payload: {} })
  const other = engine.execution({ workflowId: 'p' })
  await execution.complete()
  await engine.close()
  // reaches ERR_SEND_CLOSED
  const closed = { code: 'ERR_SEND_CLOSED', message: /Engine\.open\(\)/ }
  assert.throws(() => engine.execution({ workflowId: 'p' }), closed)
  await assert.rejects(async () => other.complete(), closed)
  await assert.rejects(async () => other.flush(), closed)
  assert.equal((await engine.deliveries()).length, 1)
  assert.equal((await engine.executions({ workflowId: 'p_test' })).length, 1)
  assert.equal(engine.stats().failed, 1)
  await engine.flush(PATIENT)
  assert.equal(other.discard(), 0)
})

test('[Symbol.asyncDispose]() closes', async (t) => {
  const server = await receiver(t)
  const { $send, execution, engine } = await openStep(t)
  $send.http({ method: 'GET', url: server.url })
  await execution.complete()
  assert.equal(await engine[Symbol.asyncDispose](), undefined)
  assert.equal(server.requests.length, 1)
  assert.throws(() => engine.execution({ workflowId: 'p' }), { code: 'ERR_SEND_CLOSED' })
})

test('engines with one name are one engine until the last handle is closed', async (t) => {
  const server = await receiver(t)
  const name = uniqueName()
  const options = { name, egress: LOCAL, strict: true }
  const first = await openEngine(t, options)
  const second = await Engine.open({ name })
  const third = await Engine.open(options)
  const execution = first.execution({ workflowId: 'p' })
  execution.step('s').$send.http({ method: 'GET', url: server.url })
  assert.equal(second.stats().recorded, 1)
  await execution.complete()
  assert.equal((await first.close()).delivered, 1)
  assert.throws(() => first.execution({ workflowId: 'p' }), { code: 'ERR_SEND_CLOSED' })
  assert.equal((await second.deliveries()).length, 1)
  await second.execution({ workflowId: 'p' }).complete()
  await second.close()
  await third.execution({ workflowId: 'p' }).complete()
  await third.close()
  const again = await Engine.open({ name })
  assert.equal(again.stats().recorded, 0)
  await again.close()
})

test('a name that is taken with other options is refused', async (t) => {
  const name = uniqueName()
  const engine = await openEngine(t, { name, strict: true })
  const code = 'ERR_SEND_INVALID_OPTION'
  await assert.rejects(Engine.open({ name, strict: false, maxPayloadBytes: 5 }), {
    code,
    message: /already open in this process with other options/,
  })
  await engine.close()
  await (await Engine.open({ name, maxPayloadBytes: 5 })).close()
})

test('what a deadline interrupts shows in the log of another handle', async (t) => {
  const hole = await blackHole(t)
  const name = uniqueName()
  const engine = await openEngine(t, { name })
  const other = await Engine.open({ name })
  const execution = engine.execution({ workflowId: 'p' })
  execution.step('s').$send.http({ method: 'GET', url: hole.url })
  const reached = hole.requests(1)
  await execution.complete()
  await reached
  // The first of two handles waits, and cuts nothing off.
  assert.equal((await other.close({ timeoutMs: 10 })).pending, 1)
  assert.equal((await other.deliveries())[0].status, 'in-flight')
  await engine.close({ timeoutMs: 10 })
  assert.equal((await other.deliveries())[0].error.code, 'ERR_SEND_INTERRUPTED')
})

test('each engine without a name is its own', async (t) => {
  const one = await openEngine(t)
  const two = await openEngine(t)
  const told = nextEvent(one, 'execution')
  await one.execution({ workflowId: 'p' }).complete()
  await told
  assert.equal((await two.executions()).length, 0)
})
