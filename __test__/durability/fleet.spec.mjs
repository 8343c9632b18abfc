// The journal in PostgreSQL, with one node.

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { Engine } from '../../js/index.mjs'
import { LOCAL, openEngine } from '../support/engine.mjs'
import { fleetDatabase, KEY, until } from '../support/fleet.mjs'
import { PATIENT } from '../support/patience.mjs'
import { receiver } from '../support/receiver.mjs'

/**
 * Records calls to a URL in one execution.
 *
 * @param {Engine} engine
 * @param {string} url
 * @param {number} calls
 */
async function record(engine, url, calls) {
  const execution = engine.execution({ workflowId: 'p_fleet' })
  const { $send } = execution.step('step')
  for (let call = 0; call < calls; call++) $send.http({ method: 'POST', url, data: { call } })
  const receipt = await execution.complete()
  return { execution, receipt }
}

test('calls are delivered from the database, and the log is there', async (t) => {
  const database = await fleetDatabase(t)
  const server = await receiver(t)
  const engine = await openEngine(t, { journal: database.journal() })
  const { execution, receipt } = await record(engine, server.url, 20)
  assert.deepEqual([receipt.recorded, receipt.durable], [20, true])
  const log = await execution.settled(PATIENT)
  assert.deepEqual(new Set(log.map(({ status }) => status)), new Set(['delivered']))
  const deliveries = await engine.deliveries({ limit: 100 })
  assert.equal(deliveries.length, 20)
  const [run] = await engine.executions()
  assert.deepEqual([run.status, run.delivered, run.total, run.pending], ['completed', 20, 20, 0])
  await engine.close()
  const [row] = await database.rows('SELECT total, open, delivered FROM fleet.executions')
  assert.deepEqual(row, { total: 20, open: 0, delivered: 20 })
  for (const table of ['commits', 'attempts', 'inbox'])
    assert.deepEqual(await database.rows(`SELECT * FROM fleet.${table}`), [], table)
})

test('payloads are encrypted until they are delivered', async (t) => {
  const database = await fleetDatabase(t)
  const held = await receiver(t, () => {})
  const engine = await openEngine(t, { journal: database.journal() })
  const execution = engine.execution({ workflowId: 'p_fleet' })
  const headers = { authorization: 'Bearer very-secret' }
  execution.step('step').$send.http({ url: held.url, headers })
  await execution.complete()
  await held.received(1)
  const [{ n }] = await database.rows('SELECT count(*) AS n FROM fleet.commits')
  assert.equal(n, 1)
  const dump = await database.psql('SELECT sealed::text FROM fleet.commits')
  assert.ok(!Buffer.from(dump.slice(2), 'hex').includes('very-secret'))
})

test('dead letters are replayed and dismissed', async (t) => {
  const database = await fleetDatabase(t)
  let status = 500
  const server = await receiver(t, (_request, response) => {
    response.statusCode = status
    response.end()
  })
  const engine = await openEngine(t, { journal: database.journal() })
  const { execution } = await record(engine, server.url, 3)
  const failed = await execution.settled(PATIENT)
  assert.deepEqual(
    failed.map((delivery) => delivery.status),
    ['failed', 'failed', 'failed'],
  )
  status = 200
  const { replayed } = await engine.replay({ ids: [failed[0].id, failed[1].id] })
  assert.equal(replayed.length, 2)
  await engine.flush(PATIENT)
  await engine.dismiss({ ids: [failed[2].id] })
  const [run] = await engine.executions()
  assert.deepEqual([run.delivered, run.failed, run.dismissed, run.total], [2, 0, 1, 3])
  const [again] = (await engine.replay({ ids: [failed[0].id] })).skipped
  assert.match(again.reason, /delivered/)
})

test('a restart of the database in between loses nothing', async (t) => {
  const database = await fleetDatabase(t)
  const server = await receiver(t)
  const engine = await openEngine(t, { journal: database.journal() })
  let kept = 0
  for (let round = 0; round < 3; round++) {
    const recording = Array.from({ length: 20 }, () => record(engine, server.url, 2))
    await database.stop()
    const more = record(engine, server.url, 2)
    await database.start()
    await Promise.all([...recording, more])
    kept += 42
  }
  await engine.flush(PATIENT)
  const deliveries = await engine.deliveries({ limit: 1000 })
  assert.equal(deliveries.length, kept)
  assert.ok(deliveries.every(({ status }) => status === 'delivered'))
  const keys = new Set(server.requests.map(({ headers }) => headers['idempotency-key']))
  assert.equal(keys.size, kept)
  const open = await database.rows('SELECT * FROM fleet.executions WHERE finished_at IS NULL')
  assert.deepEqual(open, [])
})

test('complete() rejects after journal.patienceMs and keeps the calls', async (t) => {
  const database = await fleetDatabase(t)
  const server = await receiver(t)
  const engine = await openEngine(t, { journal: database.journal({ patienceMs: 300 }) })
  await database.stop()
  const execution = engine.execution({ workflowId: 'p_fleet' })
  execution.step('step').$send.http({ url: server.url })
  await assert.rejects(execution.complete(), { code: 'ERR_SEND_JOURNAL', message: /patienceMs/ })
  await database.start()
  // Each refusal keeps the calls, so that the hook can fire until the database is there.
  await until(() =>
    execution.complete().then(
      () => true,
      () => false,
    ),
  )
  assert.equal((await execution.settled(PATIENT)).length, 1)
  assert.equal(server.requests.length, 1)
})

test('what an earlier process left is delivered', async (t) => {
  const database = await fleetDatabase(t)
  const server = await receiver(t, () => {})
  const first = await openEngine(t, { journal: database.journal() })
  await record(first, server.url, 5)
  await server.received(5)
  await first.close({ timeoutMs: 0 })
  const working = await receiver(t)
  const second = await openEngine(t, { journal: database.journal() })
  await record(second, working.url, 1)
  await until(() => server.requests.length === 10)
  await until(async () => (await second.deliveries({ status: 'delivered' })).length === 1)
  const waiting = await second.deliveries({ status: 'in-flight' })
  assert.equal(waiting.length, 5)
  assert.match(waiting[0].warnings[0], /may have been received before/)
})

test('what cannot be is refused before anything is taken', async (t) => {
  const database = await fleetDatabase(t)
  const journal = database.journal()
  await openEngine(t, { journal })
  const other = Buffer.alloc(32, 8).toString('base64')
  const { postgres } = journal
  for (const [wrong, message] of /** @type {Array<[any, RegExp]>} */ ([
    [{ ...journal, key: other }, /journal\.key: .* has another key/],
    [{ ...journal, postgres: { ...postgres, shards: 8 } }, /has 64 shards, not 8/],
    [{ key: KEY, postgres: { url: postgres.url.replace('secret-of', 'no') } }, /password/],
    [{ key: KEY, postgres: { url: 'postgres://u@127.0.0.1:1/d' } }, /not reachable/],
  ]))
    await assert.rejects(Engine.open({ journal: wrong, egress: LOCAL }), { message })
})
