// Batches of nodes that share a journal: the node that stores one is killed, and another takes over.

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { fleetDatabase, startNode, until } from '../support/fleet.mjs'
import { at, faulty, s3Server } from '../support/s3.mjs'

const RECORDS = 20

for (const [moment, fault] of /** @type {Array<[string, 'hang' | 'keep']>} */ ([
  ['before it is stored', 'hang'],
  ['after it is stored', 'keep'],
])) {
  test(`a sealed batch whose node is killed ${moment} is one object, once`, async (t) => {
    const database = await fleetDatabase(t)
    const server = await s3Server(t)
    let faults = 0
    const front = await faulty(t, server.port, ({ method }) =>
      method === 'PUT' && faults++ === 0 ? fault : undefined,
    )
    const puts = () => front.requests.filter(({ method }) => method === 'PUT')
    const journal = database.journal()
    const settings = { journal, s3: at(front.endpoint, { batch: { intervalMs: 200 } }) }
    const seals = await startNode(t, settings)
    seals.record('run', [], RECORDS)
    await until(() => puts().length)
    if (fault === 'keep') await until(async () => (await server.objects()).length)
    const sealed = await database.rows('SELECT name FROM fleet.batches WHERE conclusion IS NULL')
    assert.equal(sealed.length, 1)
    const next = await startNode(t, settings)
    seals.signal('SIGKILL')
    const killed = Date.now()
    const open = 'SELECT 1 FROM fleet.executions WHERE finished_at IS NULL'
    await until(async () => (await database.rows(open)).length === 0)
    t.diagnostic(`taken over after ${Date.now() - killed} ms`)

    const objects = await server.objects()
    assert.equal(objects.length, 1)
    assert.ok(objects[0].key.includes(objects[0].digest), 'an object is what its name says')
    const calls = objects[0].lines.map((line) => JSON.parse(line).call)
    assert.deepEqual(
      calls,
      Array.from({ length: RECORDS }, (_, call) => call),
    )
    assert.equal(new Set(puts().map(({ path }) => path)).size, 1)
    assert.equal(puts().length, 2)
    await until(async () => (await database.rows('SELECT 1 FROM fleet.batches')).length === 0)
    const log = await database.rows('SELECT status, call_index FROM fleet.deliveries')
    assert.equal(log.length, RECORDS)
    assert.ok(log.every(({ status }) => status === 'delivered'))
    next.record('later', [], 1)
    await until(() => next.words('settled').length)
    assert.equal((await server.objects()).length, 2)
  })
}
