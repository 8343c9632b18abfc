// Webhooks: retries, secrets that are replaced, changes, and credentials.

import assert from 'node:assert/strict'
import { createHmac, randomBytes } from 'node:crypto'
import { test } from 'node:test'

import { bytesIn, dataDirectory } from '../support/data-dir.mjs'
import { nextEvent } from '../support/engine.mjs'
import { PATIENT } from '../support/patience.mjs'
import { receiver } from '../support/receiver.mjs'
import { run, serve } from '../support/serving.mjs'
import { answering, emit, ends, waiting, webhooks } from '../support/webhooks.mjs'

const DAY_S = 24 * 60 * 60

/** The signature of a request with a secret. */
function signatureOf(/** @type {any} */ { headers, text }, /** @type {string} */ secret) {
  const message = `${headers['webhook-id']}.${headers['webhook-timestamp']}.${text}`
  const key = Buffer.from(secret.replace('whsec_', ''), 'base64')
  return `v1,${createHmac('sha256', key).update(message).digest('base64')}`
}

test('a failed delivery is attempted again after five seconds, whatever the status is', async (t) => {
  for (const status of [500, 404]) {
    const hook = await answering(t, status)
    const served = await serve(t)
    const { make, changed } = webhooks(served)
    const { id } = await make(hook.url, { secret: 'generate' })
    await emit(served.engine)
    await waiting(served.engine, 1)
    const [delivery] = await served.engine.deliveries({ workflowId: id })
    assert.deepEqual([delivery.status, delivery.attempts], ['pending', 1])
    const [, again] = /^attempt 1 failed: .*; again at (.*)$/.exec(delivery.warnings[0]) ?? []
    const sent = Number(hook.requests[0].headers['webhook-timestamp']) * 1000
    const delay = Date.parse(again) - sent
    assert.ok(delay >= 5000 && delay < 125_000, `it waits for ${delay} ms`)
    // An operator who repaired the receiver does not have to wait.
    await changed(id, { active: true })
    await served.engine.flush(PATIENT)
    assert.deepEqual(await ends(served.engine, id), [['delivered', 2]])
    const [one, two] = hook.requests.map(({ headers }) => headers['webhook-id'])
    assert.ok(one && one === two)
  }
})

test('http.retry takes the place of the schedule', async (t) => {
  const hook = await answering(t, 500, 503, 500)
  const served = await serve(t, {}, { http: { retry: { scheduleMs: [1, 1] } } })
  const { id } = await webhooks(served).make(hook.url)
  await emit(served.engine)
  await served.engine.flush(PATIENT)
  assert.deepEqual(await ends(served.engine, id), [['failed', 3]])
})

test('a replaced secret stays valid beside the new one for a day', async (t) => {
  const hook = await receiver(t)
  const served = await serve(t)
  const { make, changed, one, listed } = webhooks(served)
  const first = await make(hook.url, { secret: 'generate' })
  assert.equal(first.previous_secret_valid_until, null)
  const second = await changed(first.id, { secret: 'generate' })
  assert.notEqual(second.secret, first.secret)
  const until = second.previous_secret_valid_until - Date.now() / 1000
  assert.ok(until > DAY_S - 125 && until <= DAY_S, `it is valid for ${until} s`)
  const shown = await one(first.id)
  assert.equal(shown.previous_secret_valid_until, second.previous_secret_valid_until)
  assert.ok(!JSON.stringify([shown, await listed()]).includes('whsec_'))
  await emit(served.engine)
  await served.engine.flush(PATIENT)
  const [request] = hook.requests
  const expected = [second, first].map(({ secret }) => signatureOf(request, secret)).join(' ')
  assert.equal(request.headers['webhook-signature'], expected)
})

