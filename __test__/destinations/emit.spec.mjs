// `$send.emit`: listeners of the process, subscriptions and webhooks.

import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { test } from 'node:test'

import { Engine } from '../../js/index.mjs'
import { dataDirectory } from '../support/data-dir.mjs'
import { finish, LOCAL, nextEvent, openEngine, openStep } from '../support/engine.mjs'
import { PATIENT } from '../support/patience.mjs'
import { receiver } from '../support/receiver.mjs'
import { client, run, serve } from '../support/serving.mjs'

/** @typedef {import('../../index.d.ts').EmittedEvent} EmittedEvent */

/**
 * The events that a subscription gets, and a wait for as many of them.
 *
 * @param {import('../../index.d.ts').Engine} engine
 * @param {import('../../index.d.ts').SubscribeOptions} wanted
 */
function heard(engine, wanted) {
  /** @type {EmittedEvent[]} */
  const events = []
  /** @type {() => void} */
  let look = () => {}
  const end = engine.subscribe(wanted, (event) => {
    events.push(event)
    look()
  })
  return {
    events,
    end,
    names: () => events.map(({ emitterId, name, event }) => [emitterId, name, event]),
    /** @param {number} count */
    async until(count) {
      // Listeners keep no process alive; a test that waits for one has to.
      const alive = setInterval(() => {}, 2 ** 30)
      await new Promise((resolve) => {
        look = () => events.length >= count && resolve(undefined)
        look()
      })
      clearInterval(alive)
    },
  }
}

test('both shapes of emit arrive at listeners, by emitter and channel', async (t) => {
  const engine = await openEngine(t)
  const all = heard(engine, { emitterId: 'p_*', eventName: '*' })
  const plain = heard(engine, { emitterId: 'p_1' })
  const orders = heard(engine, { emitterId: '*', eventName: 'orders' })
  const log = await run(engine, 'p_1', ($send) => {
    $send.emit({ raw_event: { n: 1 } })
    $send.emit({ n: 2 }, 'orders')
    $send.emit({ n: 3 }, { name: 'orders' })
  })
  await run(engine, 'p_2', ($send) => $send.emit({ n: 4 }))
  await Promise.all([all.until(4), plain.until(1), orders.until(2)])
  assert.deepEqual(all.names(), [
    ['p_1', '', { n: 1 }],
    ['p_1', 'orders', { n: 2 }],
    ['p_1', 'orders', { n: 3 }],
    ['p_2', '', { n: 4 }],
  ])
  assert.deepEqual([plain.names().length, orders.names().length], [1, 2])
  assert.deepEqual(
    log.map(({ status, response }) => [status, /** @type {any} */ (response).listeners]),
    [
      ['delivered', 2],
      ['delivered', 2],
      ['delivered', 2],
    ],
  )
  assert.deepEqual([all.events[0].emitId, all.events[0].depth], [log[0].id, 0])
})

test('a subscription ends when it is told to, and a listener that throws disturbs nobody', async (t) => {
  const engine = await openEngine(t)
  /** @type {string[]} */
  const thrown = []
  const catching = (/** @type {Error} */ error) => thrown.push(error.message)
  const others = process.listeners('uncaughtException')
  process.removeAllListeners('uncaughtException')
  process.on('uncaughtException', catching)
  t.after(() => {
    process.off('uncaughtException', catching)
    for (const other of others) process.on('uncaughtException', other)
  })
  engine.subscribe({ emitterId: 'p_1' }, () => {
    throw new Error('mine')
  })
  const ended = heard(engine, { emitterId: 'p_1' })
  const good = heard(engine, { emitterId: 'p_1' })
  ended.end()
  ended.end()
  await run(engine, 'p_1', ($send) => $send.emit({ n: 1 }))
  await run(engine, 'p_1', ($send) => $send.emit({ n: 2 }))
  await good.until(2)
  await new Promise((resolve) => setImmediate(resolve))
  assert.deepEqual([good.events.length, ended.events.length], [2, 0])
  assert.deepEqual(thrown, ['mine', 'mine'])
})

