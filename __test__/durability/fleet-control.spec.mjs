// The operator's controls over nodes that share a journal: what one is told, all hold to.

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { fleetDatabase, startNode, until } from '../support/fleet.mjs'
import { receiver } from '../support/receiver.mjs'

/** The time within which every node holds to a pause, and a margin for a loaded machine. */
const EFFECT_MS = 1000

/** Servers that belong to both nodes. @param {import('node:test').TestContext} t @param {any} [answer] */
async function hosts(t, answer) {
  const servers = await Promise.all(Array.from({ length: 12 }, () => receiver(t, answer)))
  return {
    urls: servers.map(({ url }) => url),
    received: () => servers.reduce((sum, { requests }) => sum + requests.length, 0),
  }
}

/** @param {Awaited<ReturnType<typeof fleetDatabase>>} database */
const isSpread = async (database) => {
  const rows = await database.rows(
    'SELECT owner, count(*) AS shards FROM fleet.shards GROUP BY owner',
  )
  return rows.length === 2 && rows.every(({ owner, shards }) => owner && shards === 32)
}

/** @param {import('node:test').TestContext} t @param {object} [options] */
async function twoNodes(t, options = {}) {
  const database = await fleetDatabase(t)
  const settings = { journal: database.journal({ leaseMs: 5000 }), ...options }
  const one = await startNode(t, settings)
  const two = await startNode(t, settings)
  await until(() => isSpread(database))
  return { database, settings, one, two }
}

const moment = () => new Promise((resolve) => setTimeout(resolve, EFFECT_MS))

test('a pause at one node holds at all, also at those that come later, until any resumes', async (t) => {
  const { settings, one, two } = await twoNodes(t)
  const { urls, received } = await hosts(t)
  const [pause] = await one.call('pause', { all: true })
  assert.equal(pause.all, true)
  await moment()
  two.record('run-0', urls)
  one.record('run-1', urls)
  await until(() => one.words('kept').length + two.words('kept').length === 2)
  const late = await startNode(t, settings)
  late.record('run-2', urls)
  await until(() => late.words('kept').length)
  await moment()
  assert.equal(received(), 0)
  // The node that resumes has not been told of the pause by its caller.
  assert.deepEqual(await late.call('resume', { all: true }), [])
  await until(() => received() === 36)
  const settled = [one, two, late].map((node) => until(() => node.words('settled').length))
  await Promise.all(settled)
})

test('a paused workflow waits at all nodes, and others go on', async (t) => {
  const { one, two } = await twoNodes(t)
  const { urls, received } = await hosts(t)
  await one.call('pause', { workflowId: 'p_fleet' })
  await one.call('pause', { host: '192.0.2.1' })
  await moment()
  two.record('run', urls)
  await until(() => two.words('kept').length)
  await moment()
  assert.equal(received(), 0)
  const left = await two.call('resume', { workflowId: 'p_fleet' })
  assert.deepEqual(
    left.map((/** @type {any} */ { host }) => host),
    ['192.0.2.1'],
  )
  await until(() => two.words('settled').length)
  assert.equal(received(), 12)
})

test('a pause outlives all nodes', async (t) => {
  const { settings, one, two } = await twoNodes(t)
  const { urls, received } = await hosts(t)
  await one.call('pause', { destination: 'http' })
  one.signal('SIGKILL')
  two.signal('SIGKILL')
  const next = await startNode(t, settings)
  next.record('run', urls)
  await until(() => next.words('kept').length)
  await moment()
  assert.equal(received(), 0)
  await next.call('resume', { destination: 'http' })
  await until(() => next.words('settled').length)
})

test('retryNow() at one node attempts what waits at all, once', async (t) => {
  let status = 503
  const retry = { scheduleMs: [600_000] }
  const { database, one, two } = await twoNodes(t, { http: { retry } })
  const { urls, received } = await hosts(t, (/** @type {any} */ _, /** @type {any} */ response) => {
    response.statusCode = status
    response.end()
  })
  one.record('run', urls)
  const waits = 'SELECT 1 FROM fleet.attempts WHERE due_at IS NOT NULL'
  await until(async () => (await database.rows(waits)).length === 12)
  assert.equal(received(), 12)
  status = 200
  assert.equal(await two.call('retryNow', { workflowId: 'another' }), 0)
  assert.equal(await two.call('retryNow', { workflowId: 'p_fleet' }), 12)
  await until(() => one.words('settled').length)
  assert.equal(received(), 24)
  assert.ok(one.words('ended').length > 0 && two.words('ended').length > 0)
  assert.equal(await one.call('retryNow', { status: 'pending' }), 0)
})