test('an overlap can be chosen, and one of zero ends every earlier secret', async (t) => {
  const hook = await receiver(t)
  const served = await serve(t)
  const { make, changed, change } = webhooks(served)
  const { id } = await make(hook.url)
  const secret = `whsec_${randomBytes(33).toString('base64')}`
  const unsigned = await changed(id, { secret })
  assert.deepEqual(
    [unsigned.secret, unsigned.signed, unsigned.previous_secret_valid_until],
    [secret, true, null],
  )
  const kept = await changed(id, { secret: 'generate', secret_overlap_s: 60 })
  const left = kept.previous_secret_valid_until - Date.now() / 1000
  assert.ok(left <= 60, `it is valid for ${left} s`)
  const shorter = await changed(id, { secret_overlap_s: 30 })
  assert.ok(shorter.previous_secret_valid_until < kept.previous_secret_valid_until)
  assert.equal(shorter.secret, undefined)
  const last = await changed(id, { secret: 'generate', secret_overlap_s: 0 })
  assert.equal(last.previous_secret_valid_until, null)
  await emit(served.engine)
  await served.engine.flush(PATIENT)
  const [request] = hook.requests
  assert.equal(request.headers['webhook-signature'], signatureOf(request, last.secret))
  for (const [members, pattern] of /** @type {const} */ ([
    [{ secret_overlap_s: 1.5 }, /from 0 to 2592000/],
    [{ secret: 'generate', secret_overlap_s: -1 }, /from 0 to 2592000/],
    [{ secret: 'generate', secret_overlap_s: 2_592_001 }, /from 0 to 2592000/],
    [{ secret: 'whsec_x' }, /secret: must be/],
  ])) {
    const { status, body } = await change(id, members)
    assert.equal(status, 400)
    assert.match(body.error, pattern)
  }
})

test('a delivery that waits is signed with the secrets of its attempt', async (t) => {
  const hook = await answering(t, 500)
  const served = await serve(t)
  const { make, changed } = webhooks(served)
  const first = await make(hook.url, { secret: 'generate' })
  await emit(served.engine)
  await waiting(served.engine, 1)
  const second = await changed(first.id, {
    secret: 'generate',
    secret_overlap_s: 0,
    active: true,
  })
  await served.engine.flush(PATIENT)
  const signatures = hook.requests.map(({ headers }) => headers['webhook-signature'])
  assert.deepEqual(signatures, [
    signatureOf(hook.requests[0], first.secret),
    signatureOf(hook.requests[1], second.secret),
  ])
})

test('a webhook is changed member by member, also by the query string', async (t) => {
  const [old, hook] = [await answering(t, 500), await receiver(t)]
  const served = await serve(t)
  const { make, changed, change, listed } = webhooks(served)
  const made = await make(old.url, { name: 'mine', description: 'for orders' })
  await emit(served.engine)
  await waiting(served.engine, 1)
  const renamed = await changed(made.id, { name: 'ours', description: '' })
  assert.deepEqual([renamed.name, renamed.description, renamed.url], ['ours', null, old.url])
  const query = new URLSearchParams({ url: hook.url, active: 'true' })
  const moved = await served.ask(`/v1/webhooks/${made.id}?${query}`, { method: 'PATCH' })
  assert.deepEqual([moved.status, moved.body.data.url], [200, hook.url])
  // What waited goes to the new URL.
  await served.engine.flush(PATIENT)
  assert.deepEqual([old.requests.length, hook.requests.length], [1, 1])
  assert.equal(old.requests[0].headers['webhook-id'], hook.requests[0].headers['webhook-id'])
  const [row] = await listed()
  assert.deepEqual(
    [row.id, row.name, row.url, row.created_at],
    [made.id, 'ours', hook.url, made.created_at],
  )
  assert.ok(row.updated_at >= row.created_at)
  assert.deepEqual(await changed(made.id, {}), { ...row, updated_at: row.updated_at })
  for (const [members, pattern] of /** @type {const} */ ([
    [{ url: 'ftp://x' }, /url: must be/],
    [{ url: 5 }, /invalid type/],
    [{ active: 'perhaps' }, /active: must be true or false/],
    [{ active: 1 }, /active: must be true or false/],
    [{ name: 'a\nb' }, /name: has control characters/],
    [{ paused: true }, /member "paused". Known: url/],
    [{ activ: true }, /member "activ". Did you mean active\?/],
  ])) {
    const { status, body } = await change(made.id, members)
    assert.equal(status, 400, JSON.stringify(members))
    assert.match(body.error, pattern)
  }
  const unknown = await served.ask(`/v1/webhooks/${made.id}?naem=x`, { method: 'PATCH' })
  assert.deepEqual([unknown.status, /Did you mean name/.test(unknown.body.error)], [400, true])
  assert.equal((await change('wh_none', { name: 'x' })).status, 404)
  assert.equal((await served.ask('/v1/webhooks/wh_none')).status, 404)
})