test('subscribe() refuses what cannot be meant', async (t) => {
  const engine = /** @type {any} */ (await openEngine(t))
  for (const [wanted, pattern] of [
    [undefined, /the first argument must be/],
    [{}, /either emitterId or listenerId/],
    [{ emitterId: 'a', listenerId: 'b' }, /either emitterId or listenerId/],
    [{ emitterId: 5 }, /emitterId must be a text/],
    [{ listenerId: 'a', eventName: 'b' }, /have their eventName/],
    [{ emitter: 'a' }, /unknown member emitter/],
  ]) {
    const refusal = { code: 'ERR_SEND_INVALID_ARGUMENT', message: pattern }
    assert.throws(() => engine.subscribe(wanted, () => {}), refusal)
  }
  assert.throws(() => engine.subscribe({ emitterId: 'a' }), /the listener must be a function/)
})

test('$errors tells of executions that were completed with an error', async (t) => {
  const { engine, ask } = await serve(t)
  const errors = heard(engine, { emitterId: '*', eventName: '$errors' })
  const everything = heard(engine, { emitterId: '*', eventName: '*' })
  const execution = engine.execution({ workflowId: 'p_1', attempt: 2 })
  await execution.complete({ error: new Error('the step broke') })
  await run(engine, 'p_1', ($send) => $send.emit({ fine: true }))
  await Promise.all([errors.until(1), everything.until(1)])
  const [{ event }] = errors.events
  assert.equal(event.error.message, 'the step broke')
  assert.deepEqual(
    [event.original_context.id, event.original_context.workflow_id, event.original_context.attempt],
    [execution.executionId, 'p_1', 2],
  )
  assert.deepEqual(everything.names(), [['p_1', '', { fine: true }]])
  const { body } = await ask('/v1/workflows/p_1/$errors/event_summaries?expand=event')
  assert.deepEqual(
    body.data.map((/** @type {any} */ row) => [row.metadata.name, row.event]),
    [['$errors', event]],
  )
  const [refused] = await run(engine, 'p_1', ($send) => $send.emit({ a: 1 }, '$errors'))
  assert.match(refused.error?.message ?? '', /begin with `\$` are reserved/)
})

test('a loop of emits is cut, and the log says why', async (t) => {
  const engine = await openEngine(t)
  const cut = nextEvent(engine, 'delivery', ({ status }) => status === 'failed')
  let runs = 0
  engine.subscribe({ emitterId: 'p_loop' }, async ({ event }) => {
    runs++
    // What begins later still belongs to its cause.
    await new Promise((resolve) => setImmediate(resolve))
    await run(engine, 'p_loop', ($send) => $send.emit({ n: event.n + 1 }))
  })
  await run(engine, 'p_loop', ($send) => $send.emit({ n: 0 }))
  const { error } = await cut
  assert.equal(error?.code, 'ERR_SEND_EMIT_LOOP') // reaches ERR_SEND_EMIT_LOOP
  assert.match(error?.message ?? '', /17th in a row.*workflow p_loop listens to itself/)
  assert.equal(runs, 16)
})

test('emitDepth can be carried by hand', async (t) => {
  const engine = await openEngine(t)
  const execution = engine.execution({ workflowId: 'p', emitDepth: 16 })
  execution.step('s').$send.emit({ a: 1 })
  const [{ error }] = await finish(execution)
  assert.equal(error?.code, 'ERR_SEND_EMIT_LOOP')
  for (const emitDepth of [-1, 1.5, '3']) {
    assert.throws(() => engine.execution(/** @type {any} */ ({ workflowId: 'p', emitDepth })), {
      code: 'ERR_SEND_INVALID_ARGUMENT',
    })
  }
})

