// Nodes whose clocks are hours or days apart: the database's clock decides what is due, what is old and when
// something was.

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { settableClock, withoutClock } from '../support/clock.mjs'
import { dataDirectory } from '../support/data-dir.mjs'
import { openEngine } from '../support/engine.mjs'
import { fleetDatabase, startNode, until } from '../support/fleet.mjs'
import { receiver } from '../support/receiver.mjs'

const skip = withoutClock()
const DAY_MS = 86_400_000
const NOW = '(extract(epoch FROM clock_timestamp()) * 1000)::bigint'

/**
 * Starts a node whose clock shows what `set` says, at first this.
 *
 * @param {import('node:test').TestContext} t
 * @param {string} offset
 * @param {object} settings
 */
async function nodeAt(t, offset, settings) {
  const { set, env } = settableClock(`${dataDirectory(t)}-clock`)
  set(offset)
  const node = await startNode(t, settings, env)
  return { ...node, set }
}

/** A host whose first response is an error. @param {import('node:test').TestContext} t */
async function failingOnce(t) {
  /** @type {number[]} */
  const arrivals = []
  const host = await receiver(t, (_, response) => {
    arrivals.push(performance.now())
    response.writeHead(arrivals.length > 1 ? 200 : 503).end()
  })
  return { url: host.url, arrivals }
}

for (const [first, next] of [
  ['-1h', '+0d'],
  ['+1d', '+0d'],
  ['+0d', '+1h'],
])
  test(
    `a retry of a node at ${first} is made in time by a node at ${next}`,
    { skip },
    async (t) => {
      const database = await fleetDatabase(t)
      const { url, arrivals } = await failingOnce(t)
      const retry = { scheduleMs: [5000, 3_600_000] }
      const settings = { journal: database.journal({ leaseMs: 1000 }), http: { retry } }
      const one = await nodeAt(t, first, settings)
      one.record('run', [url])
      await until(async () => {
        const rows = await database.rows('SELECT 1 FROM fleet.attempts WHERE due_at IS NOT NULL')
        return rows.length > 0
      })
      one.signal('SIGKILL')
      await nodeAt(t, next, settings)
      await until(() => arrivals.length === 2)
      const waited = arrivals[1] - arrivals[0]
      t.diagnostic(`again after ${Math.round(waited)} ms`)
      // A load may make it late, and a clock must not.
      assert.ok(waited > 4900 && waited < 60_000, `${waited} ms`)
    },
  )

test('a clock that is set changes no due time, and no time of the log', { skip }, async (t) => {
  const database = await fleetDatabase(t)
  const { url } = await failingOnce(t)
  const settings = { journal: database.journal(), http: { retry: { scheduleMs: [600_000] } } }
  const node = await nodeAt(t, '+0d', settings)
  node.set('-1d')
  node.record('run', [url])
  const [{ wait }] = await until(async () => {
    const rows = await database.rows(
      `SELECT due_at - ${NOW} AS wait FROM fleet.attempts WHERE due_at IS NOT NULL`,
    )
    return rows.length > 0 && rows
  })
  assert.ok(wait > 500_000 && wait <= 600_000, `${wait} ms`)
  node.set('+1d')
  assert.equal(await node.call('retryNow', { status: 'pending' }), 1)
  await until(() => node.words('settled').length)
  const [row] = await database.rows(`SELECT ${NOW} - d.recorded_at AS recorded,
    ${NOW} - d.settled_at AS settled, ${NOW} - e.completed_at AS completed,
    ${NOW} - e.finished_at AS finished
    FROM fleet.deliveries d JOIN fleet.executions e ON e.serial = d.execution`)
  for (const [name, ago] of Object.entries(row))
    assert.ok(Math.abs(ago) < 600_000, `${name} ${ago}`)
})

for (const offset of ['+40d', '-40d'])
  test(`a node at ${offset} removes nothing of the log that is not old`, { skip }, async (t) => {
    const database = await fleetDatabase(t)
    const { url } = await receiver(t)
    const settings = { journal: database.journal(), log: { maxAgeDays: 30 } }
    const partitions = () =>
      database.rows(`SELECT relname FROM pg_class WHERE relname LIKE 'deliveries_d%'
        AND relkind = 'r' ORDER BY relname`)
    const one = await nodeAt(t, '+0d', settings)
    one.record('before', [url])
    await until(() => one.words('settled').length)
    await one.end()
    const before = await partitions()
    const two = await nodeAt(t, offset, settings)
    two.record('run', [url])
    await until(() => two.words('settled').length)
    await two.end()
    assert.deepEqual(await partitions(), before)
    const today = Math.floor(Date.now() / DAY_MS)
    assert.ok(before.some(({ relname }) => relname === `deliveries_d${today}`))
    const engine = await openEngine(t, settings)
    const log = await engine.deliveries()
    assert.deepEqual(log.map(({ executionId }) => executionId).sort(), ['before', 'run'])
  })
