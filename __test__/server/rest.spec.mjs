// The REST API of the server: lists, cursors and metrics.

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { dataDirectory } from '../support/data-dir.mjs'
import { record } from '../support/engine.mjs'
import { until } from '../support/dead-letters.mjs'
import { PATIENT } from '../support/patience.mjs'
import { receiver } from '../support/receiver.mjs'
import { run, serve } from '../support/serving.mjs'

test('event summaries come in pages, and larger events in part', async (t) => {
  const { engine, ask } = await serve(t)
  const large = { text: 'é'.repeat(600) }
  await run(engine, 'p_1', ($send) => {
    for (let n = 1; n <= 120; n++) $send.emit({ n })
    $send.emit(large)
  })
  const get = async (/** @type {string} */ query) =>
    (await ask(`/v1/workflows/p_1/event_summaries?${query}`)).body
  const first = await get('')
  assert.deepEqual([first.page_info.total_count, first.page_info.count], [100, 10])
  assert.ok(first.data[0].truncated)
  assert.ok(Buffer.byteLength(first.data[0].event) <= 1024)
  assert.ok(JSON.stringify(large).startsWith(first.data[0].event))
  assert.deepEqual((await get('expand=event&limit=1')).data[0].event, large)
  const { id, indexed_at_ms: at } = first.data[0]
  assert.deepEqual([id.split('-')[0], first.page_info.start_cursor], [String(at), id])

  /** @type {number[]} */
  const seen = []
  let after = first.page_info.start_cursor
  for (;;) {
    const page = await get(`limit=40&after=${after}`)
    if (page.data.length === 0) break
    seen.push(...page.data.map((/** @type {any} */ { event }) => event.n))
    after = page.page_info.end_cursor
  }
  assert.deepEqual(
    seen,
    Array.from({ length: 99 }, (_, index) => 120 - index),
  )
  const before = await get(`limit=2&before=${first.data[5].id}`)
  assert.deepEqual(
    before.data.map((/** @type {any} */ row) => row.id),
    [first.data[3].id, first.data[4].id],
  )
  assert.deepEqual((await get('limit=1&after=1-0')).page_info, {
    total_count: 100,
    total_above: null,
    count: 0,
    start_cursor: null,
    end_cursor: null,
  })
})

for (const durable of [false, true]) {
  test(`executions and deliveries are listed and replayed, ${durable ? 'on disk' : 'in memory'}`, async (t) => {
    let status = 500
    const server = await receiver(t, (_request, response) => {
      response.statusCode = status
      response.end()
    })
    const { engine, ask, post } = await serve(t, {}, durable ? { dataDir: dataDirectory(t) } : {})
    const executions = []
    for (let n = 0; n < 5; n++) {
      const execution = record(engine, [{ url: server.url }, { url: server.url }], `p_${n % 2}`)
      await execution.complete()
      await execution.settled()
      executions.unshift(execution.executionId)
    }
    const open = engine.execution({ workflowId: 'p_open' })
    open.step('s').$send.email({ subject: 'x' })
    executions.unshift(open.executionId)

    const ids = []
    let after = ''
    for (;;) {
      const { body } = await ask(`/v1/executions?limit=2${after}`)
      assert.equal(body.page_info.total_count, 6)
      if (body.page_info.count === 0) break
      ids.push(...body.data.map((/** @type {any} */ row) => row.executionId))
      after = `&after=${body.page_info.end_cursor}`
    }
    assert.deepEqual(ids, executions)
    const ofOne = (await ask('/v1/executions?workflow_id=p_1')).body
    assert.deepEqual([ofOne.page_info.total_count, ofOne.data[0].failed], [2, 2])

    const all = (await ask('/v1/deliveries?limit=100')).body
    assert.deepEqual([all.page_info.total_count, all.data.length], [11, 11])
    const some = (await ask(`/v1/deliveries?status=failed&limit=3&after=${all.data[4].id}`)).body
    assert.deepEqual([some.page_info.total_count, some.page_info.count], [10, 3])
    assert.equal(some.data[0].id, all.data[5].id)
    const recorded = (await ask('/v1/deliveries?status=recorded')).body
    assert.deepEqual([recorded.page_info.total_count, recorded.data[0].status], [1, 'recorded'])

    const [{ id, executionId }] = some.data
    const { data } = (await ask(`/v1/executions/${executionId}`)).body
    assert.deepEqual([data.execution.executionId, data.deliveries.length], [executionId, 2])
    status = 200
    const replayed = await post(`/v1/deliveries/${id}/replay`)
    assert.deepEqual([replayed.status, replayed.body.data.replayOf], [200, id])
    open.discard()
    await engine.flush(PATIENT)
    const again = (await ask(`/v1/executions/${executionId}`)).body.data.deliveries
    assert.deepEqual(
      [again[0].id, again[0].status, again[0].replayOf],
      [replayed.body.data.id, 'delivered', id],
    )
    assert.equal((await post(`/v1/deliveries/${again[0].id}/replay`)).status, 404)
  })
}

