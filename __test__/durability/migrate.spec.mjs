// A data directory is moved into a shared journal, by a command that is killed at random moments: the
// nodes make each delivery once.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'

import pg from 'pg'

import { Engine } from '../../js/index.mjs'
import { dataDirectory } from '../support/data-dir.mjs'
import { LOCAL, openEngine } from '../support/engine.mjs'
import { fleetDatabase, startNode, until } from '../support/fleet.mjs'
import { seededRandom } from '../support/kill.mjs'
import { migrate, recordIn, startMigrate } from '../support/migrate.mjs'
import { PATIENT } from '../support/patience.mjs'
import { receiver } from '../support/receiver.mjs'
import { at, faulty, s3Server } from '../support/s3.mjs'

const MOVES = 'SELECT executions FROM fleet.moves'
const OPEN = 'SELECT 1 FROM fleet.executions WHERE finished_at IS NULL LIMIT 1'

/**
 * Returns the number of moved executions, over one connection: a part of the move takes milliseconds.
 *
 * @param {pg.Client} client
 */
async function placeOf(client) {
  const { rows } = await client.query(MOVES).catch(() => ({ rows: [] }))
  return Number(rows[0]?.executions ?? 0)
}

/**
 * Runs the command until it is not killed any more. Answers how often it was.
 *
 * @param {import('node:test').TestContext} t
 * @param {Awaited<ReturnType<typeof fleetDatabase>>} database
 * @param {string} dataDir
 */
async function moveAmidKills(t, database, dataDir) {
  const random = seededRandom(t)
  const client = new pg.Client({ connectionString: database.url })
  await client.connect()
  const place = () => placeOf(client)
  const places = []
  for (let kills = 0; ; kills++) {
    const command = startMigrate(dataDir, database.url, { args: ['--yes'] })
    // It ends some parts later: in one, between two, or after the last.
    const last = (await place()) + Math.floor(random() * 2) * 500
    const delay = random() * 20
    let hasEnded = false
    const ended = command.ended.finally(() => (hasEnded = true))
    while (!hasEnded && (await place()) <= last) await pause(1)
    await pause(delay)
    if (kills < 8) command.kill()
    const { code, signal, stderr } = await ended
    places.push(await place())
    if (signal !== 'SIGKILL') {
      assert.equal(code, 0, stderr)
      await client.end()
      t.diagnostic(`killed ${kills} times, after ${places.join(', ')} executions`)
      return kills
    }
    await assert.rejects(Engine.open({ dataDir }), /is being moved to|was moved to/)
  }
}

test('a move that is killed at random moments makes each call arrive once', async (t) => {
  const database = await fleetDatabase(t)
  const dataDir = dataDirectory(t)
  const hosts = await Promise.all([receiver(t), receiver(t)])
  const first = await Engine.open({ dataDir, egress: LOCAL })
  const early = first.execution({ workflowId: 'p_moved', executionId: 'early' })
  early.step('step').$send.http({ method: 'POST', url: hosts[0].url, data: { call: 'early' } })
  await early.complete()
  await early.settled(PATIENT)
  await first.close()
  const ids = Array.from({ length: 3000 }, (_, n) => `e_${n}`)
  await recordIn(dataDir, ids, [hosts[0].url, hosts[1].url])
  const journal = database.journal()
  await startNode(t, { journal })
  assert.ok((await moveAmidKills(t, database, dataDir)) >= 2, 'it was killed')
  await startNode(t, { journal })
  await until(async () => (await database.rows(OPEN)).length === 0)

  const bodies = hosts.flatMap(({ requests }) => requests.map(({ text }) => JSON.parse(text)))
  const names = bodies.map(({ executionId, call }) => `${executionId}/${call}`)
  assert.equal(names.length, 2 * ids.length + 1)
  assert.equal(new Set(names).size, names.length)
  const log = await database.rows(
    `SELECT count(*) AS rows, count(DISTINCT id) AS ids,
       count(*) FILTER (WHERE status = 'delivered') AS delivered FROM fleet.deliveries`,
  )
  assert.deepEqual(log, [{ rows: names.length, ids: names.length, delivered: names.length }])
  await until(async () => (await database.rows('SELECT 1 FROM fleet.commits')).length === 0)
  assert.deepEqual(await database.rows('SELECT 1 FROM fleet.attempts'), [])
})

