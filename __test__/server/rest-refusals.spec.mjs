// The REST API of the server: tokens, addresses, and what it refuses.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { renameSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { test } from 'node:test'

import { Engine } from '../../js/index.mjs'
import { dataDirectory } from '../support/data-dir.mjs'
import { until } from '../support/dead-letters.mjs'
import { LOCAL, openEngine } from '../support/engine.mjs'
import { serve, TOKEN } from '../support/serving.mjs'

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

test('it is not ready while the journal takes no calls, and ready again after', async (t) => {
  const dataDir = dataDirectory(t)
  const { ask } = await serve(t, {}, { dataDir })
  const ready = () => ask('/readyz')
  assert.deepEqual([(await ready()).status, (await ready()).body], [200, { status: 'ok' }])
  const file = join(dataDir, 'journal.sqlite')
  renameSync(file, `${file}.away`)
  await until(async () => (await ready()).status === 503 || undefined)
  const refused = await ready()
  assert.equal(refused.body.code, 'ERR_SEND_JOURNAL')
  // It needs no token: it tells no path.
  assert.match(refused.body.error, /^the journal cannot be written: see the warnings/)
  assert.equal((await ask('/healthz')).status, 200)
  renameSync(`${file}.away`, file)
  await until(async () => (await ready()).status === 200 || undefined)
})

test('it is not ready while the journal is full', async (t) => {
  const journal = { maxBytes: 1 << 20 }
  const { ask, engine } = await serve(t, {}, { dataDir: dataDirectory(t), journal })
  const data = 'x'.repeat(100_000)
  const record = () => {
    const execution = engine.execution({ workflowId: 'p' })
    execution.step('s').$send.http({ method: 'POST', url: 'http://192.0.2.1/', data })
    return execution.complete()
  }
  await engine.pause({ workflowId: 'p' })
  await assert.rejects(
    async () => {
      for (;;) await record()
    },
    { code: 'ERR_SEND_JOURNAL_FULL' },
  )
  // What was refused is larger than the probe.
  for (let bytes = data.length; bytes > 500; bytes /= 2) {
    const execution = engine.execution({ workflowId: 'p' })
    const call = { method: 'POST', url: 'http://192.0.2.1/', data: data.slice(0, bytes) }
    execution.step('s').$send.http(/** @type {any} */ (call))
    await execution.complete().catch(() => {})
  }
  await until(async () => (await ask('/readyz')).body.code === 'ERR_SEND_JOURNAL_FULL' || undefined)
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
    [{ sse: { publik: [] } }, 'unknown option server.sse.publik. Did you mean server.sse.public?'],
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
    ['/v1/deliveries?before=x', 'parameter "before". Known: ids, workflow_id, execution_id, '],
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
    [
      '/v1/deliveries/x/replay',
      { forse: true },
      'member "forse". Did you mean force? Known: force',
    ],
    ['/sql', { sql: 'SELECT 1' }, 'member "sql". Known: query'],
  ])) {
    const { status, body } = await post(path, given)
    assert.deepEqual([status, body.code], [400, 'ERR_SEND_INVALID_ARGUMENT'], path)
    assert.ok(body.error.includes(message), body.error)
  }
  // A probe is answered, whatever it adds.
  assert.equal((await ask('/healthz?x=1')).status, 200)
})

test('a signed URL that was changed is refused for its signature', async (t) => {
  const engine = await openEngine(t, {
    server: {
      port: 0,
      tokens: ['a-token-of-the-operator'],
      sse: { signingKey: 'a-key-that-signs-urls-of-streams' },
    },
  })
  const url = engine.streamUrl('p_1')
  for (const changed of [`${url}0`, url.replace('F1/sse', 'F2/sse')]) {
    const response = await fetch(changed)
    assert.equal(response.status, 401)
    const { error } = /** @type {any} */ (await response.json())
    assert.match(error, /the signature of this URL is wrong or has expired.*engine\.streamUrl\(\)/)
  }
  const { error } = /** @type {any} */ (await (await fetch(url.split('?')[0])).json())
  assert.match(error, /needs a token/)
})
