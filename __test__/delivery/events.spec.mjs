// `engine.on()` and `engine.off()`.

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { runChild } from '../support/child.mjs'
import { finish, nextEvent, openEngine, openStep } from '../support/engine.mjs'
import { blackHole, receiver } from '../support/receiver.mjs'

test('a delivery is told as it stands in the log', async (t) => {
  const server = await receiver(t)
  const { $send, execution, engine } = await openStep(t)
  const told = nextEvent(engine, 'delivery')
  $send.http({ method: 'POST', url: server.url, data: { a: 1 } })
  const [delivery] = await finish(execution)
  assert.deepEqual(await told, delivery)
})

test('an execution is told once, after its deliveries', async (t) => {
  const { $send, execution, engine } = await openStep(t)
  const heard = []
  for (const topic of ['delivery', 'execution']) engine.on(topic, () => heard.push(topic))
  const told = nextEvent(engine, 'execution')
  $send.email({})
  await execution.flush()
  await engine.flush()
  $send.email({})
  await execution.complete()
  assert.deepEqual(await told, (await engine.executions())[0])
  assert.deepEqual(heard, ['delivery', 'delivery', 'execution'])
})

test('a discarded execution is told', async (t) => {
  const { $send, execution, engine } = await openStep(t)
  const told = nextEvent(engine, 'execution')
  $send.email({})
  execution.discard()
  const { status, discarded } = await told
  assert.deepEqual([status, discarded], ['discarded', 1])
})

test('every topic can be listened to, and no other', async (t) => {
  const engine = await openEngine(t)
  const listener = () => {}
  for (const topic of ['delivery', 'execution', 'batch', 'warning']) {
    assert.equal(engine.on(topic, listener), engine)
    assert.equal(engine.off(topic, listener), engine)
  }
  const code = 'ERR_SEND_INVALID_ARGUMENT'
  for (const method of ['on', 'off']) {
    for (const topic of ['deliveries', '', undefined, null, 5, Symbol('s'), 'constructor']) {
      assert.throws(() => engine[method](topic, listener), { code, message: /there is no event/ })
    }
    for (const wrong of [undefined, null, 'text', {}]) {
      assert.throws(() => engine[method]('delivery', wrong), {
        code,
        message: /must be a function/,
      })
    }
  }
})

test('off() ends a listener and leaves the others', async (t) => {
  const { execution, engine } = await openStep(t)
  const heard = []
  const one = () => heard.push('one')
  const two = () => heard.push('two')
  engine.on('execution', one).on('execution', two).on('execution', one)
  engine.off('execution', one).off('delivery', two)
  const told = nextEvent(engine, 'execution')
  await execution.complete()
  await told
  assert.deepEqual(heard, ['two'])
  engine.off('execution', two)
  await engine.execution({ workflowId: 'p' }).complete()
  await engine.flush()
  engine.on('execution', one)
  const again = nextEvent(engine, 'execution')
  await engine.execution({ workflowId: 'p' }).complete()
  await again
  assert.deepEqual(heard, ['two', 'one'])
})

test('a listener may add and remove listeners', async (t) => {
  const { execution, engine } = await openStep(t)
  const heard = []
  const last = nextEvent(engine, 'execution', () => heard.length > 1)
  engine.on('execution', function first() {
    engine.off('execution', first)
    engine.on('execution', () => heard.push('later'))
  })
  await execution.complete()
  for (let run = 0; run < 3; run++) await engine.execution({ workflowId: 'p' }).complete()
  await last
  assert.ok(heard.length >= 2)
})

test('a listener of this engine hears nothing of another', async (t) => {
  const { execution, engine } = await openStep(t)
  const other = await openEngine(t)
  const heard = []
  engine.on('execution', ({ executionId }) => heard.push(executionId))
  await other.execution({ workflowId: 'p' }).complete()
  const told = nextEvent(engine, 'execution')
  await execution.complete()
  await told
  assert.deepEqual(heard, [execution.executionId])
})

test('thousands of events arrive, in order for one execution', async (t) => {
  const { $send, execution, engine } = await openStep(t)
  const heard = []
  engine.on('delivery', ({ index }) => heard.push(index))
  const told = nextEvent(engine, 'execution')
  for (let call = 0; call < 5000; call++) $send.sse({ channel: 'c', payload: {} })
  await execution.complete()
  await told
  assert.deepEqual(
    heard,
    Array.from({ length: 5000 }, (_, index) => index),
  )
})

test('a listener that throws is an uncaught exception and disturbs no other', async (t) => {
  const { url } = await receiver(t)
  const { stdout, code } = await runChild(
    url,
    `
    const uncaught = []
    process.on('uncaughtException', (error) => uncaught.push(error.message))
    const heard = []
    engine.on('delivery', () => { throw new Error('mine') })
    engine.on('delivery', ({ status }) => heard.push(status))
    const ended = new Promise((resolve) => engine.on('execution', resolve))
    const execution = engine.execution({ workflowId: 'p' })
    const { $send } = execution.step('s')
    $send.http({ method: 'GET', url })
    $send.http({ method: 'GET', url })
    await execution.complete()
    await engine.flush()
    await ended
    await engine.close()
    console.log(JSON.stringify({ uncaught, heard }))`,
  )
  assert.equal(code, 0)
  assert.deepEqual(JSON.parse(stdout), {
    uncaught: ['mine', 'mine'],
    heard: ['delivered', 'delivered'],
  })
})

test('a listener that throws ends a process that does not catch it', async (t) => {
  const { url } = await receiver(t)
  const { stderr, code } = await runChild(
    url,
    `
    engine.on('delivery', () => { throw new Error('mine') })
    const execution = engine.execution({ workflowId: 'p' })
    execution.step('s').$send.http({ method: 'GET', url })
    await execution.complete()
    await execution.settled()
    setInterval(() => {}, 1000)`,
  )
  assert.equal(code, 1)
  assert.match(stderr, /Error: mine/)
})

test('listeners do not keep a process alive', async (t) => {
  const { url } = await blackHole(t)
  const { stdout, code } = await runChild(
    url,
    `
    for (const topic of ['delivery', 'execution', 'batch', 'warning']) engine.on(topic, () => {})
    console.log('listening')`,
  )
  assert.deepEqual([stdout, code], ['listening\n', 0])
})
