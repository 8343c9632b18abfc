// Failed deliveries that are made again.

import assert from 'node:assert/strict'
import { copyFileSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'

import { Engine } from '../../js/index.mjs'
import { dataDirectory } from '../support/data-dir.mjs'
import { codeOf, finish, LOCAL, record } from '../support/engine.mjs'
import { PATIENT } from '../support/patience.mjs'
import { receiver } from '../support/receiver.mjs'

for (const durable of [false, true]) {
  test(`failed deliveries are made again, ${durable ? 'on disk' : 'in memory'}`, async (t) => {
    let status = 500
    const server = await receiver(t, (_request, response) => {
      response.statusCode = status
      response.end()
    })
    const dataDir = durable ? dataDirectory(t) : undefined
    const options = dataDir ? { dataDir } : {}
    let engine = await Engine.open({ ...options, egress: LOCAL })
    const headers = { authorization: 'Bearer once-more' }
    const data = { n: 1 }
    const execution = record(engine, [{ url: server.url, headers, data }, { url: server.url }])
    const [one, two] = await finish(execution)
    status = 200
    const [good] = await finish(record(engine, [{ url: server.url }]))
    if (durable) {
      await engine.close()
      engine = await Engine.open({ ...options, egress: LOCAL })
    }
    t.after(() => engine.close())
    const unknown = '01a1fc6c-3fe1-7000-8040-000047d48dac'
    const answer = await engine.replay({ ids: [one.id, good.id, unknown] })
    assert.deepEqual(
      answer.skipped.map(({ id }) => id),
      [good.id, unknown],
    )
    assert.deepEqual(
      answer.replayed.map(({ replayOf }) => replayOf),
      [one.id],
    )
    await engine.flush(PATIENT)
    const [again] = await engine.deliveries({ executionId: execution.executionId })
    assert.deepEqual(
      [again.id, again.replayOf, again.status, again.index, again.step],
      [answer.replayed[0].id, one.id, 'delivered', 0, 'step'],
    )
    const request = server.requests.at(-1)
    assert.deepEqual(
      [request?.headers.authorization, request?.headers['idempotency-key'], request?.text],
      [headers.authorization, one.id, '{"n":1}'],
    )
    const [row] = (await engine.executions()).filter(
      ({ executionId }) => executionId === execution.executionId,
    )
    assert.deepEqual([row.delivered, row.failed, row.total], [1, 1, 2])

    const rest = await engine.replay({ status: 'failed' })
    assert.deepEqual(
      rest.replayed.map(({ replayOf }) => replayOf),
      [two.id],
    )
    await engine.flush(PATIENT)
    for (const wrong of [{}, { ids: ['x'] }, { ids: [one.id], status: 'failed' }]) {
      const [code] = await codeOf(engine.replay(/** @type {any} */ (wrong)))
      assert.equal(code, 'ERR_SEND_INVALID_ARGUMENT')
    }
  })
}

/** An engine with failed deliveries to a receiver that recovers: `calls` are their paths. */
async function deadLetters(t, options, calls) {
  const state = { status: 500 }
  const server = await receiver(t, (_request, response) => {
    response.statusCode = state.status
    response.end()
  })
  const engine = await Engine.open({ ...options, egress: LOCAL })
  t.after(() => engine.close())
  const paths = calls.map((path) => ({ url: new URL(path, server.url).href }))
  const deliveries = await finish(record(engine, paths))
  return { engine, server, state, deliveries }
}

for (const durable of [false, true]) {
  const place = durable ? 'on disk' : 'in memory'
  const options = (t) => (durable ? { dataDir: dataDirectory(t) } : {})

  test(`the same replay sends nothing the second time, ${place}`, async (t) => {
    const { engine, server, state, deliveries } = await deadLetters(t, options(t), ['a', 'b', 'c'])
    const keys = () => server.requests.map(({ headers }) => headers['idempotency-key'])
    server.requests.length = 0
    const again = async () => {
      const { replayed } = await engine.replay({ status: 'failed' })
      await engine.flush(PATIENT)
      return replayed.length
    }
    assert.equal(await again(), 3, 'the receiver is down')
    state.status = 200
    assert.deepEqual([await again(), await again(), await again()], [3, 0, 0])
    const ids = deliveries.map(({ id }) => id)
    assert.deepEqual(keys(), [...ids, ...ids], 'in the original order, under the first id')
    const [row] = await engine.executions()
    assert.deepEqual([row.delivered, row.failed, row.pending, row.total], [3, 0, 0, 3])
    const log = await engine.deliveries()
    const newest = log.filter(({ status }) => status === 'delivered').map(({ id }) => id)
    for (const failed of log.filter(({ status }) => status === 'failed')) {
      assert.ok(failed.resolvedBy && newest.includes(failed.resolvedBy))
    }

    const refused = await engine.replay({ ids: [ids[0]] })
    assert.match(refused.skipped[0].reason, /force: true/)
    const forced = await engine.replay({ ids: [ids[0]], force: true })
    assert.equal(forced.replayed.length, 1)
    await engine.flush(PATIENT)
    assert.equal(keys().at(-1), ids[0])
  })

  test(`two replays at once take each call once, ${place}`, async (t) => {
    const { engine, server, state } = await deadLetters(t, options(t), ['a', 'b'])
    state.status = 200
    server.requests.length = 0
    const results = await Promise.all(
      Array.from({ length: 4 }, () => engine.replay({ status: 'failed' })),
    )
    assert.equal(results.flatMap(({ replayed }) => replayed).length, 2)
    await engine.flush(PATIENT)
    assert.equal(server.requests.length, 2)
  })

  test(`a plan replays nothing, and a dismissed call is not replayed, ${place}`, async (t) => {
    const { engine, server, deliveries } = await deadLetters(t, options(t), ['a', 'b'])
    server.requests.length = 0
    const plan = await engine.replay({ status: 'failed' }, { dryRun: true })
    assert.deepEqual(
      [plan.count, plan.hosts, plan.errors, plan.skipped],
      [2, { [new URL(server.url).origin]: 2 }, { ERR_SEND_STATUS: 2 }, 0],
    )
    assert.equal(plan.oldest, deliveries[0].recordedAt)
    assert.ok(plan.bytes > 0)
    assert.equal(await engine.dismiss({ ids: [deliveries[0].id] }), 1)
    assert.equal(await engine.dismiss({ ids: [deliveries[0].id] }), 0)
    const [row] = await engine.executions()
    assert.deepEqual([row.failed, row.dismissed, row.total], [1, 1, 2])
    const ids = deliveries.map(({ id }) => id)
    const { skipped, reasons } = await engine.replay({ ids }, { dryRun: true })
    assert.equal(skipped, 1)
    assert.deepEqual(Object.values(reasons), [1])
    assert.match(Object.keys(reasons)[0], /^this call was dismissed/)
    const { replayed } = await engine.replay({ status: 'failed' })
    assert.deepEqual(
      replayed.map(({ replayOf }) => replayOf),
      [deliveries[1].id],
    )
    const log = await engine.deliveries()
    assert.ok(log.find(({ id }) => id === deliveries[0].id)?.dismissedAt)
  })

  test(`a cancelled replay hands over no more calls, ${place}`, async (t) => {
    const { engine } = await deadLetters(t, options(t), ['a'])
    const signal = AbortSignal.abort()
    const result = await engine.replay({ status: 'failed' }, { signal })
    assert.deepEqual([result.replayed, result.cancelled], [[], true])
    const events = []
    engine.on('replay', (event) => events.push(event))
    await engine.replay({ status: 'failed' })
    await engine.flush(PATIENT)
    const [{ id, ...progress }] = events
    assert.deepEqual([events.length, progress], [1, { replayed: 1, total: 1 }])
    assert.match(id, /^rep_/)
  })

  test(`a replay that does not fit reserves nothing, ${place}`, async (t) => {
    const limits = { ...options(t), maxPendingBytes: 4096 }
    const { engine } = await deadLetters(t, limits, ['a'])
    const big = (n) => ({ url: 'http://127.0.0.1:9/', data: { n, text: 'x'.repeat(2000) } })
    for (const n of [1, 2, 3]) await finish(record(engine, [big(n)]))
    for (let turn = 0; turn < 3; turn++) {
      await engine.replay({ status: 'failed' }).catch(({ code }) => {
        assert.equal(code, 'ERR_SEND_JOURNAL_FULL')
      })
      await engine.flush(PATIENT)
      assert.equal(engine.stats().pendingBytes, 0)
    }
  })
}

test('a data directory of layout 4 is brought to this one', async (t) => {
  const paths = []
  const server = await receiver(t, (request, response) => {
    paths.push(new URL(request.path).pathname)
    response.end()
  })
  const dataDir = dataDirectory(t)
  mkdirSync(dataDir, { recursive: true, mode: 0o700 })
  const file = join(dataDir, 'journal.sqlite')
  copyFileSync(new URL('../fixtures/journal-4/journal.sqlite', import.meta.url), file)
  const engine = await Engine.open({
    dataDir,
    journal: { key: Buffer.alloc(32, 7).toString('base64') },
    egress: { ...LOCAL, proxy: server.origin },
  })
  t.after(() => engine.close())
  await engine.flush(PATIENT)
  assert.deepEqual(paths, ['/under-way'], 'its replay was under way when the process ended')
  const rows = async () => {
    const found = await engine.executions()
    return found.map(({ executionId, delivered, failed, pending, total }) => [
      executionId,
      ...[delivered, failed, pending, total],
    ])
  }
  assert.deepEqual(await rows(), [
    ['run-2', 1, 0, 0, 1],
    ['run-1', 2, 2, 0, 4],
  ])
  await engine.replay({ workflowId: 'p_fixture' })
  await engine.flush(PATIENT)
  assert.deepEqual(paths.slice(1), ['/failed-again', '/failed'])
  assert.deepEqual((await rows())[1], ['run-1', 4, 0, 0, 4])
  const { replayed } = await engine.replay({ status: 'failed' })
  assert.deepEqual(replayed, [])
})
