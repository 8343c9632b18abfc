// Nodes whose database is behind PgBouncer in transaction mode: no statement may need the session of
// the one before it.

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { fleetDatabase, startNode, until } from '../support/fleet.mjs'
import { pooler } from '../support/pgbouncer.mjs'
import { receiver } from '../support/receiver.mjs'

test('two nodes behind a pooler in transaction mode share the work, and one takes over', async (t) => {
  const database = await fleetDatabase(t)
  const target = await receiver(t)
  // Fewer than the nodes have: they change connections all the time.
  const url = await pooler(t, database.url, 3)
  const journal = database.journal()
  const behind = { ...journal, postgres: { ...journal.postgres, url } }
  const [one, two] = [
    await startNode(t, { journal: behind }),
    await startNode(t, { journal: behind }),
  ]
  const owners = async () =>
    (await database.rows('SELECT DISTINCT owner FROM fleet.shards WHERE owner > 0')).length
  await until(async () => (await owners()) === 2)
  const urls = Array.from({ length: 20 }, (_, n) => `${target.origin}/${n}`)
  for (let run = 0; run < 10; run++) one.record(`one-${run}`, urls)
  await until(() => one.words('settled').length === 10)
  assert.equal(target.requests.length, 200)
  assert.equal(new Set(target.requests.map(({ headers }) => headers['idempotency-key'])).size, 200)
  const log = /** @type {any[]} */ (await two.call('executions', { limit: 100 }))
  assert.deepEqual([log.length, log[0].delivered], [10, 20])

  two.record('late', urls)
  await until(() => two.words('kept').length)
  one.signal('SIGKILL')
  await until(() => two.words('settled').length)
  await until(async () => (await owners()) === 1)
  two.record('after', urls)
  await until(() => two.words('settled').length === 2)
  assert.equal(new Set(target.requests.map(({ headers }) => headers['idempotency-key'])).size, 240)
})