for (const [moment, fault] of /** @type {Array<[string, 'hang' | 'keep']>} */ ([
  ['before it is stored', 'hang'],
  ['after it is stored', 'keep'],
])) {
  test(`a batch that was sealed in the directory, and cut ${moment}, is one object`, async (t) => {
    const database = await fleetDatabase(t)
    const server = await s3Server(t)
    let faults = 0
    const front = await faulty(t, server.port, ({ method }) =>
      method === 'PUT' && faults++ === 0 ? fault : undefined,
    )
    const dataDir = dataDirectory(t)
    const s3 = at(front.endpoint, { batch: { intervalMs: 100 } })
    const engine = await Engine.open({ dataDir, egress: LOCAL, s3: /** @type {any} */ (s3) })
    const execution = engine.execution({ workflowId: 'p_moved', executionId: 'run' })
    const { $send } = execution.step('step')
    for (let call = 0; call < 20; call++)
      $send.s3({ bucket: 'bucket', prefix: 'p/', payload: { call } })
    await execution.complete()
    const puts = () => front.requests.filter(({ method }) => method === 'PUT')
    await until(() => puts().length)
    if (fault === 'keep') await until(async () => (await server.objects()).length)
    await engine.close({ timeoutMs: 0 })

    const node = await startNode(t, { journal: database.journal(), s3 })
    const plan = await migrate(dataDir, database.url, { args: ['--plan', '--json'] })
    assert.equal(plan.code, 0, plan.stderr)
    const { calls, batches } = JSON.parse(plan.stdout)
    assert.deepEqual({ calls, batches }, { calls: 20, batches: 1 })
    const moved = await migrate(dataDir, database.url)
    assert.equal(moved.code, 0, moved.stderr)
    await until(async () => (await database.rows(OPEN)).length === 0)
    const objects = await server.objects()
    assert.equal(objects.length, 1)
    assert.deepEqual(
      objects[0].lines.map((line) => JSON.parse(line).call),
      Array.from({ length: 20 }, (_, call) => call),
    )
    assert.equal(new Set(puts().map(({ path }) => path)).size, 1)
    await until(async () => (await database.rows('SELECT 1 FROM fleet.batches')).length === 0)
    node.record('later', [], 1)
    await until(() => node.words('settled').length)
    assert.equal((await server.objects()).length, 2)
  })
}

test('retries keep their attempts, pauses hold, and dead letters can be replayed', async (t) => {
  const database = await fleetDatabase(t)
  let status = 503
  const server = await receiver(t, (request, response) => {
    response.statusCode = request.path === '/dead' ? 400 : status
    response.end()
  })
  const dataDir = dataDirectory(t)
  const http = { retry: { scheduleMs: [600_000] } }
  const engine = await Engine.open({ dataDir, egress: LOCAL, http })
  const execution = engine.execution({ workflowId: 'p_moved', executionId: 'run' })
  const { $send } = execution.step('step')
  for (const path of ['/dead', '/again']) $send.http({ method: 'POST', url: server.origin + path })
  await execution.complete()
  await until(async () => {
    const [again] = await engine.deliveries({ status: 'pending' })
    return again?.nextAttemptAt && (await engine.deliveries({ status: 'failed' })).length
  })
  await engine.pause({ host: '127.0.0.1' })
  await engine.close({ timeoutMs: 0 })
  status = 200
  const node = await openEngine(t, { journal: database.journal() })
  const moved = await migrate(dataDir, database.url, { args: ['--yes'] })
  assert.equal(moved.code, 0, moved.stderr)
  assert.match(
    moved.stdout,
    /^Moved 1 execution, 1 finished delivery, 1 waiting call and 1 pause to /,
  )
  await until(() => node.stats().pauses.length)
  const pending = await until(async () => {
    const [first] = await node.deliveries({ status: 'pending' })
    return first?.attempts === 1 && first
  })
  assert.equal(pending.lastError?.code, 'ERR_SEND_STATUS')
  assert.equal(server.requests.length, 2, 'a pause holds')
  await node.resume({ host: '127.0.0.1' })
  await node.retryNow({ status: 'pending' })
  const delivered = await until(async () => (await node.deliveries({ status: 'delivered' }))[0])
  assert.equal(delivered.attempts, 2)
  assert.equal(delivered.attemptLog?.length, 2)
  const [dead] = await node.deliveries({ status: 'failed' })
  const { replayed } = await node.replay({ ids: [dead.id] })
  assert.equal(replayed.length, 1)
})
