// Replays and dismissals by REST.

import assert from 'node:assert/strict'
import { connect } from 'node:net'
import { test } from 'node:test'

import { dataDirectory } from '../support/data-dir.mjs'
import { finish, nextEvent, record } from '../support/engine.mjs'
import { deadLettersBehindAGate, until } from '../support/dead-letters.mjs'
import { PATIENT } from '../support/patience.mjs'
import { receiver } from '../support/receiver.mjs'
import { serve } from '../support/serving.mjs'

test('dead letters are planned, replayed and dismissed', async (t) => {
  let status = 500
  const server = await receiver(t, (_request, response) => {
    response.statusCode = status
    response.end()
  })
  const { engine, post } = await serve(t)
  const calls = [1, 2, 3].map((n) => ({ url: server.url, data: { n } }))
  const [one, two, three] = await finish(record(engine, calls))
  status = 200

  const plan = await post('/v1/replays', { status: 'failed', dry_run: true })
  assert.equal(plan.status, 200)
  assert.deepEqual([plan.body.data.count, plan.body.data.errors], [3, { ERR_SEND_STATUS: 3 }])
  const dismissed = await post('/v1/dismissals', { ids: [three.id] })
  assert.deepEqual(dismissed.body, { data: { dismissed: 1 } })
  const replayed = await post('/v1/replays?status=failed')
  assert.deepEqual(
    replayed.body.data.replayed.map((/** @type {any} */ { replayOf }) => replayOf),
    [one.id, two.id],
  )
  await engine.flush(PATIENT)
  const again = await post('/v1/replays?status=failed')
  assert.deepEqual(again.body.data.replayed, [])
  const selection = { ids: [one.id, two.id, three.id], dry_run: true }
  const { count, skipped, reasons } = (await post('/v1/replays', selection)).body.data
  assert.deepEqual([count, skipped, Object.values(reasons)], [0, 3, [2, 1]])
  assert.match(Object.keys(reasons).join(), /^a replay has delivered .*,this call was dismissed/)

  const refused = await post(`/v1/deliveries/${one.id}/replay`)
  assert.equal(refused.status, 404)
  assert.match(refused.body.error, /force: true/)
  const forced = await post(`/v1/deliveries/${one.id}/replay`, { force: true })
  assert.equal(forced.status, 200)
  for (const wrong of [{}, { ids: [one.id], status: 'failed' }, { status: 'pending' }]) {
    assert.equal((await post('/v1/replays', wrong)).status, 400)
  }
  for (const [wrong, message] of /** @type {Array<[object, RegExp]>} */ ([
    [{ ids: [one.id], force: 'x' }, /^force: must be true or false/],
    [{ status: 'failed', dry_run: 1 }, /^dry_run: must be true or false/],
    [{ status: 'failed', limit: 'many' }, /^limit: must be a whole number/],
    [{ ids: 5 }, /^ids: must be a list of ids/],
    [{ ids: null, limit: null }, /give ids, or a filter/],
  ])) {
    const answer = await post('/v1/replays', wrong)
    assert.equal(answer.status, 400)
    assert.match(answer.body.error, message)
  }
})

test('a replay whose client leaves is made to its end', async (t) => {
  let status = 500
  const server = await receiver(t, (_request, response) => {
    response.statusCode = status
    response.end()
  })
  const { engine, port } = await serve(t, {}, { dataDir: dataDirectory(t) })
  const executions = Array.from({ length: 60 }, (_, n) =>
    finish(
      record(
        engine,
        [1, 2].map((m) => ({ url: server.url, data: { n, m } })),
      ),
    ),
  )
  await Promise.all(executions)
  status = 200
  let delivered = 0
  const all = nextEvent(
    engine,
    'delivery',
    ({ status }) => status === 'delivered' && ++delivered === 120,
  )
  // The client leaves at the first sign that calls are handed over.
  const client = connect(port, '127.0.0.1')
  const begun = nextEvent(engine, 'replay')
  client.write(
    'POST /v1/replays?status=failed HTTP/1.1\r\nhost: localhost\r\ncontent-length: 0\r\n\r\n',
  )
  await begun
  client.destroy()
  await all
  await engine.flush(PATIENT)
  assert.equal(engine.stats().pending, 0)
})

