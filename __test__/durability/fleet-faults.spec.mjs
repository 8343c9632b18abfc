// Faults of the way to a shared journal, one by one.

import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import { once } from 'node:events'
import { test } from 'node:test'

import { openEngine } from '../support/engine.mjs'
import { cuttable, fleetDatabase, startNode, until } from '../support/fleet.mjs'
import { receiver } from '../support/receiver.mjs'

test('a network that loses what is sent is noticed: complete() rejects, and the node goes on', async (t) => {
  const database = await fleetDatabase(t)
  const way = await cuttable(t, database)
  const server = await receiver(t)
  const journal = database.journal({ patienceMs: 1000 })
  journal.postgres.url = way.url
  const engine = await openEngine(t, { journal })
  const record = () => {
    const execution = engine.execution({ workflowId: 'p_fleet' })
    execution.step('step').$send.http({ method: 'POST', url: server.url, data: {} })
    return execution
  }
  await record().complete()
  await server.received(1)

  way.silence()
  const execution = record()
  await assert.rejects(execution.complete(), { code: 'ERR_SEND_JOURNAL' })
  // The old connections stay silent for ever, as behind a firewall that has forgotten them.
  way.mend()
  await until(() =>
    execution.complete().then(
      () => true,
      () => false,
    ),
  )
  await server.received(2)
  assert.equal((await engine.deliveries({})).length, 2)
})

test('a shard that a node took without knowing is served', async (t) => {
  const database = await fleetDatabase(t)
  const paths = new Set()
  const server = createServer((request, response) => {
    paths.add(request.headers.host)
    response.end()
  })
  server.listen(0, '0.0.0.0')
  await once(server, 'listening')
  t.after(() => server.close())
  const { port } = /** @type {import('node:net').AddressInfo} */ (server.address())
  const urls = Array.from({ length: 24 }, (_, at) => `http://127.0.0.${at + 1}:${port}/`)
  const node = await startNode(t, { journal: database.journal() })
  const other = await startNode(t, { journal: database.journal() })
  const owners = 'SELECT owner FROM fleet.shards GROUP BY owner HAVING count(*) = 32'
  await until(async () => (await database.rows(owners)).length === 2)
  other.signal('SIGKILL')
  // As if the commit by which the first took them had not been acknowledged.
  await database.psql(`UPDATE fleet.shards SET epoch = epoch + 1,
    owner = (SELECT min(id) FROM fleet.nodes WHERE NOT is_gone)`)
  node.record('run', urls)
  await until(() => node.words('settled').length)
  assert.equal(paths.size, urls.length)
})
