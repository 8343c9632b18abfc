// Journals of older layouts: a node of this version opens what an older one left. Nothing is lost, and everything
// is readable and delivered.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'

import pg from 'pg'

import { LOCAL, openEngine } from '../support/engine.mjs'
import { fleetDatabase, until } from '../support/fleet.mjs'
import { receiver } from '../support/receiver.mjs'
import { at, s3Server } from '../support/s3.mjs'

const read = (/** @type {string} */ path) => readFileSync(new URL(path, import.meta.url), 'utf8')

const DUMP = read('../fixtures/postgres-layouts/1.sql')
const MOVES = `SET search_path TO fleet; ${read('../../src/journal/postgres/moves.sql')}`
const STREAMS = read('../../src/journal/postgres/streams.sql')

/** The layouts that nodes have left, each with the statements that make it. */
const LAYOUTS = Object.entries({
  1: DUMP,
  '1 with the tables of a move': DUMP + MOVES,
  2: `${DUMP}${MOVES}; UPDATE fleet.meta SET version = 2`,
  3: `${DUMP}${MOVES}; ${STREAMS}; UPDATE fleet.meta SET version = 3`,
})

/** @param {string} url @param {string} sql */
async function run(url, sql) {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  await client.query(sql)
  await client.end()
}

/** The workflow, the bucket and the hosts of the fixture, and a node. @param {import('node:test').TestContext} t */
async function nodeOf(t, /** @type {string} */ sql) {
  const database = await fleetDatabase(t)
  await run(database.url, sql)
  // The requests of the fixture come here, as those of a proxy.
  const hosts = await receiver(t)
  const bucket = await s3Server(t)
  const node = await openEngine(t, {
    journal: database.journal(),
    egress: { allow: [...LOCAL.allow, 'localhost'], proxy: hosts.origin, noProxy: ['localhost'] },
    s3: /** @type {any} */ (
      at(bucket.endpoint.replace('127.0.0.1', 'localhost'), { batch: { intervalMs: 100 } })
    ),
    http: { retry: { scheduleMs: [600_000] } },
    log: { maxAgeDays: 3650 },
  })
  return { database, hosts, bucket, node }
}

for (const [layout, sql] of LAYOUTS)
  test(`what waits in layout ${layout} is delivered, and its log is read`, async (t) => {
    const { database, hosts, bucket, node } = await nodeOf(t, sql)
    assert.deepEqual(await database.rows('SELECT version FROM fleet.meta'), [{ version: 4 }])
    const ids = async (/** @type {any} */ status) =>
      (await node.deliveries({ status })).map(({ executionId }) => executionId).sort()
    const objects = await until(async () => (await bucket.objects()).length && bucket.objects())
    assert.equal(objects.length, 1)
    assert.deepEqual(
      objects[0].lines.map((line) => JSON.parse(line).call),
      [0, 1, 2, 3, 4],
    )
    await until(async () => (await ids('delivered')).length === 8)
    const ends = [...Array(5).fill('batched'), ...Array(3).fill('done')]
    assert.deepEqual(await ids('delivered'), ends)
    assert.deepEqual(await ids('failed'), ['failed', 'failed'])
    const [dead] = await node.deliveries({ status: 'failed' })
    assert.equal(dead.error?.code, 'ERR_SEND_STATUS')
    await until(() => node.stats().pauses.length === 1)
    const again = await until(async () => {
      const waiting = await node.deliveries({ status: 'pending' })
      return waiting.find(({ executionId }) => executionId === 'retried')
    })
    assert.equal(again.attempts, 1)
    assert.equal(hosts.requests.length, 0, 'the pause holds')

    await node.resume({ workflowId: 'p_old' })
    await until(() => hosts.requests.filter(({ path }) => path.endsWith('/waits')).length === 4)
    await node.retryNow({ status: 'pending' })
    const { replayed } = await node.replay({ status: 'failed' })
    assert.equal(replayed.length, 2)
    await until(async () => (await node.deliveries({ status: 'pending' })).length === 0)
    const calls = hosts.requests.map(({ path, text }) => [path, JSON.parse(text).call])
    assert.deepEqual(calls.map(String).sort(), [
      'http://127.0.0.1:47801/again,again',
      ...[0, 1].map((call) => `http://127.0.0.1:47801/dead,${call}`),
      ...[0, 1, 2, 3].map((call) => `http://127.0.0.1:47801/waits,${call}`),
    ])
    assert.deepEqual(await database.rows('SELECT 1 FROM fleet.batches'), [])
    const open = 'SELECT 1 FROM fleet.executions WHERE open <> 0 OR finished_at IS NULL'
    assert.deepEqual(await database.rows(open), [])
  })
