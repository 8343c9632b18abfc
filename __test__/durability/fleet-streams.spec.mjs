// The streams of nodes that share a journal: a client follows at any node, and resumes at any other.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'

import { EventSource } from 'eventsource'

import { fleetDatabase, startNode, until } from '../support/fleet.mjs'
import { client } from '../support/serving.mjs'

const server = { port: 0 }
const LEASE = { leaseMs: 20_000 }

/**
 * A client of a stream: the events that it got, each as its number and its data.
 *
 * @param {import('node:test').TestContext} t
 * @param {string} url
 * @param {string} [last] the id of the last event that it has
 */
async function follow(t, url, last) {
  /** @type {{ id: string, n: number, at: number }[]} */
  const events = []
  /** @type {string[]} */
  const gaps = []
  const suffix = last ? `?last_event_id=${last}` : ''
  const source = new EventSource(`${url}/pipelines/p_stream/sse${suffix}`)
  t.after(() => source.close())
  source.addEventListener('n', ({ lastEventId, data }) =>
    events.push({ id: lastEventId, ...JSON.parse(data), at: Date.now() }),
  )
  source.addEventListener(':gap', ({ data }) => gaps.push(data))
  await once(source, 'open')
  return {
    events,
    gaps,
    end: () => source.close(),
    values: () => events.map(({ n }) => n),
    until: (/** @type {number} */ count) => until(() => events.length >= count),
  }
}

const one = (/** @type {number} */ n, more = {}) => [
  'sse',
  { channel: 'n', payload: { n, ...more } },
]

const numbers = (/** @type {number} */ from, /** @type {number} */ to) =>
  Array.from({ length: to - from + 1 }, (_, index) => from + index)

test('a client of any node gets the events of all nodes, in order', async (t) => {
  const database = await fleetDatabase(t)
  const settings = { journal: database.journal(LEASE), server }
  const a = await startNode(t, settings)
  const b = await startNode(t, settings)
  await a.send('p_stream', [one(1)])
  const atA = await follow(t, a.url)
  const atB = await follow(t, b.url)
  const [log] = await a.send('p_stream', [one(2)])
  assert.equal(log.status, 'delivered')
  await b.send(
    'p_stream',
    numbers(3, 40).map((n) => one(n)),
  )
  for (const { events, until, values, gaps } of [atA, atB]) {
    await until(40)
    assert.deepEqual(values(), numbers(1, 40))
    assert.equal(log.response.id, events[1].id)
    assert.deepEqual(gaps, [])
  }
  assert.deepEqual(
    atA.events.map(({ id }) => id),
    atB.events.map(({ id }) => id),
  )
  const { streams } = (await client(b.url).ask('/overview')).body
  assert.deepEqual(
    streams.map((/** @type {any} */ stream) => [stream.workflowId, stream.followers, stream.kept]),
    [['p_stream', 1, 40]],
  )
})

test('an event comes to the other node within moments', async (t) => {
  const database = await fleetDatabase(t)
  const settings = { journal: database.journal(LEASE), server }
  const a = await startNode(t, settings)
  const b = await startNode(t, settings)
  // A queue that another node takes over waits for it.
  const shares = `SELECT 1 FROM fleet.shards GROUP BY owner HAVING count(*) = 32`
  await until(async () => (await database.rows(shares)).length === 2)
  await a.send('p_stream', [['sse', { channel: 'first', payload: {} }]])
  const clients = [await follow(t, a.url), await follow(t, b.url)]
  /** @type {number[]} */
  const sent = []
  const sending = []
  for (let n = 0; n < 50; n++) {
    sent.push(Date.now())
    sending.push(a.send('p_stream', [one(n)]))
    await new Promise((resolve) => setTimeout(resolve, 40))
  }
  await Promise.all(sending)
  for (const [place, { events, until, values }] of clients.entries()) {
    await until(50)
    // Executions that are completed side by side have no order.
    assert.deepEqual(
      values().toSorted((x, y) => x - y),
      numbers(0, 49),
    )
    const took = events.map(({ n, at }) => at - sent[n]).sort((x, y) => x - y)
    const [p50, p99] = [took[25], took[49]]
    t.diagnostic(`node ${place}: ${p50} ms (p50), ${p99} ms (p99) from the call to the client`)
    assert.ok(p50 < 2000, `${p50} ms`)
  }
})

