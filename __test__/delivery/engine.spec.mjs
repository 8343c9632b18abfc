// The life of executions and engines, and what their logs answer.

import assert from 'node:assert/strict'
import { cpSync, readdirSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

import { Engine, Execution } from '../../js/index.mjs'
import { runChild, runNode } from '../support/child.mjs'
import { dataDirectory } from '../support/data-dir.mjs'
import { finish, nextEvent, openEngine, openStep } from '../support/engine.mjs'
import { PATIENT } from '../support/patience.mjs'
import { blackHole, gate, receiver } from '../support/receiver.mjs'

const UUID_V7 = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/

test('complete() hands over, and settled() answers the whole log in call order', async (t) => {
  const server = await receiver(t, (request, response) => {
    response.statusCode = request.path === '/bad' ? 500 : 201
    response.end(request.text)
  })
  const { $send, execution } = await openStep(t)
  $send.http({ method: 'POST', url: server.url, data: { a: 1 } })
  $send.http({ method: 'POST', url: `${server.origin}/bad`, data: 'no' })
  const { executionId } = execution
  assert.deepEqual(await execution.complete(), { executionId, recorded: 2, durable: false })
  const [one, two] = await execution.settled(PATIENT)
  assert.match(one.id, UUID_V7)
  assert.match(executionId, UUID_V7)
  assert.equal(one.workflowId, 'p_test')
  assert.equal(one.executionId, executionId)
  assert.deepEqual([one.step, one.index, one.destination], ['step', 0, 'http'])
  assert.deepEqual([one.status, one.attempts, one.warnings], ['delivered', 1, []])
  assert.equal(one.request.body, '{"a":1}')
  assert.deepEqual([one.response.status, one.response.body], [201, '{"a":1}'])
  assert.equal(one.error, undefined)
  for (const at of [one.recordedAt, one.deliveredAt, one.settledAt]) {
    assert.equal(new Date(at).toISOString(), at)
  }
  // reaches ERR_SEND_STATUS
  assert.deepEqual([two.status, two.error.code], ['failed', 'ERR_SEND_STATUS'])
  assert.deepEqual([two.response.status, two.response.body], [500, 'no'])
  assert.equal(two.deliveredAt, undefined)
})

test('an execution without calls is over when it is completed', async (t) => {
  const { execution, engine } = await openStep(t)
  const told = nextEvent(engine, 'execution')
  assert.equal((await execution.complete()).recorded, 0)
  assert.deepEqual(await execution.settled(PATIENT), [])
  const { status, total } = await told
  assert.deepEqual({ status, total }, { status: 'completed', total: 0 })
})

test('what was recorded before an error is delivered, and the error is in the log', async (t) => {
  const server = await receiver(t)
  const engine = await openEngine(t)
  for (const [error, shown] of [
    [new TypeError('boom'), 'boom'],
    ['text', 'text'],
    [{ message: 'object' }, 'object'],
    [5, '5'],
  ]) {
    const execution = engine.execution({ workflowId: 'p_error' })
    execution.step('s').$send.http({ method: 'GET', url: server.url })
    await execution.complete({ error })
    assert.equal((await execution.settled(PATIENT))[0].status, 'delivered')
    const [row] = await engine.executions({ limit: 1 })
    assert.equal(row.status, 'failed')
    if (shown) assert.equal(row.error, shown)
    assert.equal(typeof row.error, 'string')
  }
  for (const error of [undefined, null]) {
    const execution = engine.execution({ workflowId: 'p_error' })
    await execution.complete({ error })
    assert.equal((await engine.executions({ limit: 1 }))[0].status, 'completed')
  }
})

test('an error that cannot be shown ends the execution like any other', async (t) => {
  const server = await receiver(t)
  const engine = await openEngine(t)
  const trap = {
    get message() {
      throw new Error('trap')
    },
  }
  for (const error of [Symbol('s'), Object.create(null), trap, new Proxy(trap, {})]) {
    const execution = engine.execution({ workflowId: 'p_error' })
    execution.step('s').$send.http({ method: 'GET', url: server.url })
    await execution.complete({ error })
    assert.equal((await execution.settled(PATIENT))[0].status, 'delivered')
    const [{ status, error: shown }] = await engine.executions({ limit: 1 })
    assert.deepEqual([status, typeof shown], ['failed', 'string'])
  }
  await engine.flush(PATIENT)
})

test('flush() hands over what is recorded, and the execution goes on', async (t) => {
  const server = await receiver(t)
  const { $send, execution, engine } = await openStep(t)
  $send.http({ method: 'GET', url: `${server.origin}/1` })
  assert.equal((await execution.flush()).recorded, 1)
  await server.received(1)
  assert.equal((await execution.flush()).recorded, 0)
  await engine.flush(PATIENT)
  assert.equal((await engine.executions())[0].status, 'running')
  $send.http({ method: 'GET', url: `${server.origin}/2` })
  const log = await finish(execution)
  assert.deepEqual(
    log.map(({ index, status }) => [index, status]),
    [
      [0, 'delivered'],
      [1, 'delivered'],
    ],
  )
  assert.deepEqual(
    server.requests.map(({ path }) => path),
    ['/1', '/2'],
  )
})

test('discard() drops what is recorded, and the log says so', async (t) => {
  const server = await receiver(t)
  const { $send, execution, engine } = await openStep(t)
  $send.http({ method: 'GET', url: `${server.origin}/1` })
  await execution.flush()
  $send.http({ method: 'GET', url: `${server.origin}/2` })
  $send.email({ subject: 's' })
  assert.equal(execution.discard(), 2)
  const log = await execution.settled(PATIENT)
  assert.deepEqual(
    log.map(({ status }) => status),
    ['delivered', 'discarded', 'discarded'],
  )
  // reaches ERR_SEND_DISCARDED
  assert.equal(log[1].error?.code, 'ERR_SEND_DISCARDED')
  assert.equal(log[1].deliveredAt, undefined)
  const [row] = await engine.executions()
  assert.deepEqual([row.status, row.delivered, row.discarded, row.total], ['discarded', 1, 2, 3])
  assert.equal(engine.stats().discarded, 2)
  assert.deepEqual(
    server.requests.map(({ path }) => path),
    ['/1'],
  )
})

test('a hand-over that is not awaited loses nothing', async (t) => {
  const server = await receiver(t)
  const engine = await openEngine(t)
  for (let run = 0; run < 50; run++) {
    const execution = engine.execution({ workflowId: 'p_race' })
    const { $send } = execution.step('s')
    $send.http({ method: 'GET', url: server.url })
    const flushed = execution.flush()
    $send.http({ method: 'GET', url: server.url })
    const [one, two] = await Promise.all([flushed, execution.complete()])
    assert.equal(one.recorded + two.recorded, 2)
    assert.equal((await execution.settled(PATIENT)).length, 2)
  }
  assert.equal(server.requests.length, 100)
})

test('settled() and flush() give up after timeoutMs', async (t) => {
  const { url } = await blackHole(t)
  const { $send, execution, engine } = await openStep(t)
  // reaches ERR_SEND_TIMEOUT
  const code = 'ERR_SEND_TIMEOUT'
  await assert.rejects(execution.settled({ timeoutMs: 5 }), {
    code,
    message: /it is not completed/,
  })
  $send.http({ method: 'GET', url })
  await execution.complete()
  await assert.rejects(execution.settled({ timeoutMs: 5 }), { code, message: /1 deliveries/ })
  await assert.rejects(engine.flush({ timeoutMs: 5 }), { code, message: /1 deliveries/ })
  await assert.rejects(engine.flush({ timeoutMs: 0 }), { code })
})

test('a delivery that is not answered in time fails as such', async (t) => {
  const { url } = await blackHole(t)
  const { $send, execution } = await openStep(t, { http: { timeoutMs: 1000 } })
  $send.http({ method: 'GET', url })
  $send.http({ method: 'GET', url, timeout: 500 })
  for (const { status, error } of await finish(execution)) {
    assert.deepEqual([status, error.code], ['failed', 'ERR_SEND_TIMEOUT'])
    assert.equal(error.phase, 'response')
  }
})

test('stats() counts', async (t) => {
  const server = await gate(t)
  const { $send, execution, engine } = await openStep(t, { http: { perHostConcurrency: 2 } })
  for (let call = 0; call < 5; call++) $send.http({ method: 'GET', url: server.url })
  const before = engine.stats()
  assert.deepEqual([before.recorded, before.pending, before.openExecutions], [5, 0, 1])
  assert.deepEqual(before.lanes, [])
  await execution.complete()
  await server.received(2)
  const under = engine.stats()
  assert.deepEqual([under.pending, under.inFlight, under.openExecutions], [5, 2, 0])
  assert.deepEqual(under.lanes, [
    {
      destination: 'http',
      lane: server.origin,
      inFlight: 2,
      waiting: 3,
      breaker: 'closed',
      paused: false,
    },
  ])
  assert.ok(under.pendingBytes > 0)
  server.open()
  await execution.settled(PATIENT)
  await engine.flush(PATIENT)
  assert.deepEqual(engine.stats(), {
    recorded: 5,
    delivered: 5,
    failed: 0,
    discarded: 0,
    pending: 0,
    inFlight: 0,
    pendingBytes: 0,
    openExecutions: 0,
    retrying: 0,
    lanes: [],
    pauses: [],
    delayedBatches: [],
  })
})

test('a destination that is not there fails, and shows its request', async (t) => {
  const { $send, execution } = await openStep(t)
  const call = { payload: [1], table: 't' }
  $send.sql(call)
  const [{ status, error, request }] = await finish(execution)
  // reaches ERR_SEND_NOT_CONFIGURED
  assert.deepEqual([status, error.code], ['failed', 'ERR_SEND_NOT_CONFIGURED'])
  assert.match(error.message, /there is no warehouse/)
  assert.deepEqual(request, call)
})

test('execution() refuses what is no id', async (t) => {
  const engine = await openEngine(t)
  for (const options of [{ workflowId: '' }, { workflowId: 'p', executionId: '' }]) {
    assert.throws(() => engine.execution(options), { code: 'ERR_SEND_INVALID_ARGUMENT' })
  }
  for (const options of [
    undefined,
    null,
    {},
    { workflowId: 5 },
    { workflowId: 'p', attempt: 'x' },
  ]) {
    assert.throws(() => engine.execution(options), { code: 'ERR_SEND_INVALID_ARGUMENT' })
  }
  const execution = engine.execution({ workflowId: 'ä', executionId: '/', attempt: 3 })
  assert.deepEqual([execution.workflowId, execution.executionId], ['ä', '/'])
  assert.equal(execution instanceof Execution, true)
})

test('CommonJS and ES modules see the same classes', () => {
  const required = createRequire(import.meta.url)('../../js/index.cjs')
  assert.equal(required.Engine, Engine)
  assert.equal(required.Execution, Execution)
})

test('an execution that is collected is discarded with a warning', async (t) => {
  const { url } = await receiver(t)
  const { stdout, stderr, code } = await runChild(
    url,
    `
    const warned = new Promise((resolve) => engine.on('warning', resolve))
    ;(() => {
      const { $send } = engine.execution({ workflowId: 'p', executionId: 'e_lost' }).step('s')
      $send.http({ method: 'GET', url })
    })()
    const turn = () => new Promise((resolve) => setImmediate(resolve))
    let warning
    warned.then((event) => (warning = event))
    for (let round = 0; round < 1000 && !warning; round++) { gc(); await turn() }
    await engine.flush()
    const [{ status }] = await engine.deliveries()
    console.log(JSON.stringify({ warning, status, discarded: engine.stats().discarded }))`,
    ['--expose-gc'],
  )
  assert.deepEqual([code, stderr], [0, ''])
  const { warning, status, discarded } = JSON.parse(stdout)
  assert.equal(warning.code, 'EXECUTION_DROPPED')
  assert.equal(warning.executionId, 'e_lost')
  assert.deepEqual([status, discarded], ['discarded', 1])
})

test('executions are let go of before V8 looks at its old objects', async (t) => {
  const { url } = await receiver(t)
  const { stdout, stderr, code } = await runChild(
    url,
    `
    let warned = 0
    engine.on('warning', () => warned++)
    const turn = () => new Promise((resolve) => setImmediate(resolve))
    const begin = () => {
      const { $send } = engine.execution({ workflowId: 'p' }).step('s')
      $send.http({ method: 'GET', url })
    }
    for (let made = 0; made < 500; made++) begin()
    for (let round = 0; round < 1000 && warned < 490; round++) { gc({ type: 'minor' }); await turn() }
    console.log(JSON.stringify({ warned }))`,
    ['--expose-gc', '--no-opt'],
  )
  assert.deepEqual([code, stderr], [0, ''])
  const { warned } = JSON.parse(stdout)
  assert.ok(warned >= 490, `${warned} of 500`)
})

test('an engine that is open records every call after its package has gone from the disk', async (t) => {
  const root = fileURLToPath(new URL('../..', import.meta.url))
  const copy = dataDirectory(t)
  const parts = readdirSync(root).filter((name) => name === 'js' || /\.(cjs|node)$/.test(name))
  for (const part of [...parts, 'package.json'])
    cpSync(join(root, part), join(copy, part), { recursive: true })
  const code = `
    const { rmSync } = require('node:fs')
    const { Engine } = require(${JSON.stringify(join(copy, 'js/index.cjs'))})
    Engine.open().then(async (engine) => {
      rmSync(${JSON.stringify(copy)}, { recursive: true })
      const execution = engine.execution({ workflowId: 'p' })
      const { $send } = execution.step('s')
      $send.http({ method: 'POST', url: 'http://127.0.0.1/', data: new Map([[1, 2]]) })
      $send.email({ subject: 'x' })
      $send.sse({ channel: 'c', payload: { seen: new Set([1]) } })
      $send.emit({ raw_event: { a: 1 } })
      await execution.complete()
      console.log(String((await execution.settled()).map(({ destination }) => destination)))
      await engine.close()
    })`
  const { stdout, stderr, code: status } = await runNode(['--eval', code])
  assert.deepEqual([status, stdout], [0, 'http,email,sse,emit\n'])
  assert.doesNotMatch(stderr, /Error|Cannot find/)
})
