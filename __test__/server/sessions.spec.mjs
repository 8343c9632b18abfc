// Sessions of the page in a browser, roles of tokens, and requests of other pages.

import assert from 'node:assert/strict'
import { request } from 'node:http'
import { test } from 'node:test'

import { openEngine } from '../support/engine.mjs'
import { serve, TOKEN } from '../support/serving.mjs'

const READER = 'a-token-that-only-reads'
const TOKENS = [TOKEN, { token: READER, role: 'read' }]

/**
 * Makes a request with any headers, which `fetch` does not allow.
 *
 * @param {number} port
 * @param {string} method
 * @param {string} path
 * @param {Record<string, string | string[]>} [headers]
 * @param {object} [body]
 * @returns {Promise<{ status: number, headers: import('node:http').IncomingHttpHeaders, body: any }>}
 */
function ask(port, method, path, headers = {}, body) {
  return new Promise((resolve, reject) => {
    const json = body === undefined ? {} : { 'content-type': 'application/json' }
    const options = { port, host: '127.0.0.1', method, path, headers: { ...json, ...headers } }
    const sent = request(options, async (response) => {
      let text = ''
      for await (const chunk of response.setEncoding('utf8')) text += chunk
      const status = Number(response.statusCode)
      resolve({ status, headers: response.headers, body: text && JSON.parse(text) })
    })
    sent.on('error', reject)
    sent.end(body === undefined ? undefined : JSON.stringify(body))
  })
}

const OWN = { 'sec-fetch-site': 'same-origin' }

/** @param {number} port @param {string} [token] */
async function signIn(port, token = TOKEN) {
  const answer = await ask(port, 'POST', '/session', OWN, { token })
  assert.equal(answer.status, 204)
  const [cookie, ...more] = /** @type {string[]} */ (answer.headers['set-cookie'])
  assert.deepEqual(more, [])
  return cookie
}

/** @param {string} cookie */
const pair = (cookie) => cookie.split(';')[0]

test('a token opens a session, whose cookie no script and no other site has', async (t) => {
  const { port } = await serve(t, { tokens: TOKENS })
  const before = await ask(port, 'GET', '/session')
  assert.deepEqual(before.body, { authenticated: false, required: true, try: false })
  const cookie = await signIn(port)
  assert.match(
    cookie,
    new RegExp(
      `^dollar_send_session_${port}=[\\w-]{43}; Path=/; Max-Age=43200; HttpOnly; SameSite=Strict$`,
    ),
  )
  const headers = { cookie: pair(cookie) }
  const { body, headers: given } = await ask(port, 'GET', '/session', headers)
  assert.deepEqual([body.authenticated, body.required, body.role], [true, true, 'act'])
  assert.match(body.version, /^\d+\.\d+\.\d+/)
  assert.equal(given['cache-control'], 'no-store')
  assert.equal((await ask(port, 'GET', '/v1/executions', headers)).status, 200)

  const signedOut = await ask(port, 'DELETE', '/session', { ...headers, ...OWN })
  assert.equal(signedOut.status, 204)
  assert.match(String(signedOut.headers['set-cookie']), /=; Path=\/; Max-Age=0; HttpOnly/)
  assert.equal((await ask(port, 'GET', '/v1/executions', headers)).status, 401)
})

test('without tokens there is no session, and everything is allowed', async (t) => {
  const { port } = await serve(t)
  const { body } = await ask(port, 'GET', '/session')
  assert.deepEqual([body.authenticated, body.required, body.role], [true, false, 'act'])
  const answer = await ask(port, 'POST', '/session', {}, { token: 'any' })
  assert.deepEqual([answer.status, answer.headers['set-cookie']], [204, undefined])
})

test('a wrong token opens no session, and a token in the URL is refused', async (t) => {
  const { port } = await serve(t, { tokens: TOKENS })
  for (const token of ['', 'x', `${TOKEN}x`, TOKEN.slice(1), '\u0000', 'é'.repeat(100)]) {
    const answer = await ask(port, 'POST', '/session', OWN, { token })
    assert.deepEqual([answer.status, answer.headers['set-cookie']], [401, undefined], token)
  }
  const inUrl = await ask(port, 'POST', `/session?token=${TOKEN}`, OWN)
  assert.deepEqual([inUrl.status, inUrl.headers['set-cookie']], [400, undefined])
  for (const body of [{}, { token: [TOKEN] }, { token: null }, { token: TOKEN, role: 'act' }]) {
    assert.equal((await ask(port, 'POST', '/session', OWN, body)).status, 400)
  }
  const form = { ...OWN, 'content-type': 'text/plain' }
  assert.equal((await ask(port, 'POST', '/session', form, { token: TOKEN })).status, 415)
})

