// Dead letters of nodes that share a journal: each is replayed or dismissed once, however many ask.

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { fleetDatabase, startNode, until } from '../support/fleet.mjs'
import { receiver } from '../support/receiver.mjs'

const CALLS = 200
const UNDER_WAY = 'a replay of this call is under way'

/** Answers servers that hold requests until they are let go, and fail them. @param {import('node:test').TestContext} t */
async function failing(t) {
  /** @type {Array<() => void>} */
  let held = []
  let isHeld = false
  /** @type {string[]} */
  const received = []
  const handler = (/** @type {any} */ { path, text }, /** @type {any} */ response) => {
    received.push(`${JSON.parse(text).executionId} ${path}`)
    response.statusCode = 500
    if (isHeld) held.push(() => response.end())
    else response.end()
  }
  const servers = await Promise.all(Array.from({ length: 4 }, () => receiver(t, handler)))
  return {
    urls: Array.from({ length: 10 }, (_, call) => `${servers[call % 4].url}/${call}`),
    received,
    hold() {
      isHeld = true
    },
    letGo() {
      isHeld = false
      for (const end of held) end()
      held = []
    },
  }
}

/** Two nodes, and 200 dead letters of them. @param {import('node:test').TestContext} t */
async function withDeadLetters(t) {
  const database = await fleetDatabase(t)
  const hosts = await failing(t)
  const settings = { journal: database.journal({ leaseMs: 20_000 }) }
  const nodes = [await startNode(t, settings), await startNode(t, settings)]
  for (let run = 0; run < CALLS / 10; run++) nodes[run % 2].record(`run-${run}`, hosts.urls)
  const isOver = async () => {
    const open = 'SELECT coalesce(sum(open), -1) AS open, count(*) AS runs FROM fleet.executions'
    const [found] = await database.rows(open)
    return Number(found.runs) === CALLS / 10 && Number(found.open) === 0
  }
  await until(isOver)
  const rows = await database.rows('SELECT id FROM fleet.deliveries')
  assert.equal(rows.length, CALLS)
  return { database, nodes, hosts, isOver, ids: rows.map(({ id }) => id) }
}

test('dead letters that two nodes replay at once are each received once', async (t) => {
  const { database, nodes, hosts, isOver, ids } = await withDeadLetters(t)
  const shares = [0, 0]
  for (let round = 0; round < 10; round++) {
    const before = hosts.received.length
    hosts.hold()
    const halves = [ids.slice(0, CALLS / 2), ids.slice(CALLS / 2)]
    // Each node begins with another half.
    const requests = [0, 1, 0, 1].map((node, place) =>
      nodes[node].call('replay', { ids: halves[place === 0 || place === 3 ? 0 : 1] }),
    )
    const results = await Promise.all(requests)
    results.forEach(({ replayed, skipped }, place) => {
      shares[place % 2] += replayed.length
      assert.equal(replayed.length + skipped.length, CALLS / 2)
      for (const { reason } of skipped) assert.equal(reason, UNDER_WAY)
    })
    const replays = results.flatMap(({ replayed }) => replayed)
    assert.equal(replays.length, CALLS)
    assert.equal(new Set(replays.map(({ replayOf }) => replayOf)).size, CALLS)
    hosts.letGo()
    await until(isOver)
    const calls = hosts.received.slice(before)
    assert.equal(calls.length, CALLS, `round ${round}`)
    assert.equal(new Set(calls).size, CALLS)
  }
  t.diagnostic(`replays of the two nodes: ${shares.join(' and ')}`)
  const [counts] = await database.rows(
    'SELECT sum(total) AS total, sum(failed) AS failed FROM fleet.executions',
  )
  assert.deepEqual([Number(counts.total), Number(counts.failed)], [CALLS, CALLS])
})

test('a dead letter that one node replays and another dismisses is one or the other', async (t) => {
  const { database, nodes, hosts, isOver, ids } = await withDeadLetters(t)
  const before = hosts.received.length
  hosts.hold()
  const replaying = nodes[0].call('replay', { ids: ids.slice(0, CALLS / 2) })
  const begun = 'SELECT 1 FROM fleet.deliveries WHERE replayed_by IS NOT NULL LIMIT 1'
  await until(async () => (await database.rows(begun)).length)
  const [{ replayed, skipped }, one, other] = await Promise.all([
    replaying,
    nodes[1].call('dismiss', { ids }),
    nodes[1].call('dismiss', { ids }),
  ])
  hosts.letGo()
  await until(isOver)
  const dismissed = await database.rows(
    'SELECT id FROM fleet.deliveries WHERE dismissed_at IS NOT NULL',
  )
  t.diagnostic(`${replayed.length} replayed, ${dismissed.length} dismissed`)
  assert.equal(dismissed.length, one + other)
  assert.equal(replayed.length + skipped.length, CALLS / 2)
  assert.ok(replayed.length > 0 && dismissed.length > 0)
  assert.equal(replayed.length + dismissed.length, CALLS)
  assert.equal(hosts.received.length - before, replayed.length)
  const replays = new Set(replayed.map((/** @type {any} */ { replayOf }) => replayOf))
  for (const { id } of dismissed) assert.ok(!replays.has(id), id)
})
