// Nodes that share a journal: real processes, which are killed, stopped and cut off.

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { openEngine } from '../support/engine.mjs'
import { cuttable, fleetDatabase, startNode, until } from '../support/fleet.mjs'
import { receiver } from '../support/receiver.mjs'

/** @param {import('node:test').TestContext} t */
async function hosts(t) {
  const servers = await Promise.all(Array.from({ length: 12 }, () => receiver(t)))
  const urls = servers.map(({ url }) => url)
  const requests = () => servers.flatMap((server) => server.requests)
  /** The executions of which every host has received the call. */
  const complete = (/** @type {string} */ executionId) =>
    servers.every((server) => server.requests.some(({ text }) => text.includes(executionId)))
  return { urls, requests, complete }
}

/** @param {Awaited<ReturnType<typeof fleetDatabase>>} database */
const owners = (database) =>
  database.rows(`SELECT owner, count(*) AS shards FROM fleet.shards GROUP BY owner ORDER BY owner`)

/** @param {Awaited<ReturnType<typeof fleetDatabase>>} database @param {number} nodes */
const isSpread = async (database, nodes) => {
  const found = await owners(database)
  return (
    found.length === nodes && found.every(({ owner, shards }) => owner && shards === 64 / nodes)
  )
}

test('two nodes share the work, and the one that recorded hears of the end', async (t) => {
  const database = await fleetDatabase(t)
  const { urls, requests } = await hosts(t)
  // Longer than a loaded machine makes a process wait: no node is replaced here.
  const settings = { journal: database.journal({ leaseMs: 20_000 }) }
  const one = await startNode(t, settings)
  const two = await startNode(t, settings)
  await until(() => isSpread(database, 2))
  for (let run = 0; run < 10; run++) one.record(`run-${run}`, urls)
  await until(() => one.words('settled').length === 10)
  assert.deepEqual(
    new Set(one.words('settled').map(([, calls, kinds]) => `${calls} ${kinds}`)),
    new Set(['12 1']),
  )
  assert.equal(requests().length, 120)
  assert.ok(one.words('ended').length > 0 && two.words('ended').length > 0)
  assert.equal(one.words('ended').length + two.words('ended').length, 120)
  const rows = await database.rows('SELECT open, delivered FROM fleet.executions')
  assert.ok(rows.every(({ open, delivered }) => open === 0 && delivered === 12))
  await two.end()
  await until(() => isSpread(database, 1))
})

test('a node that is killed is replaced within 15 s', async (t) => {
  const database = await fleetDatabase(t)
  const { urls, requests, complete } = await hosts(t)
  const settings = { journal: database.journal() }
  const one = await startNode(t, settings)
  const two = await startNode(t, settings)
  await until(() => isSpread(database, 2))
  two.signal('SIGKILL')
  const killed = Date.now()
  for (let run = 0; run < 10; run++) one.record(`run-${run}`, urls)
  await until(() => one.words('settled').length === 10)
  const took = Date.now() - killed
  t.diagnostic(`taken over and delivered after ${took} ms`)
  assert.ok(took < 15_000, `${took} ms`)
  for (let run = 0; run < 10; run++) assert.ok(complete(`run-${run}`))
  const keys = new Set(requests().map(({ headers }) => headers['idempotency-key']))
  assert.equal(keys.size, 120)
})

test('a node that stood still changes nothing, and goes on as another', async (t) => {
  const database = await fleetDatabase(t)
  const { urls, complete } = await hosts(t)
  const settings = { journal: database.journal({ leaseMs: 1000 }) }
  const one = await startNode(t, settings)
  const two = await startNode(t, settings)
  await until(() => isSpread(database, 2))
  two.signal('SIGSTOP')
  for (let run = 0; run < 5; run++) one.record(`run-${run}`, urls)
  await until(() => one.words('settled').length === 5)
  two.signal('SIGCONT')
  await until(() => isSpread(database, 2))
  two.record('late', urls)
  await until(() => two.words('settled').length === 1)
  assert.ok(complete('late'))
  const rows = await database.rows('SELECT open, delivered, total FROM fleet.executions')
  assert.ok(rows.every(({ open, delivered, total }) => open === 0 && delivered === total))
})

test('the log is one, and any node answers for it', async (t) => {
  const database = await fleetDatabase(t)
  const { urls } = await hosts(t)
  const one = await startNode(t, { journal: database.journal() })
  one.record('run', urls)
  await until(() => one.words('settled').length)
  const engine = await openEngine(t, { journal: database.journal() })
  const log = await engine.deliveries({ executionId: 'run' })
  assert.equal(log.length, 12)
  const [run] = await engine.executions()
  assert.deepEqual([run.executionId, run.delivered, run.status], ['run', 12, 'completed'])
})

test('a node that is cut from the database is replaced, and comes back', async (t) => {
  const database = await fleetDatabase(t)
  const way = await cuttable(t, database)
  const { urls, complete } = await hosts(t)
  const journal = database.journal({ patienceMs: 500 })
  const one = await startNode(t, { journal })
  const postgres = { ...journal.postgres, url: way.url }
  const two = await startNode(t, { journal: { ...journal, postgres }, server: { port: 0 } })
  const isReady = async () => (await fetch(`${two.url}/readyz`)).ok
  await until(() => isSpread(database, 2))
  assert.ok(await isReady())
  way.cut()
  await until(async () => !(await isReady()))
  two.record('refused', urls)
  await until(() => two.words('refused').length)
  assert.deepEqual(two.words('refused'), [['refused', 'ERR_SEND_JOURNAL']])
  for (let run = 0; run < 5; run++) one.record(`run-${run}`, urls)
  await until(() => one.words('settled').length === 5)
  way.mend()
  await until(() => isSpread(database, 2))
  await until(isReady)
  two.record('late', urls)
  await until(() => two.words('settled').length)
  for (const run of ['run-0', 'run-4', 'late']) assert.ok(complete(run), run)
  assert.ok(!complete('refused'))
})

test('calls of one host keep their order when their node is killed', async (t) => {
  const database = await fleetDatabase(t)
  /** @type {number[]} */
  const calls = []
  const server = await receiver(t, ({ path }, response) => {
    // The 20th is under way until its node is killed; the rest waits.
    if (calls.push(Number(path.slice(1))) !== 20) response.end()
  })
  const settings = { journal: database.journal(), http: { perHostConcurrency: 1 } }
  const records = await startNode(t, { ...settings, deliver: false })
  const victim = await startNode(t, settings)
  const ids = Array.from({ length: 300 }, (_, n) => n)
  records.record(
    'run',
    ids.map((id) => `${server.origin}/${id}`),
  )
  await until(() => calls.length === 20)
  victim.signal('SIGKILL')
  await startNode(t, settings)
  await until(() => records.words('settled').length)
  assert.deepEqual(calls, [...ids.slice(0, 20), ...ids.slice(19)], 'one is repeated, at its place')
})