test('a webhook gets the events that it is subscribed to, signed, and the log has its deliveries', async (t) => {
  const hook = await receiver(t)
  const { engine, ask, post } = await serve(t)
  const made = await post('/v1/webhooks', { url: hook.url, name: 'mine', secret: 'generate' })
  assert.equal(made.status, 200)
  const { id, secret, signed } = made.body.data
  assert.match(id, /^wh_/)
  assert.ok(signed)
  const subscribed = await post(`/v1/subscriptions?emitter_id=p_*&listener_id=${id}`)
  assert.match(subscribed.body.data.id, /^sub_/)
  const [emitted] = await run(engine, 'p_1', ($send) => $send.emit({ name: 'Léa', n: 1 }))
  assert.deepEqual(/** @type {any} */ (emitted.response).webhooks, [id])
  await engine.flush(PATIENT)
  const [request] = hook.requests
  assert.deepEqual([request.method, request.text], ['POST', '{"name":"Léa","n":1}'])
  const { headers } = request
  assert.equal(headers['x-emitter-id'], 'p_1')
  assert.equal(headers['webhook-id'], `msg_${emitted.id.replaceAll('-', '')}`)
  const message = `${headers['webhook-id']}.${headers['webhook-timestamp']}.${request.text}`
  const key = Buffer.from(secret.replace('whsec_', ''), 'base64')
  const expected = createHmac('sha256', key).update(message).digest('base64')
  assert.equal(headers['webhook-signature'], `v1,${expected}`)
  assert.ok(Math.abs(Number(headers['webhook-timestamp']) - Date.now() / 1000) < 60)
  const [delivery] = await engine.deliveries({ workflowId: id })
  assert.deepEqual([delivery.destination, delivery.status], ['http', 'delivered'])
  assert.ok(!JSON.stringify(await engine.deliveries()).includes(secret))
  const { body } = await ask('/v1/users/me/webhooks')
  assert.deepEqual([body.data[0].url, body.data[0].secret], [hook.url, undefined])
})

test('a webhook is guarded and retried as every other delivery', async (t) => {
  let status = 500
  const hook = await receiver(t, (_request, response) => {
    response.statusCode = status
    status = 200
    response.end()
  })
  const { engine, post } = await serve(t, {}, { http: { retry: { scheduleMs: [1] } } })
  const webhook = async (/** @type {string} */ url) =>
    (await post('/v1/webhooks', { url })).body.data.id
  const [good, bad] = [await webhook(hook.url), await webhook('http://169.254.169.254/latest')]
  for (const id of [good, bad])
    await post('/v1/subscriptions', { emitter_id: 'p_1', listener_id: id })
  await run(engine, 'p_1', ($send) => $send.emit({ a: 1 }))
  await engine.flush(PATIENT)
  const [delivered] = await engine.deliveries({ workflowId: good })
  assert.deepEqual([delivered.status, delivered.attempts], ['delivered', 2])
  assert.equal(hook.requests[0].headers['webhook-id'], hook.requests[1].headers['webhook-id'])
  const [denied] = await engine.deliveries({ workflowId: bad })
  assert.deepEqual([denied.status, denied.error?.code], ['failed', 'ERR_SEND_EGRESS_DENIED'])
})

