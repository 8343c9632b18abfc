// Emitted events of nodes that share a journal: listeners, subscriptions and webhooks at any node.

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { fleetDatabase, startNode, until } from '../support/fleet.mjs'
import { receiver } from '../support/receiver.mjs'
import { client } from '../support/serving.mjs'
import { webhooks } from '../support/webhooks.mjs'

const server = { port: 0 }
const LEASE = { leaseMs: 20_000 }

/** @typedef {Awaited<ReturnType<typeof startNode>>} Node */

/** The emitted events that the listeners of a node got, as emitter, channel and event. @param {Node} node */
const heard = (node) => node.words('heard').map((words) => JSON.parse(words.join(' ')))

/** @param {import('node:test').TestContext} t @param {object} [more] */
async function twoNodes(t, more = {}) {
  const database = await fleetDatabase(t)
  const listens = [{ emitterId: 'p_*', eventName: '*' }]
  const settings = { journal: database.journal(LEASE), server, listens, ...more }
  const a = await startNode(t, settings)
  const b = await startNode(t, settings)
  return { database, settings, a, b }
}

test('listeners of every node get the events of all, and each node lists them', async (t) => {
  const { a, b } = await twoNodes(t)
  const [log] = await a.send('p_1', [['emit', { n: 1 }, 'orders']])
  assert.deepEqual(
    [log.status, log.response.listeners, log.response.webhooks],
    ['delivered', 1, []],
  )
  await b.send('p_1', [
    ['emit', { raw_event: { n: 2 } }],
    ['emit', { n: 3 }],
  ])
  const all = [
    ['p_1', 'orders', { n: 1 }],
    ['p_1', '', { n: 2 }],
    ['p_1', '', { n: 3 }],
  ]
  for (const node of [a, b]) {
    await until(() => heard(node).length === 3)
    assert.deepEqual(heard(node), all)
    const path = '/v1/workflows/p_1/event_summaries?expand=event'
    const { data } = (await client(node.url).ask(path)).body
    assert.deepEqual(
      data.map((/** @type {any} */ { event }) => event),
      [{ n: 3 }, { raw_event: { n: 2 } }, { n: 1 }],
    )
    assert.equal(data.at(-1).id, log.response.id)
  }
})

test('a subscription that one node takes leads to the listeners of the other', async (t) => {
  const { a, b } = await twoNodes(t, { listens: [{ listenerId: 'p_listener' }] })
  const subscription = { emitter_id: 'p_1', listener_id: 'p_listener', event_name: 'orders' }
  const { ask, post } = client(b.url)
  const { body } = await post('/v1/subscriptions', subscription)
  const again = await client(a.url).post('/v1/subscriptions', subscription)
  assert.equal(again.body.data.id, body.data.id)
  await a.send('p_1', [
    ['emit', { n: 1 }, 'orders'],
    ['emit', { n: 2 }],
  ])
  for (const node of [a, b]) await until(() => heard(node).length)
  const query = new URLSearchParams(subscription)
  const ended = await client(a.url).ask(`/v1/subscriptions?${query}`, { method: 'DELETE' })
  assert.equal(ended.status, 204)
  assert.deepEqual((await ask('/v1/users/me/subscriptions')).body.data, [])
  await b.send('p_1', [['emit', { n: 3 }, 'orders']])
  assert.deepEqual(heard(a), [['p_1', 'orders', { n: 1 }]])
})

test('a subscription that two nodes take at once is one, and ends as one', async (t) => {
  const { a, b } = await twoNodes(t, { listens: [{ listenerId: 'p_listener' }] })
  const nodes = [client(a.url), client(b.url)]
  const of = (/** @type {number} */ n) => ({ emitter_id: `p_${n}`, listener_id: 'p_listener' })
  const listed = async (/** @type {ReturnType<typeof client>} */ { ask }) =>
    (await ask('/v1/users/me/subscriptions')).body.data.map(
      (/** @type {any} */ { emitter_id }) => emitter_id,
    )
  const count = 20
  for (let n = 0; n < count; n++)
    await Promise.all(nodes.map(({ post }) => post('/v1/subscriptions', of(n))))
  const all = Array.from({ length: count }, (_, n) => `p_${n}`)
  for (const node of nodes) {
    await until(async () => (await listed(node)).length === count)
    assert.deepEqual(await listed(node), all)
  }
  const { ask } = nodes[0]
  for (let n = 0; n < count; n++)
    assert.equal(
      (await ask(`/v1/subscriptions?${new URLSearchParams(of(n))}`, { method: 'DELETE' })).status,
      204,
    )
  for (const node of nodes) await until(async () => (await listed(node)).length === 0)
})

test('a webhook of one node gets at once what the other emits, from one node', async (t) => {
  const { a, b } = await twoNodes(t)
  const target = await receiver(t)
  for (let round = 0; round < 10; round++) {
    const [here, there] = round % 2 ? [a, b] : [b, a]
    const { id } = await webhooks(client(here.url)).make(`${target.origin}/${round}`)
    const [log] = await there.send('p_1', [['emit', { round }]])
    assert.equal(log.status, 'delivered', JSON.stringify(log.error))
    assert.ok(log.response.webhooks.includes(id), 'the webhook is known')
    assert.equal(log.response.webhooks.length, round + 1)
  }
  const total = (10 * 11) / 2
  await until(() => target.requests.length >= total)
  await Promise.all([a.call('flush'), b.call('flush')])
  assert.equal(target.requests.length, total)
  const keys = new Set(target.requests.map(({ headers }) => headers['idempotency-key']))
  assert.equal(keys.size, total)
})

