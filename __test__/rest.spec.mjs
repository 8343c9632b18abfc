// The REST API of the server: lists, cursors, who may ask, and what it says to nonsense.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect } from 'node:net'
import { test } from 'node:test'

import { Engine } from '../js/index.mjs'
import { dataDirectory } from './support/data-dir.mjs'
import { LOCAL, record } from './support/engine.mjs'
import { PATIENT } from './support/patience.mjs'
import { receiver } from './support/receiver.mjs'
import { run, serve, TOKEN } from './support/serving.mjs'

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

for (const durable of [false, true]) {
  test(`attempts that share an id are told apart, ${durable ? 'on disk' : 'in memory'}`, async (t) => {
    const dataDir = durable ? dataDirectory(t) : undefined
    const first = await serve(t, {}, { dataDir })
    /** @type {string[]} */
    const made = []
    for (let n = 0; n < 14; n++) {
      const [executionId, attempt] = [`run-${n % 4}`, Math.floor(n / 4) + 1]
      const run = first.engine.execution({ workflowId: `p_${n % 2}`, executionId, attempt })
      run.step('s').$send.emit({ executionId, attempt })
      made.unshift(`${executionId}#${attempt}`)
      // The last ones stay open.
      if (n < 12) await run.complete()
      else t.after(() => run.discard())
    }
    await first.engine.flush(PATIENT)
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

    /** @type {import('../index.d.ts').ExecutionSummary[]} */
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

test('with tokens everything but health needs one', async (t) => {
  const { ask } = await serve(t, { tokens: ['another-token-for-tests', TOKEN] })
  const headers = { authorization: `Bearer ${TOKEN}` }
  const paths = ['/v1/executions', '/v1/deliveries', '/v1/users/me/subscriptions', '/metrics']
  for (const path of [...paths, '/v1/workflows/p/event_summaries', '/openapi.json', '/nothing']) {
    const refused = await ask(path)
    assert.deepEqual([refused.status, refused.headers.get('www-authenticate')], [401, 'Bearer'])
    assert.match(refused.body.error, /Authorization: Bearer/)
    assert.equal((await ask(path, { headers })).status, path === '/nothing' ? 404 : 200)
  }
  for (const path of ['/healthz', '/readyz']) assert.equal((await ask(path)).status, 200)
})

test('without tokens no other address is listened on, and no page of others may write', async (t) => {
  for (const host of ['0.0.0.0', '::', '192.0.2.1']) {
    await assert.rejects(Engine.open({ server: { host, port: 0 } }), {
      code: 'ERR_SEND_INVALID_OPTION',
      message: /server\.host: .* without tokens everybody may do everything/,
    })
  }
  const { url, port, post } = await serve(t)
  const evil = { origin: 'https://evil.example' }
  const page = await fetch(`${url}/v1/webhooks?url=http://x`, { method: 'POST', headers: evil })
  assert.equal(page.status, 403)
  const rebound = connect(port, '127.0.0.1')
  rebound.write('GET /v1/executions HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n')
  const [answer] = await once(rebound.setEncoding('utf8'), 'data')
  assert.match(answer, /^HTTP\/1\.1 403 [^]*evil\.example/)
  assert.equal((await post('/v1/webhooks?url=http://x')).status, 200)
})

test('options of the server are refused by their path', async () => {
  for (const [server, path] of /** @type {const} */ ([
    [{ port: 70_000 }, 'server.port'],
    [{ host: 'example.com' }, 'server.host'],
    [{ tokens: ['short'] }, 'server.tokens[0]'],
    [{ cors: ['example.com'] }, 'server.cors[0]'],
    [{ sse: { signingKey: 'x' } }, 'server.sse.signingKey'],
    [{ publicUrl: 'x' }, 'server.publicUrl'],
    [{ sse: { publik: [] } }, 'server.sse.publik'],
    [{ cors: ['*'] }, 'server.cors: "*" without server.tokens'],
    [{ keepAliveMs: 999 }, 'server.keepAliveMs'],
    [{ keepAliveMs: 3_600_001 }, 'server.keepAliveMs'],
  ])) {
    await assert.rejects(Engine.open(/** @type {any} */ ({ server })), (error) => {
      const { code, message } = /** @type {any} */ (error)
      assert.equal(code, 'ERR_SEND_INVALID_OPTION')
      assert.ok(message.startsWith(`Engine.open(): ${path}`), message)
      return true
    })
  }
})

test('an address in use is refused, and the data directory is free again', async (t) => {
  const { port } = await serve(t)
  const dataDir = dataDirectory(t)
  await assert.rejects(Engine.open({ dataDir, server: { port } }), {
    code: 'ERR_SEND_ADDRESS_IN_USE', // reaches ERR_SEND_ADDRESS_IN_USE
    message: new RegExp(
      `cannot listen on 127\\.0\\.0\\.1:${port}: .* choose another server\\.port`,
    ),
  })
  const engine = await Engine.open({ dataDir, egress: LOCAL })
  assert.equal(engine.address(), null)
  assert.throws(() => engine.streamUrl('p'), { code: 'ERR_SEND_NOT_CONFIGURED' })
  await engine.close()
})

test('nonsense gets a clear error', async (t) => {
  const { ask, post } = await serve(t)
  const long = 'x'.repeat(300)
  for (const [path, status, pattern] of /** @type {const} */ ([
    ['/v1/workflows/p/event_summaries?limit=0', 400, /limit: must be from 1 to 100/],
    ['/v1/workflows/p/event_summaries?limit=x', 400, /limit/],
    ['/v1/workflows/p/event_summaries?after=garbage', 400, /after: this is no cursor/],
    ['/v1/workflows/p/event_summaries?before=1-', 400, /before: this is no cursor/],
    ['/v1/workflows/p/event_summaries?expand=all', 400, /expand/],
    [`/v1/workflows/${long}/event_summaries`, 400, /workflow_id: must have 1 to 256/],
    ['/v1/deliveries?after=1', 400, /after/],
    ['/v1/deliveries?status=lost', 400, /lost/],
    ['/v1/executions?limit=101', 400, /limit/],
    ['/v1/executions/none', 404, /no such execution/],
    ['/v1/executions/%ff', 400, /UTF-8/],
    ['/v1/nothing', 404, /route not found/],
    ['/v1/webhooks', 405, /no such method/],
  ])) {
    const { status: got, body } = await ask(path)
    assert.equal(got, status, path)
    assert.match(body.error, pattern)
    assert.match(body.code, /^ERR_SEND_/)
  }
  for (const [path, body, pattern] of /** @type {const} */ ([
    ['/v1/webhooks', {}, /url: must be/],
    ['/v1/webhooks?url=ftp://x', undefined, /url: must be/],
    ['/v1/webhooks', { url: 'http://x', secret: 'whsec_x' }, /secret: must be/],
    ['/v1/webhooks', { url: 5 }, /invalid type/],
    ['/v1/subscriptions', { emitter_id: 'p_1' }, /listener_id: must not be empty/],
    ['/v1/subscriptions?emitter_id=a%00b&listener_id=p', undefined, /control characters/],
    ['/v1/subscriptions?emitter_id=p&listener_id=wh_none', undefined, /there is no webhook/],
    ['/v1/deliveries/none/replay', undefined, /id: is not the id/],
  ])) {
    const { status, body: answer } = await post(path, body)
    assert.equal(status, 400, path)
    assert.match(answer.error, pattern)
  }
  const json = { 'content-type': 'application/json' }
  const broken = await ask('/v1/webhooks', { method: 'POST', headers: json, body: '{"url":' })
  assert.deepEqual([broken.status, /no JSON object/.test(broken.body.error)], [400, true])
  const form = await ask('/v1/webhooks', { method: 'POST', body: 'url=http://x' })
  assert.equal(form.status, 415)
  const huge = await ask('/v1/webhooks', {
    method: 'POST',
    headers: json,
    body: ' '.repeat(70_000),
  })
  assert.equal(huge.status, 413)
})

test('unknown parameters and members are refused by name', async (t) => {
  const { ask, post } = await serve(t)
  for (const [path, message] of /** @type {const} */ ([
    ['/v1/executions?workflowId=p', 'parameter "workflowId". Did you mean workflow_id? Known: '],
    ['/v1/executions?limt=1&after=x', 'parameter "limt". Did you mean limit? Known: workflow_id,'],
    ['/v1/executions/x?atempt=1', 'parameter "atempt". Did you mean attempt? Known: attempt'],
    ['/v1/deliveries?before=x', 'parameter "before". Known: workflow_id, execution_id, step, '],
    ['/v1/workflows/p/event_summaries?expnad=event', 'Did you mean expand?'],
    ['/v1/workflows/p/$errors/event_summaries?colour=red', 'parameter "colour". Known: expand,'],
    ['/v1/users/me/webhooks?page=2', 'parameter "page". Known: limit, after'],
    ['/v1/users/me/subscriptions?page=2', 'parameter "page". Known: limit, after'],
    ['/pipelines/p/sse?chanel=a', 'parameter "chanel". Did you mean channel? Known: channel,'],
    ['/metrics?x=1', 'parameter "x". There are none'],
    ['/sql/csv/x.csv?x=1', 'parameter "x". There are none'],
    ['/v1/executions?limit=1&limit=2', 'limit: is given twice'],
    ['/pipelines/p/sse?expires=1&expires=2', 'expires: is given twice'],
    [`/pipelines/p/sse?${'channel=a&'.repeat(101)}`, 'channel: is given more than 100 times'],
  ])) {
    const { status, body } = await ask(path)
    assert.deepEqual([status, body.code], [400, 'ERR_SEND_INVALID_ARGUMENT'], path)
    assert.ok(body.error.includes(message), body.error)
  }
  for (const [path, given, message] of /** @type {const} */ ([
    ['/v1/webhooks?ulr=http://x', undefined, 'parameter "ulr". Did you mean url? Known: url, name'],
    [
      '/v1/webhooks',
      { url: 'http://x', secert: 'generate' },
      'member "secert". Did you mean secret',
    ],
    ['/v1/subscriptions', { emitterId: 'p' }, 'member "emitterId". Did you mean emitter_id?'],
    ['/v1/deliveries/x/replay', { force: true }, 'member "force". There are none'],
    ['/sql', { sql: 'SELECT 1' }, 'member "sql". Known: query'],
  ])) {
    const { status, body } = await post(path, given)
    assert.deepEqual([status, body.code], [400, 'ERR_SEND_INVALID_ARGUMENT'], path)
    assert.ok(body.error.includes(message), body.error)
  }
  // A probe is answered, whatever it adds.
  assert.equal((await ask('/healthz?x=1')).status, 200)
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
  assert.ok(text.endsWith('# EOF\n'))
  for (const line of text.trim().split('\n')) {
    assert.match(
      line,
      /^(# (HELP|TYPE|UNIT) dollar_send_\w+ .*|# EOF|dollar_send_\w+(\{.*\})? \S+)$/,
    )
  }
})