test('deliveries to a dead receiver leave half of the memory to others', async (t) => {
  const hook = await receiver(t, (_request, response) => response.writeHead(500).end())
  const served = await serve(t, {}, { maxPendingBytes: 20_000 })
  const { id } = await webhooks(served).make(hook.url)
  const filler = 'x'.repeat(3000)
  const attempted = () => served.engine.stats().failed + served.engine.stats().retrying
  for (let n = 0; n < 20; n++) {
    await run(served.engine, 'p_1', ($send) => $send.emit({ n, filler }))
    while (attempted() <= n || served.engine.stats().inFlight > 0) await new Promise(setImmediate)
  }
  const { retrying, pendingBytes } = served.engine.stats()
  assert.ok(retrying >= 1 && retrying <= 3, `${retrying} wait`)
  assert.ok(pendingBytes <= 10_000, `${pendingBytes} bytes wait`)
  const rows = await served.engine.deliveries({ workflowId: id, status: 'failed' })
  assert.equal(rows.length, 20 - retrying)
  for (const { error } of rows) {
    assert.equal(error?.code, 'ERR_SEND_STATUS')
    assert.match(error?.message ?? '', /more than half of maxPendingBytes; replay it/)
  }
})

test('credentials in the URL are sent and shown nowhere', async (t) => {
  const hook = await answering(t, 500)
  const dataDir = dataDirectory(t)
  const served = await serve(t, {}, { dataDir, http: { retry: { scheduleMs: [1] } } })
  const { make, changed, one, listed } = webhooks(served)
  const url = hook.url.replace('//', '//us%40er:hush-hush@') + '?token=hush-too&a=1'
  /** @type {unknown[]} */
  const told = []
  for (const topic of /** @type {const} */ (['delivery', 'execution', 'warning']))
    served.engine.on(topic, (event) => told.push(event))
  const over = nextEvent(served.engine, 'delivery', ({ workflowId }) =>
    workflowId.startsWith('wh_'),
  )
  const made = await make(url)
  const shown = `${hook.url}?token=[redacted]&a=1`
  assert.equal(made.url, shown)
  const again = await changed(made.id, { url })
  assert.deepEqual([again.url, (await one(made.id)).url], [shown, shown])
  await emit(served.engine)
  await over
  assert.equal(hook.requests.length, 2)
  for (const { headers, path } of hook.requests) {
    const expected = `Basic ${Buffer.from('us@er:hush-hush').toString('base64')}`
    assert.deepEqual([headers.authorization, path], [expected, '/hook?token=hush-too&a=1'])
  }
  const bad = await make('http://user:hush-hush@10.0.0.1:99/x')
  await emit(served.engine)
  await served.engine.flush(PATIENT)
  const [denied] = await served.engine.deliveries({ workflowId: bad.id })
  assert.equal(denied.error?.code, 'ERR_SEND_EGRESS_DENIED')
  const seen = [
    await listed(),
    await served.engine.deliveries(),
    (await served.ask('/v1/deliveries?limit=100')).text,
    (await served.ask('/metrics')).text,
    served.engine.stats(),
    told,
    (await served.post('/v1/webhooks', { url: 'ftp://user:hush-hush@x' })).text,
  ]
  assert.ok(!JSON.stringify(seen).includes('hush'))
  await served.engine.close()
  assert.ok(!bytesIn(dataDir).includes('hush'))
})

test('the document describes exactly the secrets that are taken', async (t) => {
  const served = await serve(t)
  const { paths } = (await served.ask('/openapi.json')).body
  const patterns = [paths['/v1/webhooks'].post, paths['/v1/webhooks/{id}'].patch].map(
    ({ parameters }) =>
      parameters.find((/** @type {any} */ { name }) => name === 'secret').schema.pattern,
  )
  assert.equal(patterns[0], patterns[1])
  const pattern = new RegExp(patterns[0])
  const { make } = webhooks(served)
  for (let n = 0; n < 5; n++)
    assert.match((await make('http://x', { secret: 'generate' })).secret, pattern)
  const texts = ['generate', 'whsec_', 'whsec', '', 'whsec_' + '='.repeat(44)]
  for (let bytes = 22; bytes <= 67; bytes++) {
    const base64 = randomBytes(bytes).toString('base64')
    texts.push(`whsec_${base64}`, base64)
    // Without its padding, and with bits that belong to no byte.
    texts.push(`whsec_${base64.replaceAll('=', '')}`)
    texts.push(`whsec_${base64.replace(/[A-Za-z0-9+/](=+)$/, '/$1')}`)
  }
  for (const secret of texts) {
    const { status } = await served.post('/v1/webhooks', { url: 'http://x', secret })
    assert.equal(status === 200, pattern.test(secret), secret)
  }
})
