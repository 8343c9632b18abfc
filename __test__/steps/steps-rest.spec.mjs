import assert from 'node:assert/strict'
import { test } from 'node:test'

import { runStep, runWorkflow } from '../../js/index.mjs'
import { run, serve } from '../support/serving.mjs'

/* global $send */

test('event_summaries: an event of a v1 step is in raw_event, and listeners get it as it is', async (t) => {
  const { engine, ask } = await serve(t)
  const heard = []
  engine.subscribe({ emitterId: 'p_1', eventName: '*' }, ({ event }) => heard.push(event))
  await run(engine, 'p_1', ($send) => {
    $send.emit({ raw_event: { name: 'Luke Skywalker' } })
    $send.emit({ name: 'Leia' }, 'channel')
    $send.emit({ raw_event: { text: 'x'.repeat(2000) } })
  })
  const whole = await ask('/v1/workflows/p_1/event_summaries?expand=event')
  assert.deepEqual(whole.body.data.map(({ event }) => event).reverse(), [
    { raw_event: { name: 'Luke Skywalker' } },
    { name: 'Leia' },
    { raw_event: { text: 'x'.repeat(2000) } },
  ])
  const cut = await ask('/v1/workflows/p_1/event_summaries?limit=1')
  const [{ event, truncated }] = cut.body.data
  assert.ok(truncated)
  assert.ok(event.startsWith('{"raw_event":{"text":"xxx'))
  assert.deepEqual(heard[0], { name: 'Luke Skywalker' })
})

test('$errors: has the event, the context and the error of the step that threw', async (t) => {
  const { engine, ask } = await serve(t)
  const boom = Object.assign(new TypeError('boom'), { code: 'E_BOOM' })
  const failing = () => {
    throw boom
  }
  const event = { a: 1, odd: '\ud800' }
  const outcome = await runWorkflow(
    engine,
    { id: 'p_1', steps: { fine: () => 1, failing }, context: { owner_id: 'o_1' } },
    event,
  )
  await runStep(engine, failing, { workflowId: 'p_1', stepName: 'alone' }).catch(() => {})
  await engine.flush()
  const { body } = await ask('/v1/workflows/p_1/$errors/event_summaries?expand=event')
  const [second, first] = body.data.map((/** @type {any} */ row) => row.event)
  assert.equal(first.original_event.a, 1)
  const { id, owner_id: owner, workflow_id: workflow, attempt } = first.original_context
  assert.deepEqual([id, owner, workflow, attempt], [outcome.executionId, 'o_1', 'p_1', 1])
  const { msg, message, code, stack, cellId, ts } = first.error
  assert.deepEqual([msg, message, code, cellId], ['boom', 'boom', 'E_BOOM', 'failing'])
  assert.equal(stack, boom.stack)
  assert.match(ts, /^\d{4}-/)
  assert.deepEqual([second.error.cellId, second.original_event], ['alone', {}])
})

test('$errors: of an execution without a step has the message, the code and the stack', async (t) => {
  const { engine, ask } = await serve(t)
  const cyclic = { self: {} }
  cyclic.self = cyclic
  const execution = engine.execution({ workflowId: 'p_1' })
  const result = await execution.run('cyclic', () => Promise.reject('a text'), { event: cyclic })
  await execution.complete({ error: result.error })
  await engine.execution({ workflowId: 'p_1' }).complete({ error: new RangeError('r') })
  await engine.flush()
  const { body } = await ask('/v1/workflows/p_1/$errors/event_summaries?expand=event')
  const [second, first] = body.data.map((/** @type {any} */ row) => row.event)
  assert.deepEqual([first.error.msg, first.error.cellId], ['a text', 'cyclic'])
  assert.equal('original_event' in first, false)
  assert.deepEqual([second.error.msg, second.error.cellId], ['r', null])
  assert.match(second.error.stack, /^RangeError: r\n/)
})

test('auto_subscriptions: subscribes a listener to all workflows', async (t) => {
  const { engine, ask } = await serve(t)
  const path = '/v1/auto_subscriptions?listener_id=everything&event_name=orders'
  const { status, body } = await ask(path, { method: 'POST' })
  assert.equal(status, 200)
  const { emitter_id: emitter, listener_id: listener, event_name: name } = body.data
  assert.deepEqual([emitter, listener, name], ['*', 'everything', 'orders'])
  const heard = new Promise((resolve) => {
    // Listeners keep no process alive; a test that waits for one has to.
    const alive = setInterval(() => {}, 2 ** 30)
    engine.subscribe({ listenerId: 'everything' }, (event) => {
      clearInterval(alive)
      resolve(event)
    })
  })
  await runStep(engine, () => $send.emit({ n: 1 }, 'orders'), { workflowId: 'p_any' })
  assert.deepEqual((await heard).event, { n: 1 })
  const missing = await ask('/v1/auto_subscriptions', { method: 'POST' })
  assert.equal(missing.status, 400)
})

for (const [path, sentence] of [
  ['/v1/users/me', /no user accounts/],
  ['/v1/sources/dc_abc123', /no event sources: workflows emit events/],
  ['/v1/sources/dc_abc123/event_summaries', /no event sources/],
]) {
  test(`${path}: is not found, with a sentence`, async (t) => {
    const { ask } = await serve(t)
    const { status, body } = await ask(path)
    assert.equal(status, 404)
    assert.match(JSON.stringify(body), sentence)
  })
}