test('a client resumes at the other node after its node was killed', async (t) => {
  const database = await fleetDatabase(t)
  const settings = { journal: database.journal(), server }
  const a = await startNode(t, settings)
  const b = await startNode(t, settings)
  const atA = await follow(t, a.url)
  await b.send(
    'p_stream',
    numbers(1, 20).map((n) => one(n)),
  )
  await atA.until(20)
  const last = /** @type {{ id: string }} */ (atA.events.at(-1)).id
  a.signal('SIGKILL')
  // Its shards, and what it had begun to publish, are taken over.
  await b.send(
    'p_stream',
    numbers(21, 60).map((n) => one(n)),
  )
  const atB = await follow(t, b.url, last)
  await atB.until(40)
  assert.deepEqual(atB.values(), numbers(21, 60))
  assert.deepEqual(atB.gaps, [])
  const c = await startNode(t, settings)
  const atC = await follow(t, c.url, last)
  await atC.until(40)
  assert.deepEqual(
    atC.events.map(({ id }) => id),
    atB.events.map(({ id }) => id),
  )
})

test('an event is published once, however many nodes are killed while they publish', async (t) => {
  const database = await fleetDatabase(t)
  const settings = { journal: database.journal(), server }
  const watches = await startNode(t, { ...settings, deliver: false })
  const client = await follow(t, watches.url)
  let from = 1
  for (let round = 0; round < 3; round++, from += 30) {
    const victim = await startNode(t, settings)
    watches
      .send(
        'p_stream',
        numbers(from, from + 29).map((n) => one(n)),
      )
      .catch(() => {})
    // In the middle of it, or before, or after.
    await Promise.race([
      client.until(from + 4 * round),
      new Promise((resolve) => setTimeout(resolve, 3000)),
    ])
    victim.signal('SIGKILL')
  }
  await startNode(t, settings)
  await client.until(90)
  const [{ n }] = await database.rows('SELECT count(*) AS n FROM fleet.events')
  assert.equal(n, 90)
  // What a killed node left can come after what was recorded later.
  assert.deepEqual(
    client.values().toSorted((x, y) => x - y),
    numbers(1, 90),
  )
  const ids = client.events.map(({ id }) => {
    const [ms, counter] = id.split('-').map(BigInt)
    return ms * 2n ** 20n + counter
  })
  assert.ok(ids.every((id, place) => place === 0 || id > ids[place - 1]))
})

test('two nodes write into one stream, and every client sees one order', async (t) => {
  const database = await fleetDatabase(t)
  const settings = { journal: database.journal(LEASE), server }
  const a = await startNode(t, settings)
  const b = await startNode(t, settings)
  const clients = [await follow(t, a.url), await follow(t, b.url)]
  const runs = numbers(0, 19).flatMap((run) => [
    a.send('p_stream', [one(4 * run), one(4 * run + 1)]),
    b.send('p_stream', [one(4 * run + 2), one(4 * run + 3)]),
  ])
  await Promise.all(runs)
  const seen = await Promise.all(
    clients.map(async (each) => {
      await each.until(80)
      return each.values()
    }),
  )
  assert.deepEqual(seen[0], seen[1])
  assert.deepEqual(
    seen[0].toSorted((x, y) => x - y),
    numbers(0, 79),
  )
  for (let first = 0; first < 80; first += 2)
    assert.ok(seen[0].indexOf(first) < seen[0].indexOf(first + 1), 'the order of a step')
})

test('without notifications an event is found all the same', async (t) => {
  const database = await fleetDatabase(t)
  const settings = { journal: database.journal(LEASE), server }
  const a = await startNode(t, settings)
  const b = await startNode(t, settings)
  const [{ sql }] = await database.rows(
    `SELECT pg_get_functiondef('fleet.publish'::regproc) AS sql`,
  )
  await database.psql(sql.replace('pg_notify(channel', `pg_notify('lost'`))
  const clients = [await follow(t, a.url), await follow(t, b.url)]
  for (let n = 0; n < 10; n++) await a.send('p_stream', [one(n)])
  for (const each of clients) {
    await each.until(10)
    assert.deepEqual(each.values(), numbers(0, 9))
  }
})

test('a restart of the database loses no event', async (t) => {
  const database = await fleetDatabase(t)
  const settings = { journal: database.journal(LEASE), server }
  const a = await startNode(t, settings)
  const b = await startNode(t, settings)
  const clients = [await follow(t, a.url), await follow(t, b.url)]
  for (let round = 0; round < 3; round++) {
    const sending = a.send(
      'p_stream',
      numbers(20 * round, 20 * round + 19).map((n) => one(n)),
    )
    if (round === 1) {
      await database.stop()
      await database.start()
    }
    await sending
  }
  for (const each of clients) {
    await each.until(60)
    assert.deepEqual(each.values(), numbers(0, 59))
    assert.deepEqual(each.gaps, [])
  }
})