test('a client cannot choose the name of its session', async (t) => {
  const { port } = await serve(t, { tokens: TOKENS })
  const name = `dollar_send_session_${port}`
  const chosen = `${name}=${'a'.repeat(43)}`
  const answer = await ask(port, 'POST', '/session', { ...OWN, cookie: chosen }, { token: TOKEN })
  const cookie = pair(String(answer.headers['set-cookie']))
  assert.notEqual(cookie, chosen)
  assert.equal((await ask(port, 'GET', '/v1/executions', { cookie: chosen })).status, 401)
  // A neighbour under the same host name put its cookie in front: the session's own still counts.
  const both = { cookie: `${chosen}; ${cookie}` }
  assert.equal((await ask(port, 'GET', '/v1/executions', both)).status, 200)
  // Signing in again ends the session before.
  const again = await ask(port, 'POST', '/session', { ...OWN, cookie }, { token: TOKEN })
  assert.equal(again.status, 204)
  assert.equal((await ask(port, 'GET', '/v1/executions', { cookie })).status, 401)
  const many = { cookie: Array.from({ length: 500 }, (_, n) => `${name}=${n}`).join('; ') }
  assert.equal((await ask(port, 'GET', '/v1/executions', many)).status, 401)
})

test('a cookie is worth nothing to pages of other origins', async (t) => {
  const listed = 'https://app.example.com'
  const { port } = await serve(t, { tokens: TOKENS, cors: [listed] })
  const cookie = pair(await signIn(port))
  const own = `http://127.0.0.1:${port}`
  for (const origin of [listed, 'https://evil.example', 'http://127.0.0.1:1', 'null', `${own}.x`]) {
    const answer = await ask(port, 'POST', '/v1/dismissals?status=failed', { cookie, origin })
    assert.equal(answer.status, 403, origin)
    const read = await ask(port, 'GET', '/v1/executions', { cookie, origin })
    assert.equal(read.status, 401, origin)
    const session = await ask(port, 'POST', '/session', { origin }, { token: TOKEN })
    assert.deepEqual([session.status, session.headers['set-cookie']], [403, undefined], origin)
  }
  for (const site of ['same-site', 'cross-site']) {
    const headers = { cookie, 'sec-fetch-site': site }
    const answer = await ask(port, 'POST', '/v1/dismissals?status=failed', headers)
    assert.equal(answer.status, 403, site)
    assert.equal((await ask(port, 'DELETE', '/session', headers)).status, 403, site)
  }
  // A write proves its origin; a token in a header is proof enough.
  assert.equal((await ask(port, 'POST', '/v1/dismissals?status=failed', { cookie })).status, 401)
  for (const headers of [
    { cookie, ...OWN },
    { cookie, origin: own },
    { authorization: `Bearer ${TOKEN}`, origin: listed },
  ]) {
    const answer = await ask(port, 'POST', '/v1/dismissals?status=failed', headers)
    assert.deepEqual([answer.status, answer.body], [200, { data: { dismissed: 0 } }])
  }
})

test('a token in a header wins over a cookie', async (t) => {
  const { port } = await serve(t, { tokens: TOKENS })
  const cookie = pair(await signIn(port))
  const wrong = { cookie, ...OWN, authorization: 'Bearer another-token-of-length' }
  assert.equal((await ask(port, 'GET', '/v1/executions', wrong)).status, 401)
  const reads = { cookie, ...OWN, authorization: `Bearer ${READER}` }
  assert.equal((await ask(port, 'POST', '/v1/dismissals?status=failed', reads)).status, 403)
})

test('without tokens, pages of other origins and rebound names are refused', async (t) => {
  const { port } = await serve(t)
  const own = `http://127.0.0.1:${port}`
  const act = '/v1/dismissals?status=failed'
  for (const [headers, status] of /** @type {[Record<string, string>, number][]} */ ([
    [{}, 200],
    [OWN, 200],
    [{ origin: own }, 200],
    [{ origin: `http://localhost:${port}`, host: `localhost:${port}` }, 200],
    [{ origin: `http://localhost:${port}` }, 403],
    [{ origin: 'https://evil.example' }, 403],
    [{ origin: 'null' }, 403],
    [{ 'sec-fetch-site': 'same-site' }, 403],
    [{ 'sec-fetch-site': 'cross-site' }, 403],
    [{ ...OWN, host: 'evil.example' }, 403],
    [{ ...OWN, host: `evil.example:${port}`, origin: `http://evil.example:${port}` }, 403],
    [{ ...OWN, host: '127.0.0.1.evil.example' }, 403],
    [{ ...OWN, host: 'localhost.evil.example' }, 403],
    [{ ...OWN, host: 'evil@127.0.0.1' }, 403],
    [{ ...OWN, host: '0.0.0.0' }, 403],
  ])) {
    const answer = await ask(port, 'POST', act, headers)
    assert.equal(answer.status, status, JSON.stringify(headers))
  }
  const rebound = await ask(port, 'GET', '/v1/executions', { host: 'evil.example' })
  assert.equal(rebound.status, 403)
})