test('a webhook is paused, changed and removed at any node', async (t) => {
  const { a, b } = await twoNodes(t)
  const target = await receiver(t)
  const [atA, atB] = [a, b].map(({ url }) => webhooks(client(url)))
  const { id } = await atA.make(`${target.origin}/one`)
  await atB.changed(id, { active: false })
  assert.equal((await atA.one(id)).state, 'paused')
  await a.send('p_1', [['emit', { n: 1 }]])
  await b.send('p_1', [['emit', { n: 2 }]])
  const held = async () => (await client(a.url).ask(`/v1/deliveries?workflow_id=${id}`)).body.data
  await until(async () => (await held()).length === 2)
  assert.equal(target.requests.length, 0)
  await atA.changed(id, { active: true, url: `${target.origin}/two` })
  await until(() => target.requests.length === 2)
  assert.deepEqual(new Set(target.requests.map(({ path }) => path)), new Set(['/two']))
  const { status } = await client(b.url).ask(`/v1/webhooks/${id}`, { method: 'DELETE' })
  assert.equal(status, 204)
  const [log] = await a.send('p_1', [['emit', { n: 3 }]])
  assert.deepEqual(log.response.webhooks, [])
  assert.deepEqual(await atA.listed(), [])
})

test('a webhook that answered 410 to one node is disabled at the other', async (t) => {
  const { a, b } = await twoNodes(t)
  const gone = await receiver(t, (_request, response) => response.writeHead(410).end())
  const { id } = await webhooks(client(a.url)).make(gone.url)
  await b.send('p_1', [['emit', { n: 1 }]])
  for (const { url } of [a, b])
    await until(async () => (await webhooks(client(url)).one(id)).state === 'disabled')
  const [log] = await a.send('p_1', [['emit', { n: 2 }]])
  assert.deepEqual(log.response.webhooks, [])
})

test('an execution that failed is in $errors, at listeners and webhooks of any node', async (t) => {
  const { a, b } = await twoNodes(t, { listens: [{ emitterId: 'p_1', eventName: '$errors' }] })
  const target = await receiver(t)
  const { ask, post } = client(b.url)
  const hook = (await post('/v1/webhooks', { url: target.url })).body.data
  const subscribed = { emitter_id: '*', listener_id: hook.id, event_name: '$errors' }
  assert.equal((await post('/v1/subscriptions', subscribed)).status, 200)
  await a.send('p_1', [], 'it broke')
  await until(() => target.requests.length === 1)
  assert.equal(JSON.parse(target.requests[0].text).error.message, 'it broke')
  for (const node of [a, b]) {
    await until(() => heard(node).length === 1)
    assert.equal(heard(node)[0][2].error.message, 'it broke')
  }
  const summaries = (await ask('/v1/workflows/p_1/$errors/event_summaries')).body.data
  assert.equal(summaries.length, 1)
})

test("onFailed: 'emit' tells listeners of any node of a dead letter, once", async (t) => {
  const listens = [{ emitterId: '*', eventName: 'dead_letter' }]
  const { a, b } = await twoNodes(t, { onFailed: 'emit', listens })
  const failing = await receiver(t, (_request, response) => response.writeHead(500).end())
  const other = await receiver(t, (_request, response) => response.writeHead(500).end())
  const urls = [failing.url, other.url]
  await a.send(
    'p_1',
    urls.map((url) => ['http', { method: 'POST', url }]),
  )
  for (const node of [a, b]) {
    await until(() => heard(node).length === 2)
    assert.deepEqual(
      new Set(heard(node).map(([, , { status, destination }]) => `${status} ${destination}`)),
      new Set(['failed http']),
    )
  }
})

test('nodes that are killed while they emit leave no webhook out', async (t) => {
  const database = await fleetDatabase(t)
  const settings = { journal: database.journal(), server }
  const records = await startNode(t, { ...settings, deliver: false })
  const target = await receiver(t)
  await webhooks(client(records.url)).make(target.url)
  const ids = () => new Set(target.requests.map(({ headers }) => headers['webhook-id']))
  for (let round = 0; round < 3; round++) {
    const victim = await startNode(t, settings)
    const emits = Array.from({ length: 20 }, (_, n) => ['emit', { n: 20 * round + n }])
    records.send('p_1', emits).catch(() => {})
    await Promise.race([
      until(() => ids().size > 20 * round + 5),
      new Promise((resolve) => setTimeout(resolve, 3000)),
    ])
    victim.signal('SIGKILL')
  }
  await startNode(t, settings)
  await until(() => ids().size === 60)
  const [{ n }] = await database.rows('SELECT count(*) AS n FROM fleet.events')
  assert.equal(n, 60)
  t.diagnostic(`${target.requests.length} requests of 60 events`)
})
