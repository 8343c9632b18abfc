// The servers of nodes that share a journal: each shows the log of all, also one that delivers nothing.

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { fleetDatabase, startNode, until } from '../support/fleet.mjs'
import { following, readTo } from '../support/following.mjs'
import { follow } from '../support/log-stream.mjs'
import { receiver } from '../support/receiver.mjs'
import { client } from '../support/serving.mjs'

const server = { port: 0 }

/** @param {Awaited<ReturnType<typeof fleetDatabase>>} database */
async function owners(database) {
  const rows = await database.rows('SELECT DISTINCT owner FROM fleet.shards WHERE owner > 0')
  return rows.length
}

/** The values of `/metrics` without labels. @param {string} url */
async function metrics(url) {
  const { text } = await client(url).ask('/metrics')
  const lines = [...text.matchAll(/^dollar_send_(\w+) (\S+)$/gm)]
  return Object.fromEntries(lines.map(([, name, value]) => [name, Number(value)]))
}

test('a node that does not deliver takes no shards, records, and shows everything', async (t) => {
  const database = await fleetDatabase(t)
  const target = await receiver(t)
  const urls = Array.from({ length: 12 }, () => target.url)
  const journal = database.journal({ leaseMs: 20_000 })
  const shows = await startNode(t, { journal, server, deliver: false })
  shows.record('run-0', urls)
  await until(() => shows.words('kept').length)
  assert.equal(await owners(database), 0)
  const { ask } = client(shows.url)
  const before = (await ask('/overview')).body
  assert.equal(before.waiting, 12)
  assert.ok(Date.parse(before.oldestWaitingAt) <= Date.now())
  assert.equal((await metrics(shows.url)).fleet_shards, 0)
  assert.ok((await fetch(`${shows.url}/readyz`)).ok)

  const delivers = await startNode(t, { journal, server })
  await until(() => shows.words('settled').length)
  delivers.record('run-1', urls)
  await until(() => delivers.words('settled').length)
  assert.equal(await owners(database), 1)
  assert.equal(target.requests.length, 24)
  assert.equal(shows.words('ended').length, 0)
  for (const { url } of [shows, delivers]) {
    const node = client(url)
    const runs = (await node.ask('/v1/executions')).body.data
    assert.deepEqual(
      runs.map((/** @type {any} */ run) => [run.executionId, run.delivered]),
      [
        ['run-1', 12],
        ['run-0', 12],
      ],
    )
    const page = (await node.ask('/v1/deliveries?limit=100')).body
    assert.equal(page.page_info.total_count, 24)
    const { hosts, waiting } = (await node.ask('/overview')).body
    assert.deepEqual([hosts[0].delivered, waiting], [24, 0])
    assert.match((await node.ask('/')).text, /<html/)
  }
  // The lease and its figures are renewed a few times in a lease.
  await until(async () => (await metrics(delivers.url)).fleet_nodes === 2)
  const figures = await metrics(delivers.url)
  assert.equal(figures.fleet_shards, 64)
  assert.ok(figures.fleet_lease_age_seconds >= 0 && figures.fleet_lease_age_seconds < 20)
  assert.equal(figures.fleet_inbox, 0)
  assert.equal(figures.fleet_inbox_lag_seconds, 0)
})

test('log -f at one node shows the deliveries of all, each once', async (t) => {
  const database = await fleetDatabase(t)
  const target = await receiver(t)
  const journal = database.journal({ leaseMs: 20_000 })
  const shows = await startNode(t, { journal, server, deliver: false })
  const nodes = await Promise.all([1, 2].map(() => startNode(t, { journal })))
  const send = (/** @type {typeof shows} */ node, /** @type {string} */ workflow, calls = 1) =>
    node.send(workflow, Array(calls).fill(['http', { method: 'POST', url: target.url }]))
  await send(nodes[0], 'before')
  const follower = following(t, '--json', '--url', shows.url)
  const isOf = (/** @type {string} */ workflow) => (/** @type {any} */ row) =>
    row.workflowId === workflow
  await readTo(follower, isOf('before'))
  const runs = Array.from({ length: 20 }, (_, n) => send(nodes[n % 2], `p_${n % 2}`, 10))
  const sent = (await Promise.all(runs)).flat()
  /** @type {any[]} */
  const seen = []
  while (seen.length < sent.length) seen.push(JSON.parse(await follower.next()))
  const ids = (/** @type {{ id: string }[]} */ rows) => rows.map(({ id }) => id).sort()
  assert.deepEqual(ids(seen), ids(sent))
  assert.equal(seen.length, 200)
  for (const workflow of ['p_0', 'p_1']) assert.equal(seen.filter(isOf(workflow)).length, 100)
  await send(nodes[1], 'last')
  assert.deepEqual(await readTo(follower, isOf('last')), [])
  await follower.end()
})

test('a page shows what any node does, as it happens', async (t) => {
  const database = await fleetDatabase(t)
  const target = await receiver(t)
  const journal = database.journal({ leaseMs: 20_000 })
  const shows = await startNode(t, { journal, server, deliver: false })
  const delivers = await startNode(t, { journal })
  const stream = await follow(t, shows.url)
  const follows = 'SELECT 1 FROM fleet.nodes WHERE follows'
  await until(async () => (await database.rows(follows)).length)
  const delivered = new Set()
  const urls = Array.from({ length: 5 }, () => target.url)
  let run = 0
  // The other node notices within a moment that its changes are wanted.
  while (delivered.size < 50) {
    delivers.record(`run-${run++}`, urls)
    const next = stream.next()
    let event
    while (!event) {
      const tick = new Promise((resolve) => setTimeout(resolve, 300))
      event = await Promise.race([next, tick])
      if (!event) delivers.record(`run-${run++}`, urls)
    }
    assert.equal(event.type, 'change')
    for (const { id, executionId, status } of event.data.deliveries) {
      assert.match(executionId, /^run-/)
      if (status === 'delivered') delivered.add(id)
    }
  }
  stream.end()
  await until(async () => (await database.rows(follows)).length === 0)
})

test('dead letters are replayed and dismissed by the server of a node that does not deliver', async (t) => {
  const database = await fleetDatabase(t)
  let status = 500
  const target = await receiver(t, (_request, response) => {
    response.statusCode = status
    response.end()
  })
  const journal = database.journal({ leaseMs: 20_000 })
  const shows = await startNode(t, { journal, server, deliver: false })
  const delivers = await startNode(t, { journal })
  delivers.record('run', [target.url, target.url, target.url])
  await until(() => delivers.words('settled').length)
  const { ask, post } = client(shows.url)
  const [first, second] = (await ask('/v1/deliveries?status=failed')).body.data
  status = 200
  const replay = await post('/v1/replays', { ids: [first.id] })
  assert.equal(replay.body.data.replayed.length, 1)
  const dismissal = await post('/v1/dismissals', { ids: [second.id] })
  assert.equal(dismissal.body.data.dismissed, 1)
  const counts = async () => {
    const [run] = (await ask('/v1/executions')).body.data
    return [run.delivered, run.failed, run.dismissed]
  }
  await until(async () => String(await counts()) === '1,1,1')
  assert.equal(target.requests.length, 4)
})