/**
 * Makes 14 attempts of four runs, of which the last two stay open. Returns their names, newest first.
 *
 * @param {import('node:test').TestContext} t
 * @param {import('../../index.d.ts').Engine} engine
 */
async function fourteenAttempts(t, engine) {
  /** @type {string[]} */
  const made = []
  for (let n = 0; n < 14; n++) {
    const [executionId, attempt] = [`run-${n % 4}`, Math.floor(n / 4) + 1]
    const run = engine.execution({ workflowId: `p_${n % 2}`, executionId, attempt })
    run.step('s').$send.emit({ executionId, attempt })
    made.unshift(`${executionId}#${attempt}`)
    if (n < 12) await run.complete()
    else t.after(() => run.discard())
  }
  await engine.flush(PATIENT)
  return made
}

for (const durable of [false, true]) {
  test(`attempts that share an id are told apart, ${durable ? 'on disk' : 'in memory'}`, async (t) => {
    const dataDir = durable ? dataDirectory(t) : undefined
    const first = await serve(t, {}, { dataDir })
    const made = await fourteenAttempts(t, first.engine)
    const name = (/** @type {any} */ row) => `${row.executionId}#${row.attempt}`

    const listed = []
    for (let after = ''; ;) {
      const { body } = await first.ask(`/v1/executions?limit=3${after}`)
      assert.equal(body.page_info.total_count, made.length)
      if (body.data.length === 0) break
      assert.equal(body.page_info.end_cursor, body.data.at(-1).cursor)
      listed.push(...body.data)
      after = `&after=${body.page_info.end_cursor}`
    }
    assert.deepEqual(listed.map(name), made)
    assert.equal(new Set(listed.map(({ cursor }) => cursor)).size, made.length)

    /** @type {import('../../index.d.ts').ExecutionSummary[]} */
    const inProcess = []
    for (;;) {
      const before = inProcess.at(-1)?.cursor
      const page = await first.engine.executions({ workflowId: 'p_1', limit: 2, before })
      if (page.length === 0) break
      inProcess.push(...page)
    }
    const ofOne = listed.filter(({ workflowId }) => workflowId === 'p_1')
    assert.deepEqual(inProcess, ofOne)

    // An id stands for its newest attempt.
    const older = await first.engine.executions({ before: 'run-3' })
    assert.deepEqual(older.map(name), made.slice(made.indexOf('run-3#3') + 1))

    const one = (/** @type {string} */ path) => first.ask(`/v1/executions/${path}`)
    for (const [path, attempt] of /** @type {const} */ ([
      ['run-2', 3],
      ['run-2?attempt=3', 3],
      ['run-2?attempt=1', 1],
    ])) {
      const { execution, deliveries, attempts } = (await one(path)).body.data
      assert.deepEqual([execution.executionId, execution.attempt], ['run-2', attempt])
      assert.deepEqual(
        deliveries.map((/** @type {any} */ { request }) => request.event),
        [{ executionId: 'run-2', attempt }],
      )
      assert.deepEqual(attempts.map(name), ['run-2#3', 'run-2#2', 'run-2#1'])
    }
    const open = (await one('run-1')).body.data
    assert.deepEqual([open.execution.attempt, open.deliveries[0].status], [4, 'recorded'])
    const missing = await one('run-2?attempt=9')
    assert.deepEqual([missing.status, /no attempt 9/.test(missing.body.error)], [404, true])
    assert.equal((await one('run-2?attempt=x')).status, 400)

    if (!durable) return
    await first.engine.close()
    const { engine } = await serve(t, {}, { dataDir })
    const { cursor } = listed[5]
    const rest = await engine.executions({ before: cursor })
    assert.deepEqual(rest.map(name), made.slice(6))
  })
}

