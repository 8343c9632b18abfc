// Test calls over REST: only where the operator allows them, with a token that may act.

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { receiver } from '../support/receiver.mjs'
import { client, serve, TOKEN } from '../support/serving.mjs'

const READER = 'a-token-that-only-reads'

test('a test call is recorded and delivered as that of a step', async (t) => {
  const target = await receiver(t)
  const { engine, ask, post } = await serve(t, { try: true })
  assert.equal((await ask('/session')).body.try, true)
  const call = {
    method: 'POST',
    url: target.url,
    headers: { 'x-test': 'yes' },
    data: { name: 'Leia' },
  }
  const { status, body } = await post('/v1/try', call)
  assert.equal(status, 202)
  await engine.flush()
  const [delivery] = await engine.deliveries({ executionId: body.data.executionId })
  assert.deepEqual(
    [delivery?.status, delivery?.workflowId, delivery?.step, delivery?.request.method],
    ['delivered', 'try', 'call', 'POST'],
  )
  const [execution] = await engine.executions()
  assert.deepEqual([execution?.trigger, execution?.status], ['Inspector', 'completed'])
  const [request] = target.requests
  assert.deepEqual(
    [request.method, request.path, request.headers['x-test'], request.body.toString()],
    ['POST', '/hook', 'yes', '{"name":"Leia"}'],
  )
})

test('a test call goes only where egress permits', async (t) => {
  const target = await receiver(t)
  const { engine, url, post } = await serve(t, { try: true }, { egress: {} })
  for (const address of [target.url, url]) {
    const { body } = await post('/v1/try', { url: address })
    await engine.flush()
    const [delivery] = await engine.deliveries({ executionId: body.data.executionId })
    assert.equal(delivery?.error?.code, 'ERR_SEND_EGRESS_DENIED', address)
  }
  assert.deepEqual(target.requests, [])
})

test('test calls are refused by default, to tokens that read, and to pages of others', async (t) => {
  const target = await receiver(t)
  const closed = await serve(t)
  assert.equal((await closed.ask('/session')).body.try, false)
  const refused = await closed.post('/v1/try', { url: target.url })
  assert.equal(refused.status, 403)
  assert.match(refused.body.error, /server: \{ try: true \}/)

  const tokens = [TOKEN, { token: READER, role: 'read' }]
  const { engine, url } = await serve(t, { try: true, tokens })
  const asked = async (/** @type {Record<string, string>} */ headers) => {
    const json = { 'content-type': 'application/json', ...headers }
    const body = JSON.stringify({ url: target.url })
    return (await client(url).ask('/v1/try', { method: 'POST', headers: json, body })).status
  }
  assert.equal(await asked({}), 401)
  assert.equal(await asked({ authorization: `Bearer ${READER}` }), 403)
  const bearer = { authorization: `Bearer ${TOKEN}` }
  assert.equal(await asked(bearer), 202)
  assert.equal((await engine.executions()).length, 1)
})

test('a test call that cannot be one is refused', async (t) => {
  const { engine, post } = await serve(t, { try: true })
  /** @type {[object, RegExp][]} */
  const cases = [
    [{}, /url/],
    [{ url: 'nowhere' }, /^url: "nowhere"/],
    [{ url: 'file:///etc/passwd' }, /^url: must begin with http/],
    [{ url: 'http://a.example', method: 'P OST' }, /^method: "P OST" is not an HTTP method/],
    [{ url: 'http://a.example', headers: { a: 5 } }, /^headers\.a: must be a text/],
    [
      {
        url: 'http://a.example',
        headers: Object.fromEntries([...Array(101).keys()].map((n) => [n, ''])),
      },
      /^headers: must be 100 or less/,
    ],
    [{ ulr: 'http://a.example' }, /unknown member "ulr"\. Did you mean url\?/],
  ]
  for (const [call, message] of cases) {
    const { status, body } = await post('/v1/try', call)
    assert.equal(status, 400, JSON.stringify(call))
    assert.match(body.error, message)
  }
  const large = await post('/v1/try', { url: 'http://a.example', data: 'x'.repeat(70_000) })
  assert.equal(large.status, 413)
  assert.deepEqual(await engine.executions(), [])
})