test('a token with the role read reads, and does nothing', async (t) => {
  const { port } = await serve(t, { tokens: TOKENS })
  const cookie = pair(await signIn(port, READER))
  for (const given of [{ authorization: `Bearer ${READER}` }, { cookie, ...OWN }]) {
    const headers = /** @type {Record<string, string>} */ (given)
    assert.equal((await ask(port, 'GET', '/session', headers)).body.role, 'read')
    for (const path of ['/v1/executions', '/v1/deliveries', '/v1/users/me/webhooks']) {
      assert.equal((await ask(port, 'GET', path, headers)).status, 200, path)
    }
    const plan = await ask(port, 'POST', '/v1/replays?status=failed&dry_run=true', headers)
    assert.deepEqual([plan.status, plan.body.data.count], [200, 0])
    const query = await ask(port, 'POST', '/sql', headers, { query: 'SELECT 1' })
    assert.equal(query.status, 501)
    const id = '01932d8e-0000-7000-8000-000000000000'
    for (const [method, path] of [
      ['POST', '/v1/replays?status=failed'],
      ['POST', `/v1/deliveries/${id}/replay`],
      ['POST', '/v1/dismissals?status=failed'],
      ['POST', '/v1/webhooks?url=https://example.com/'],
      ['PATCH', '/v1/webhooks/wh_1?active=false'],
      ['DELETE', '/v1/webhooks/wh_1'],
      ['POST', '/v1/subscriptions?emitter_id=p&listener_id=q'],
      ['DELETE', '/v1/subscriptions?emitter_id=p&listener_id=q'],
      ['POST', '/v1/auto_subscriptions?listener_id=q'],
    ]) {
      const answer = await ask(port, method, path, headers)
      assert.equal(answer.status, 403, `${method} ${path}`)
      assert.match(answer.body.error, /this token only reads \(server\.tokens: role 'read'\)/)
    }
  }
})

test('a session ends with the server', async (t) => {
  const first = await serve(t, { tokens: TOKENS })
  const cookie = pair(await signIn(first.port))
  await first.engine.close()
  const again = await openEngine(t, { server: { port: first.port, tokens: TOKENS } })
  assert.ok(again)
  assert.equal((await ask(first.port, 'GET', '/v1/executions', { cookie })).status, 401)
})

test('a role that is none is refused', async (t) => {
  for (const [token, reason] of [
    [{ token: TOKEN, role: 'write' }, /server\.tokens\[0\]\.role: "write" is neither/],
    [{ token: TOKEN, rolle: 'read' }, /rolle/],
    [{ role: 'read' }, /server\.tokens\[0\].*token/],
    [{ token: 'short', role: 'read' }, /server\.tokens\[0\]: must have 16/],
    [5, /server\.tokens\[0\]: must be a text or an object/],
  ]) {
    const tokens = /** @type {any} */ ([token])
    await assert.rejects(openEngine(t, { server: { port: 0, tokens } }), {
      code: 'ERR_SEND_INVALID_OPTION',
      message: reason,
    })
  }
})

test('a stream that a session opened ends with it, and a public one does not', async (t) => {
  const { engine, port } = await serve(t, { tokens: TOKENS, sse: { public: ['p_public'] } })
  const headers = { cookie: pair(await signIn(port)) }
  /** @param {string} workflow @returns {Promise<import('node:http').IncomingMessage>} */
  const follow = (workflow) =>
    new Promise((resolve, reject) => {
      const path = `/pipelines/${workflow}/sse`
      const sent = request({ port, host: '127.0.0.1', path, headers }, (response) => {
        response.once('data', () => resolve(response))
      })
      sent.on('error', reject)
      sent.end()
    })
  const own = await follow('p_own')
  const open = await follow('p_public')
  t.after(() => open.destroy())
  const ended = new Promise((resolve) => own.once('close', resolve))
  assert.equal((await ask(port, 'DELETE', '/session', { ...headers, ...OWN })).status, 204)
  await ended
  const next = new Promise((resolve) => open.once('data', resolve))
  await engine.run({ workflowId: 'p_public' }, (execution) => {
    execution.step('s').$send.sse({ channel: 'c', payload: { text: 'still here' } })
  })
  assert.match(String(await next), /still here/)
})