test('nothing comes after an execution that the log does not have', async (t) => {
  const { engine, ask } = await serve(t)
  const { executionId } = engine.execution({ workflowId: 'p' })
  for (const before of ['none', '', 'exc_1', `${executionId}x`, executionId]) {
    assert.deepEqual(await engine.executions({ before }), [])
    const { status, body } = await ask(`/v1/executions?after=${before}`)
    assert.deepEqual([status, body.page_info.count], [200, 0])
  }
  await assert.rejects(engine.deliveries({ before: 'none' }), { code: 'ERR_SEND_INVALID_ARGUMENT' })
})

test('what steps record is shown as they said it, however odd', async (t) => {
  const { engine, ask } = await serve(t)
  let nested = {}
  for (let level = 0; level < 300; level++) nested = { nested }
  const log = await run(engine, 'p_odd', ($send) => {
    $send.emit({ lone: '\ud800' })
    $send.sse({ channel: 'c', payload: nested })
  })
  const { executionId } = log[0]
  const one = await ask(`/v1/executions/${executionId}`)
  assert.equal(one.status, 200)
  assert.equal(one.body.data.execution.executionId, executionId)
  const requests = one.body.data.deliveries.map((/** @type {any} */ { request }) => request)
  assert.deepEqual(requests, [{ channel: 'c', payload: nested }, { event: { lone: '\ud800' } }])
  const { page_info: page, data } = (await ask('/v1/deliveries')).body
  assert.deepEqual([data.length, page.end_cursor], [2, log[0].id])
  const { body } = await ask('/v1/workflows/p_odd/event_summaries')
  assert.deepEqual(body.data[0].event, { lone: '\ud800' })
})

for (const durable of [false, true]) {
  const place = durable ? 'with a data directory' : 'in memory'
  test(`long lists are counted up to 10,000, ${place}`, async (t) => {
    const { engine, ask } = await serve(t, {}, durable ? { dataDir: dataDirectory(t) } : {})
    const record = async (/** @type {number} */ count) => {
      await run(engine, `p_${count}`, ($send) => {
        for (let n = 0; n < count; n++) $send.emit({ n })
      })
      const { page_info: page, data } = (await ask('/v1/deliveries?limit=2')).body
      assert.deepEqual([page.count, page.end_cursor], [2, data[1].id])
      return [page.total_count, page.total_above]
    }
    assert.deepEqual(await record(9999), [9999, null])
    assert.deepEqual(await record(1), [10_000, null])
    assert.deepEqual(await record(2), [null, 10_000])
    const { body } = await ask('/v1/deliveries?workflow_id=p_9999&status=delivered&limit=1')
    assert.equal(body.page_info.total_count, 9999)
    const executions = (await ask('/v1/executions')).body.page_info
    assert.deepEqual([executions.total_count, executions.total_above], [3, null])
  })
}