test('a plan is run by its id: its calls, and no others', async (t) => {
  let status = 500
  const server = await receiver(t, (_request, response) => {
    response.statusCode = status
    response.end()
  })
  const { engine, ask, post } = await serve(t)
  const calls = [1, 2, 3].map((n) => ({ url: server.url, data: { n } }))
  const [one, two, three] = await finish(record(engine, calls))
  const planned = await post('/v1/replays', { status: 'failed', dry_run: true })
  const plan = planned.body.data.id
  assert.match(plan, /^plan_[0-9a-f]{32}$/)
  const [late] = await finish(record(engine, [{ url: server.url, data: { n: 4 } }]))
  await engine.dismiss({ ids: [two.id] })
  status = 200

  const begun = await post('/v1/replays', { plan, wait: false })
  assert.equal(begun.status, 202)
  const { id } = begun.body.data
  const ended = await until(async () => {
    const { body } = await ask(`/v1/replays/${id}`)
    return body.data.replay.status === 'running' ? undefined : body.data
  })
  assert.deepEqual(
    [ended.replay.status, ended.replay.replayed, ended.replay.total, ended.replay.skipped],
    ['done', 2, 2, 1],
  )
  assert.deepEqual(
    ended.deliveries.map((/** @type {any} */ { replayOf }) => replayOf),
    [one.id, three.id],
  )
  assert.match(ended.skips[0].reason, /was dismissed/)
  assert.deepEqual(ended.reasons, { [ended.skips[0].reason]: 1 })
  const { body: part } = await ask(`/v1/replays/${id}?offset=1&limit=1`)
  assert.deepEqual(
    [part.data.deliveries.length, part.data.deliveries[0].replayOf, part.data.skips],
    [1, three.id, []],
  )
  await engine.flush(PATIENT)
  const { body: log } = await ask(
    `/v1/deliveries?ids=${part.data.deliveries[0].id},${late.id}&limit=100`,
  )
  assert.deepEqual(
    log.data.map((/** @type {any} */ row) => row.status),
    ['delivered', 'failed'],
  )
  assert.equal((await ask('/v1/replays')).body.data[0].id, id)
  // Run twice it sends nothing.
  const again = await post('/v1/replays', { plan })
  assert.deepEqual([again.body.data.replayed, again.body.data.skipped.length], [[], 3])
  assert.equal(server.requests.length, 6)
  const inProcess = await engine.replay({ plan })
  assert.deepEqual(inProcess.replayed, [])
})

test('a plan that is not known, or given with other members, is refused', async (t) => {
  const { engine, ask, post } = await serve(t)
  const { body } = await post('/v1/replays', { status: 'failed', dry_run: true })
  const plan = body.data.id
  const id = '01a1fb8e-a724-7000-b220-45d20c0bf4a9'
  for (const [wrong, message] of /** @type {Array<[object, RegExp]>} */ ([
    [{ plan: 'plan_x' }, /no plan "plan_x".*Make a new one/],
    [{ plan, ids: [id] }, /plan: excludes ids, force and filters/],
    [{ plan, status: 'failed' }, /plan: excludes/],
    [{ plan, wait: 'x' }, /wait: must be true or false/],
  ])) {
    const answer = await post('/v1/replays', wrong)
    assert.equal(answer.status, 400)
    assert.match(answer.body.error, message)
  }
  await assert.rejects(engine.replay({ plan: 'plan_x' }), {
    code: 'ERR_SEND_INVALID_ARGUMENT',
    message: /^engine\.replay\(\): plan: the engine has no plan "plan_x"/,
  })
  for (const method of ['GET', 'DELETE'])
    assert.equal((await ask('/v1/replays/rep_x', { method })).status, 404)
})

test('a large replay waits for memory, and what is left when it is cancelled stays dead', async (t) => {
  const { engine, ask, post, server, open } = await deadLettersBehindAGate(t, 40)
  const begun = await post('/v1/replays', { status: 'failed', wait: false })
  const { id } = begun.body.data
  const progress = async () => (await ask(`/v1/replays/${id}`)).body.data.replay
  // As many as fit are handed over; the others wait.
  await until(async () => {
    const { replayed } = await progress()
    return replayed > 0 && replayed === server.held() ? true : undefined
  })
  const other = await ask(`/v1/replays/${id}`, { method: 'DELETE' })
  assert.equal(other.status, 200)
  const ended = await until(async () => {
    const now = await progress()
    return now.status === 'running' ? undefined : now
  })
  assert.deepEqual([ended.status, ended.total, ended.error], ['cancelled', 40, null])
  const stuck = ended.replayed
  assert.ok(stuck > 0 && stuck < 40, String(stuck))
  open()
  await engine.flush(PATIENT)
  const [row] = await engine.executions()
  assert.deepEqual([row.delivered, row.failed, row.total], [stuck, 40 - stuck, 40])
  const rest = await engine.replay({ status: 'failed' })
  assert.equal(rest.replayed.length, 40 - stuck)
  await engine.flush(PATIENT)
  assert.deepEqual(server.counts(), Array(40).fill(1), 'each call was delivered once')
})
