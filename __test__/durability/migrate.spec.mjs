// A data directory is moved into a shared journal, by a command that is killed at random moments: the
// nodes make each delivery once.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'

import { EventSource } from 'eventsource'
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
import { client } from '../support/serving.mjs'
import { webhooks } from '../support/webhooks.mjs'

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
 * Records calls of the workflow `p_1` in a data directory, which wait there.
 *
 * @param {string} dataDir
 * @param {($send: any) => void} record
 */
async function recordCalls(dataDir, record) {
  const engine = await Engine.open({ dataDir, deliver: false, egress: LOCAL })
  const execution = engine.execution({ workflowId: 'p_1' })
  record(execution.step('step').$send)
  await execution.complete()
  await engine.close({ timeoutMs: 0 })
}

/**
 * Follows the stream of a workflow. Answers the numbers that come.
 *
 * @param {import('node:test').TestContext} t
 * @param {string} url
 * @param {string} workflowId
 * @param {string} [last] the id of the last event that the client has
 */
async function followed(t, url, workflowId, last) {
  /** @type {number[]} */
  const numbers = []
  const suffix = last ? `?last_event_id=${last}` : ''
  const source = new EventSource(`${url}/pipelines/${workflowId}/sse${suffix}`)
  t.after(() => source.close())
  source.addEventListener('n', ({ data }) => numbers.push(JSON.parse(data).n))
  source.addEventListener(':gap', ({ data }) => assert.fail(data))
  await once(source, 'open')
  return numbers
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
  early.step('step').$send.sse({ channel: 'n', payload: { n: 0 } })
  await early.complete()
  await early.settled(PATIENT)
  await first.close()
  await recordCalls(dataDir, ($send) => {
    for (let n = 1; n <= 20; n++) $send.sse({ channel: 'n', payload: { n } })
  })
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
  const rows = names.length + 21
  assert.deepEqual(log, [{ rows, ids: rows, delivered: rows }])
  const events = await database.rows(
    `SELECT substring(convert_from(content, 'UTF8') FROM '"n":(\\d+)')::int AS n
     FROM fleet.events ORDER BY id`,
  )
  assert.deepEqual(
    events.map(({ n }) => n),
    Array.from({ length: 21 }, (_, n) => n),
  )
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

const SUBSCRIPTION = { emitter_id: 'p_1', listener_id: 'p_listener', event_name: 'orders' }

/**
 * Leaves events, a webhook, two subscriptions and two calls of streams that wait in a data directory. Answers
 * the webhook and the id of the first event.
 *
 * @param {import('node:test').TestContext} t
 * @param {string} dataDir
 * @param {Awaited<ReturnType<typeof receiver>>} target of the webhook
 */
async function runWithStreams(t, dataDir, target) {
  const runner = await openEngine(t, { dataDir, server: { port: 0 } })
  const rest = client(`http://127.0.0.1:${runner.address()?.port}`)
  const hook = await webhooks(rest).make(target.url, { description: 'of the runner' })
  await rest.post('/v1/subscriptions', SUBSCRIPTION)
  const execution = runner.execution({ workflowId: 'p_1' })
  const { $send } = execution.step('step')
  for (let n = 1; n <= 3; n++) $send.sse({ channel: 'n', payload: { n } })
  $send.emit({ n: 1 })
  await execution.complete()
  const [{ response }] = await execution.settled(PATIENT)
  await until(() => target.requests.length === 1)
  await runner.flush()
  await runner.close()
  await recordCalls(dataDir, ($send) => {
    $send.sse({ channel: 'n', payload: { n: 4 } })
    $send.emit({ n: 2 })
  })
  return { hook, last: response?.id }
}

test('events, subscriptions and webhooks are moved, and calls of streams go on', async (t) => {
  const database = await fleetDatabase(t)
  const dataDir = dataDirectory(t)
  const target = await receiver(t)
  const { hook, last } = await runWithStreams(t, dataDir, target)

  const listens = [{ emitterId: 'p_*', eventName: '*' }]
  const settings = { journal: database.journal(), server: { port: 0 }, listens }
  const node = await startNode(t, settings)
  await client(node.url).post('/v1/subscriptions', SUBSCRIPTION)
  await node.send('p_2', [['sse', { channel: 'n', payload: { n: 1 } }]])
  const plan = await migrate(dataDir, database.url, { args: ['--plan', '--json'] })
  assert.equal(plan.code, 0, plan.stderr)
  const { events, subscriptions, webhooks: hooks } = JSON.parse(plan.stdout)
  assert.deepEqual({ events, subscriptions, hooks }, { events: 4, subscriptions: 2, hooks: 1 })
  const moved = await migrate(dataDir, database.url)
  assert.equal(moved.code, 0, moved.stderr)
  assert.match(moved.stdout, /, 4 events, 2 subscriptions and 1 webhook to postgres:/)
  await until(() => target.requests.length === 2)
  await until(async () => (await database.rows(OPEN)).length === 0)
  assert.deepEqual(
    target.requests.map(({ text }) => JSON.parse(text)),
    [{ n: 1 }, { n: 2 }],
  )
  // What was emitted before the move was heard by the runner.
  await until(() => node.words('heard').length)
  assert.deepEqual(node.words('heard'), [[JSON.stringify(['p_1', '', { n: 2 }])]])

  for (const { url } of [node, await startNode(t, settings)]) {
    const rest = client(url)
    const [kept] = await webhooks(rest).listed()
    assert.deepEqual([kept.id, kept.description], [hook.id, 'of the runner'])
    const known = (await rest.ask('/v1/users/me/subscriptions')).body.data
    assert.equal(known.length, 2, 'an equal one is not moved')
    const summaries = '/v1/workflows/p_1/event_summaries?expand=event'
    const read = async () => (await rest.ask(summaries)).body.data
    await until(async () => (await read()).length === 2)
    assert.deepEqual(
      (await read()).map((/** @type {any} */ { event }) => event),
      [{ n: 2 }, { n: 1 }],
    )
    const stream = await followed(t, url, 'p_1', last)
    await until(() => stream.length === 3)
    assert.deepEqual(stream, [2, 3, 4])
    const own = await followed(t, url, 'p_2')
    await until(() => own.length)
    assert.deepEqual(own, [1])
  }
})