test('a webhook cannot be used against the engine that has it', async (t) => {
  const { engine, url, post } = await serve(t)
  const { body } = await post('/v1/webhooks', { url: `${url}/v1/webhooks?url=http://x` })
  await post('/v1/subscriptions', { emitter_id: '*', listener_id: body.data.id })
  await run(engine, 'p_1', ($send) => $send.emit({ a: 1 }))
  await engine.flush(PATIENT)
  const [{ error }] = await engine.deliveries({ workflowId: body.data.id })
  assert.equal(error?.code, 'ERR_SEND_EGRESS_DENIED')
  assert.match(error?.message ?? '', /this engine's own server/)
})

test('subscriptions and webhooks are listed, deleted, and gone together', async (t) => {
  const hook = await receiver(t)
  const { engine, ask, post } = await serve(t)
  const { id } = (await post(`/v1/webhooks?url=${encodeURIComponent(hook.url)}`)).body.data
  const subscribe = (/** @type {string} */ emitter) =>
    post('/v1/subscriptions', { emitter_id: emitter, listener_id: id, event_name: 'x' })
  const [one, same] = [await subscribe('p_1'), await subscribe('p_1')]
  assert.equal(one.body.data.id, same.body.data.id)
  await subscribe('p_2')
  const remove = (/** @type {string} */ path) => ask(path, { method: 'DELETE' })
  const query = `emitter_id=p_1&listener_id=${id}&event_name=x`
  assert.equal((await remove(`/v1/subscriptions?${query}`)).status, 204)
  assert.equal((await remove(`/v1/subscriptions?${query}`)).status, 404)
  const left = (await ask('/v1/users/me/subscriptions')).body.data
  assert.deepEqual(
    left.map((/** @type {any} */ row) => [row.emitter_id, row.listener_id, row.event_name]),
    [['p_2', id, 'x']],
  )
  assert.equal((await remove(`/v1/webhooks/${id}`)).status, 204)
  assert.equal((await remove(`/v1/webhooks/${id}`)).status, 404)
  assert.deepEqual((await ask('/v1/users/me/subscriptions')).body.data, [])
  await run(engine, 'p_2', ($send) => $send.emit({ a: 1 }, 'x'))
  await engine.flush(PATIENT)
  assert.equal(hook.requests.length, 0)
})

test('a subscription made by REST can lead to a listener of the process', async (t) => {
  const { engine, post } = await serve(t)
  await post('/v1/subscriptions?emitter_id=p_1&listener_id=p_2')
  const listener = heard(engine, { listenerId: 'p_2' })
  await run(engine, 'p_3', ($send) => $send.emit({ n: 3 }))
  await run(engine, 'p_1', ($send) => $send.emit({ n: 1 }))
  await listener.until(1)
  assert.deepEqual(listener.names(), [['p_1', '', { n: 1 }]])
})

test('registrations and events survive a restart, and no secret is readable in the files', async (t) => {
  const hook = await receiver(t)
  const dataDir = dataDirectory(t)
  const options = { dataDir, egress: LOCAL, server: { port: 0 } }
  const first = await Engine.open(options)
  const { post } = client(/** @type {any} */ (first.address()).url)
  const { id, secret } = (await post('/v1/webhooks', { url: hook.url, secret: 'generate' })).body
    .data
  await post('/v1/subscriptions', { emitter_id: 'p_*', listener_id: id })
  await run(first, 'p_1', ($send) => $send.emit({ n: 1 }))
  await first.close()
  const { bytesIn } = await import('../support/data-dir.mjs')
  assert.ok(!bytesIn(dataDir).includes(secret))
  const { engine, ask } = await serve(t, {}, { dataDir })
  await run(engine, 'p_1', ($send) => $send.emit({ n: 2 }))
  await engine.flush(PATIENT)
  assert.deepEqual(
    hook.requests.map(({ text }) => text),
    ['{"n":1}', '{"n":2}'],
  )
  assert.ok(hook.requests[1].headers['webhook-signature'])
  const { body } = await ask('/v1/workflows/p_1/event_summaries')
  assert.deepEqual(
    body.data.map((/** @type {any} */ row) => row.event),
    [{ n: 2 }, { n: 1 }],
  )
})

test('the trace of an execution goes with its requests, and with its webhooks', async (t) => {
  const server = await receiver(t)
  const { engine, post } = await serve(t)
  const { id } = (await post('/v1/webhooks', { url: server.url })).body.data
  await post('/v1/subscriptions', { emitter_id: '*', listener_id: id })
  const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'
  const own = '00-11111111111111111111111111111111-2222222222222222-00'
  const execution = engine.execution({ workflowId: 'p', traceparent, tracestate: 'a=b' })
  const { $send } = execution.step('s')
  $send.http({ method: 'POST', url: server.url + '/plain', data: {} })
  $send.http({ method: 'POST', url: server.url + '/own', data: {}, headers: { traceparent: own } })
  $send.emit({ a: 1 })
  await finish(execution)
  await engine.flush(PATIENT)
  const traces = Object.fromEntries(
    server.requests.map(({ path, headers }) => [path, [headers.traceparent, headers.tracestate]]),
  )
  assert.deepEqual(traces, {
    '/hook/plain': [traceparent, 'a=b'],
    '/hook/own': [own, undefined],
    '/hook': [traceparent, 'a=b'],
  })
})

test('what is no trace context is ignored, and what is no text refused', async (t) => {
  const server = await receiver(t)
  const { engine } = await openStep(t)
  const zeros = '00-00000000000000000000000000000000-b7ad6b7169203331-01'
  for (const traceparent of [
    '',
    'x',
    zeros,
    `ff${zeros.slice(2)}`,
    'a'.repeat(10_000),
    '00\r\nx: y',
  ]) {
    const execution = engine.execution({ workflowId: 'p', traceparent })
    execution.step('s').$send.http({ method: 'POST', url: server.url, data: {} })
    await finish(execution)
  }
  assert.ok(server.requests.every(({ headers }) => headers.traceparent === undefined))
  assert.equal(server.requests.length, 6)
  const wrong = /** @type {any} */ ({ workflowId: 'p', traceparent: 5 })
  assert.throws(() => engine.execution(wrong), { code: 'ERR_SEND_INVALID_ARGUMENT' })
})