test('a delivery in an open batch says when it is sent, and is read by its id', async (t) => {
  const batch = { intervalMs: 3_600_000, idleMs: 600_000 }
  const { engine, ask } = await serve(t, {}, { s3: { file: dataDirectory(t), batch } })
  const execution = engine.execution({ workflowId: 'p_batch' })
  execution.step('s').$send.s3({ bucket: 'b', payload: { n: 1 } })
  const before = Date.now()
  await execution.complete()
  const one = await until(async () => {
    const { body } = await ask('/v1/deliveries?status=batched')
    return body.data[0]?.dueAt && body.data[0]
  })
  const due = Date.parse(one.dueAt) - batch.idleMs
  assert.ok(due >= before && due <= Date.now(), one.dueAt)
  assert.deepEqual((await ask(`/v1/deliveries/${one.id}`)).body, { data: one })
  await engine.flush()
  const { body } = await ask(`/v1/deliveries/${one.id}`)
  assert.deepEqual([body.data.status, body.data.dueAt], ['delivered', undefined])
  const other = one.id.replace(/^./, one.id.startsWith('0') ? '1' : '0')
  for (const [path, status] of [
    [other, 404],
    ['x', 400],
    [`${one.id}?limit=1`, 400],
  ]) {
    assert.equal((await ask(`/v1/deliveries/${path}`)).status, status)
  }
})

test('lists of webhooks and subscriptions come in pages', async (t) => {
  const { ask, post } = await serve(t)
  const made = []
  for (let n = 0; n < 5; n++) {
    made.push((await post('/v1/webhooks', { url: `http://x/${n}` })).body.data.id)
    await post('/v1/subscriptions', { emitter_id: `p_${n}`, listener_id: made[n] })
  }
  for (const [path, member] of /** @type {const} */ ([
    ['webhooks', 'id'],
    ['subscriptions', 'listener_id'],
  ])) {
    const whole = (await ask(`/v1/users/me/${path}`)).body
    assert.deepEqual(
      [whole.page_info.total_count, whole.data.map((/** @type {any} */ row) => row[member])],
      [5, made],
    )
    const rows = []
    for (let after = ''; ;) {
      const { body } = await ask(`/v1/users/me/${path}?limit=2${after}`)
      if (body.data.length === 0) break
      rows.push(...body.data)
      after = `&after=${body.page_info.end_cursor}`
    }
    assert.deepEqual(rows, whole.data)
    for (const cursor of ['', 'x', 'wh_', made[0].toUpperCase(), 'sub_', `${made[0]}0`]) {
      assert.equal((await ask(`/v1/users/me/${path}?after=${cursor}`)).status, 400)
    }
  }
})

test('ids with slashes and dots are only names', async (t) => {
  const { engine, ask } = await serve(t)
  for (const workflowId of ['a/b', '../../etc/passwd', '..', '%2e', 'ä ö?#', '$errors']) {
    await run(engine, workflowId, ($send) => $send.emit({ of: workflowId }))
    const { status, body } = await ask(
      `/v1/workflows/${workflowId.replace(/[^a-z]/g, (c) =>
        [...Buffer.from(c)].map((byte) => `%${byte.toString(16).padStart(2, '0')}`).join(''),
      )}/event_summaries`,
    )
    // A URL of nothing but dots is gone before it is sent.
    if (workflowId === '..') continue
    assert.deepEqual([status, body.data[0]?.event], [200, { of: workflowId }], workflowId)
  }
})

test('metrics are what Prometheus reads', async (t) => {
  const server = await receiver(t)
  const { engine, ask } = await serve(t)
  await (async () => {
    const execution = record(engine, [{ url: server.url }, { url: 'http://10.0.0.1/"\\\n' }])
    await execution.complete()
    await execution.settled()
  })()
  const { text, headers } = await ask('/metrics')
  assert.match(headers.get('content-type') ?? '', /^application\/openmetrics-text; version=1\.0\.0/)
  assert.match(text, /^dollar_send_deliveries_delivered_total 1$/m)
  assert.match(text, /^dollar_send_deliveries_failed_total 1$/m)
  assert.match(text, /^dollar_send_sse_clients 0$/m)
  assert.match(text, /^dollar_send_dead_letters 1$/m)
  assert.match(text, /^dollar_send_calls_waiting 0$/m)
  assert.match(text, /^dollar_send_oldest_waiting_seconds 0/m)
  assert.ok(text.endsWith('# EOF\n'))
  for (const line of text.trim().split('\n')) {
    assert.match(
      line,
      /^(# (HELP|TYPE|UNIT) dollar_send_\w+ .*|# EOF|dollar_send_\w+(\{.*\})? \S+)$/,
    )
  }
})
