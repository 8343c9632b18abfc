// Webhooks that are paused, resumed, removed, or disabled because their receiver is gone.

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { Engine } from '../../js/index.mjs'
import { dataDirectory } from '../support/data-dir.mjs'
import { LOCAL, nextEvent } from '../support/engine.mjs'
import { PATIENT } from '../support/patience.mjs'
import { receiver } from '../support/receiver.mjs'
import { client, serve } from '../support/serving.mjs'
import { answering, emit, ends, waiting, webhooks } from '../support/webhooks.mjs'

test('a paused webhook gets nothing until it is resumed, also over a restart', async (t) => {
  const hook = await receiver(t)
  const dataDir = dataDirectory(t)
  const first = await Engine.open({ dataDir, egress: LOCAL, server: { port: 0 } })
  const { make, changed, listed } = webhooks(client(/** @type {any} */ (first.address()).url))
  const { id } = await make(hook.url)
  const paused = await changed(id, { active: false })
  assert.deepEqual([paused.active, paused.state, paused.state_reason], [false, 'paused', null])
  assert.ok(Math.abs(paused.state_since - Date.now() / 1000) < 120)
  const [emitted] = await emit(first)
  assert.deepEqual(/** @type {any} */ (emitted.response).webhooks, [id])
  await waiting(first, 1)
  assert.deepEqual((await listed())[0], { ...paused })
  const [held] = await first.deliveries({ workflowId: id })
  assert.deepEqual([held.status, held.attempts], ['pending', 0])
  assert.match(held.warnings[0], /is paused since 20.*: it waits/)
  await first.close({ timeoutMs: 0 })

  const served = await serve(t, {}, { dataDir })
  const after = webhooks(served)
  await waiting(served.engine, 1)
  assert.equal((await after.one(id)).state, 'paused')
  await emit(served.engine, 2)
  await waiting(served.engine, 2)
  assert.equal(hook.requests.length, 0)
  const resumed = await after.changed(id, { active: true })
  assert.deepEqual([resumed.active, resumed.state, resumed.state_since], [true, 'active', null])
  await served.engine.flush(PATIENT)
  assert.deepEqual(hook.requests.map(({ text }) => text).sort(), ['{"n":1}', '{"n":2}'])
  assert.deepEqual(await ends(served.engine, id), [
    ['delivered', 1],
    ['delivered', 1],
  ])
})

test('what was resumed and not yet attempted is delivered by the next process', async (t) => {
  const dataDir = dataDirectory(t)
  const http = { perHostConcurrency: 1 }
  const first = await Engine.open({ dataDir, egress: LOCAL, server: { port: 0 }, http })
  const { make, changed } = webhooks(client(/** @type {any} */ (first.address()).url))
  let closing = true
  const hook = await receiver(t, (_request, response) => {
    // The first request gets no answer while its process lives.
    if (!closing) response.end()
  })
  const { id } = await make(hook.url)
  await changed(id, { active: false })
  for (let n = 0; n < 3; n++) await emit(first, n)
  await waiting(first, 3)
  await changed(id, { active: true })
  await hook.received(1)
  await first.close({ timeoutMs: 0 })
  closing = false
  const served = await serve(t, {}, { dataDir })
  await served.engine.flush(PATIENT)
  assert.equal(hook.requests.length, 4)
  assert.equal(new Set(hook.requests.map(({ text }) => text)).size, 3)
})

test('410 disables a webhook, and nothing is sent to it before it is enabled', async (t) => {
  const answers = [500, 410]
  const hook = await receiver(t, (_request, response) =>
    response.writeHead(answers.shift() ?? 200).end(),
  )
  const dataDir = dataDirectory(t)
  const options = { dataDir, egress: LOCAL, server: { port: 0 } }
  const first = await Engine.open(options)
  const { make, listed } = webhooks(client(/** @type {any} */ (first.address()).url))
  const { id } = await make(hook.url)
  const warned = nextEvent(first, 'warning', ({ code }) => code === 'WEBHOOK_DISABLED')
  await emit(first, 1)
  await waiting(first, 1)
  await emit(first, 2)
  assert.match((await warned).message, new RegExp(`webhook ${id} answered 410 Gone`))
  // The one that waited for its next attempt ends without it.
  await first.flush(PATIENT)
  const [second, waited] = await first.deliveries({ workflowId: id })
  const { status } = /** @type {any} */ (second.response)
  assert.deepEqual([second.status, second.attempts, status], ['failed', 1, 410])
  assert.deepEqual([waited.status, waited.attempts], ['failed', 1])
  assert.equal(waited.error?.code, 'ERR_SEND_WEBHOOK_DISABLED') // reaches ERR_SEND_WEBHOOK_DISABLED
  assert.match(waited.error?.message ?? '', /is disabled since 20.*: it answered 410 Gone/)
  const [row] = await listed()
  assert.deepEqual(
    [row.active, row.state, row.state_reason],
    [false, 'disabled', 'it answered 410 Gone'],
  )
  assert.ok(Math.abs(row.state_since - Date.now() / 1000) < 120)
  const [ignored] = await emit(first, 3)
  assert.deepEqual(/** @type {any} */ (ignored.response).webhooks, [])
  await first.close()

  const served = await serve(t, {}, { dataDir })
  const after = webhooks(served)
  assert.equal((await after.one(id)).state, 'disabled')
  assert.equal(hook.requests.length, 2)
  await after.changed(id, { active: true })
  const { replayed } = await served.engine.replay({ ids: [waited.id] })
  assert.equal(replayed.length, 1)
  await emit(served.engine, 4)
  await served.engine.flush(PATIENT)
  assert.deepEqual(
    hook.requests
      .slice(2)
      .map(({ text }) => text)
      .sort(),
    ['{"n":1}', '{"n":4}'],
  )
})

test('410 of a URL that was changed meanwhile disables nothing', async (t) => {
  const hook = await receiver(t)
  const served = await serve(t)
  const { make, changed, one } = webhooks(served)
  /** @type {string} */
  let id = ''
  const old = await receiver(t, async (_request, response) => {
    await changed(id, { url: hook.url })
    response.writeHead(410).end()
  })
  ;({ id } = await make(old.url))
  await emit(served.engine)
  await served.engine.flush(PATIENT)
  assert.equal((await one(id)).state, 'active')
  assert.deepEqual(await ends(served.engine, id), [['failed', 1]])
})

test('what waits for a webhook ends when that is removed', async (t) => {
  const hook = await answering(t, 500)
  const served = await serve(t)
  const { id } = await webhooks(served).make(hook.url)
  await emit(served.engine)
  await waiting(served.engine, 1)
  await served.ask(`/v1/webhooks/${id}`, { method: 'DELETE' })
  await served.engine.flush(PATIENT)
  const [delivery] = await served.engine.deliveries({ workflowId: id })
  assert.equal(delivery.error?.code, 'ERR_SEND_WEBHOOK_DISABLED')
  assert.match(delivery.error?.message ?? '', /was removed/)
  assert.equal(hook.requests.length, 1)
})
