// What `engine.deliveries()` and `engine.executions()` answer, and what the log forgets.

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { finish, openEngine, openStep } from '../support/engine.mjs'
import { PATIENT } from '../support/patience.mjs'
import { receiver } from '../support/receiver.mjs'

const UUID_V7 = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/

test('deliveries() filters by every member', async (t) => {
  const server = await receiver(t)
  const engine = await openEngine(t)
  const ids = []
  for (const workflowId of ['p_1', 'p_2']) {
    const execution = engine.execution({ workflowId, executionId: `e_${workflowId}` })
    for (const step of ['a', 'b']) {
      const { $send } = execution.step(step)
      $send.http({ method: 'GET', url: server.url })
      $send.sql({ table: 't', payload: {} })
    }
    ids.push(...(await finish(execution)).map(({ id }) => id))
  }
  const open = engine.execution({ workflowId: 'p_1' })
  open.step('a').$send.email({})
  const count = async (filter) => (await engine.deliveries(filter)).length
  assert.equal(await count(), 9)
  assert.equal(await count({}), 9)
  assert.equal(await count({ workflowId: 'p_1' }), 5)
  assert.equal(await count({ executionId: 'e_p_2' }), 4)
  assert.equal(await count({ step: 'a' }), 5)
  assert.equal(await count({ destination: 'sql' }), 4)
  assert.equal(await count({ status: 'delivered' }), 4)
  assert.equal(await count({ status: 'recorded' }), 1)
  assert.equal(await count({ workflowId: 'p_2', step: 'b', destination: 'http' }), 1)
  assert.equal(await count({ workflowId: 'nobody' }), 0)
  assert.equal(await count({ limit: 3 }), 3)
  assert.equal(await count({ limit: 0 }), 0)
  const newest = await engine.deliveries({ limit: 2 })
  assert.deepEqual([newest[0].status, newest[1].id], ['recorded', ids.at(-1)])
  open.discard()
})

test('deliveries() turns pages by before, newest first', async (t) => {
  const { $send, execution, engine } = await openStep(t)
  for (let call = 0; call < 250; call++) $send.email({ subject: `${call}` })
  const log = await finish(execution)
  assert.equal((await engine.deliveries()).length, 100)
  const seen = []
  let before
  for (let page = 0; page < 10; page++) {
    const rows = await engine.deliveries({ limit: 60, before })
    if (rows.length === 0) break
    seen.push(...rows.map(({ id }) => id))
    before = seen.at(-1)
  }
  assert.deepEqual(seen, log.map(({ id }) => id).reverse())
  await assert.rejects(engine.deliveries({ before: 'x' }), { code: 'ERR_SEND_INVALID_ARGUMENT' })
})

test('executions() shows the Dest. column, and turns pages', async (t) => {
  const server = await receiver(t, (request, response) => {
    response.statusCode = Number(request.path.slice(1))
    response.end()
  })
  const engine = await openEngine(t)
  for (let run = 0; run < 5; run++) {
    const execution = engine.execution({
      workflowId: 'p_dest',
      executionId: `e_${run}`,
      attempt: 2,
    })
    const { $send } = execution.step('s')
    $send.http({ method: 'GET', url: `${server.origin}/200` })
    $send.http({ method: 'GET', url: `${server.origin}/404` })
    await finish(execution)
  }
  engine.execution({ workflowId: 'p_other' }).step('s').$send.email({})
  const [row] = await engine.executions({ workflowId: 'p_dest', limit: 1 })
  const { startedAt, completedAt, cursor, ...rest } = row
  assert.ok(startedAt <= completedAt)
  assert.match(cursor, /^exc_/)
  assert.deepEqual(rest, {
    executionId: 'e_4',
    workflowId: 'p_dest',
    attempt: 2,
    status: 'completed',
    delivered: 1,
    failed: 1,
    discarded: 0,
    dismissed: 0,
    pending: 0,
    total: 2,
  })
  const page = async (before) =>
    (await engine.executions({ workflowId: 'p_dest', limit: 2, before })).map((e) => e.executionId)
  assert.deepEqual(await page(), ['e_4', 'e_3'])
  assert.deepEqual(await page('e_3'), ['e_2', 'e_1'])
  assert.deepEqual(await page('e_1'), ['e_0'])
  assert.deepEqual(await page('e_0'), [])
  assert.equal((await engine.executions()).length, 6)
})

test('a page that begins after a forgotten execution does not begin again', async (t) => {
  const engine = await openEngine(t)
  await engine.execution({ workflowId: 'p', executionId: 'e_1' }).complete()
  assert.deepEqual(await engine.executions({ before: 'e_forgotten' }), [])
})

test('the log keeps maxExecutionsPerWorkflow finished executions, and all that run', async (t) => {
  const engine = await openEngine(t, { log: { maxExecutionsPerWorkflow: 2 } })
  const running = engine.execution({ workflowId: 'p_1', executionId: 'running' })
  running.step('s').$send.email({})
  for (let run = 0; run < 5; run++) {
    for (const workflowId of ['p_1', 'p_2']) {
      const execution = engine.execution({ workflowId, executionId: `${workflowId}_${run}` })
      execution.step('s').$send.email({})
      await finish(execution)
    }
  }
  const known = (await engine.executions()).map(({ executionId }) => executionId)
  assert.deepEqual(known, ['p_2_4', 'p_1_4', 'p_2_3', 'p_1_3', 'running'])
  assert.equal((await engine.deliveries()).length, 5)
  running.discard()
})

test('ids are unique version 7 UUIDs in call order', async (t) => {
  const { $send, execution, engine } = await openStep(t)
  for (let call = 0; call < 10_000; call++) $send.sse({ channel: 'c', payload: {} })
  const ids = (await finish(execution)).map(({ id }) => id)
  assert.equal(new Set(ids).size, 10_000)
  assert.equal(
    ids.findIndex((id) => !UUID_V7.test(id)),
    -1,
  )
  const wrong = ids.findIndex((id, index) => index > 0 && id <= ids[index - 1])
  assert.equal(wrong, -1, `call ${wrong} sorts before the one that came before it`)
  const executions = Array.from(
    { length: 1000 },
    () => engine.execution({ workflowId: 'p' }).executionId,
  )
  assert.deepEqual([...executions].sort(), executions)
})

test('an id does not change between the call and the delivery', async (t) => {
  const { $send, execution, engine } = await openStep(t)
  for (let call = 0; call < 3; call++) $send.email({})
  const before = (await engine.deliveries()).map(({ id }) => id).reverse()
  assert.deepEqual(
    (await finish(execution)).map(({ id }) => id),
    before,
  )
})

test('pages of the log are the log, also when executions overlap', async (t) => {
  const { origin } = await receiver(t, (_, response) => response.end())
  const engine = await openEngine(t, { log: { maxExecutionsPerWorkflow: 100 } })
  const executions = Array.from({ length: 5 }, () => engine.execution({ workflowId: 'p_test' }))
  const steps = executions.map((execution) => execution.step('step'))
  for (let n = 0; n < 60; n++) steps[(n * 7) % 5].$send.http({ url: `${origin}/${n}` })
  for (const execution of [...executions].reverse()) await execution.complete()
  await engine.flush(PATIENT)
  const all = await engine.deliveries({ limit: 1000 })
  assert.equal(all.length, 60)
  const paged = []
  for (let before; ; before = paged.at(-1).id) {
    const page = await engine.deliveries({ limit: 4, ...(before && { before }) })
    if (page.length === 0) break
    paged.push(...page)
  }
  assert.deepEqual(
    paged.map(({ id }) => id),
    all.map(({ id }) => id),
  )
})
