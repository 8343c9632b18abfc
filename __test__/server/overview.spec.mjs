// The overview of the log: figures by hour and by host.

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { dataDirectory } from '../support/data-dir.mjs'
import { receiver } from '../support/receiver.mjs'
import { run, serve } from '../support/serving.mjs'

for (const durable of [false, true]) {
  test(`the overview counts by hour and by host, ${durable ? 'on disk' : 'in memory'}`, async (t) => {
    const server = await receiver(t, (request, response) => {
      response.statusCode = request.path.includes('/fails') ? 404 : 204
      response.end()
    })
    const { host } = new URL(server.url)
    const { engine, ask } = await serve(t, {}, durable ? { dataDir: dataDirectory(t) } : {})
    engine.destination('own', { deliver: () => undefined })
    const empty = (await ask('/overview')).body
    assert.deepEqual([empty.hours, empty.hosts, empty.waiting], [[], [], 0])
    await run(engine, 'p_1', ($send) => {
      for (const path of ['/a', '/b', '/c', '/fails'])
        $send.http({ method: 'GET', url: server.url + path })
      $send.sse({ channel: 'c', payload: {} })
      /** @type {any} */ $send.own({ n: 1 })
    })
    const { status, body } = await ask('/overview?since=1h')
    assert.equal(status, 200)
    assert.deepEqual([body.waiting, body.oldestWaitingAt, body.sampled], [0, null, false])
    const sum = (/** @type {string} */ name) =>
      body.hours.reduce((/** @type {number} */ all, /** @type {any} */ hour) => all + hour[name], 0)
    assert.deepEqual([sum('delivered'), sum('failed')], [5, 1])
    const classes = Object.assign({}, ...body.hours.map((/** @type {any} */ hour) => hour.statuses))
    assert.deepEqual(Object.keys(classes).sort(), ['2xx', '4xx'])
    const [http, own, sse] = body.hosts
    assert.deepEqual([http.host, http.delivered, http.failed], [host, 3, 1])
    assert.deepEqual([http.destination, own.destination, sse.destination], [null, 'own', 'sse'])
    assert.ok(http.p50 > 0 && http.p95 >= http.p50)
    assert.deepEqual([sse.host, sse.delivered, sse.failed], ['sse', 1, 0])
    const later = (await ask('/overview?since=0s')).body
    assert.deepEqual(later.hours, [])
  })
}

test('what waits is in the overview', async (t) => {
  const server = await receiver(t)
  const dataDir = dataDirectory(t)
  const { engine, ask } = await serve(t, {}, { dataDir, deliver: false })
  const execution = engine.execution({ workflowId: 'p_1' })
  execution.step('s').$send.http({ method: 'GET', url: server.url })
  await execution.complete()
  const { body } = await ask('/overview')
  assert.equal(body.waiting, 1)
  const [row] = await engine.deliveries()
  assert.equal(body.oldestWaitingAt, row.recordedAt)
})

test('what waits for another attempt is in its queue, too', async (t) => {
  const server = await receiver(t, (_, response) => response.writeHead(503).end())
  const retry = { scheduleMs: [3_600_000] }
  const { engine, ask } = await serve(t, {}, { http: { retry } })
  const execution = engine.execution({ workflowId: 'p_1' })
  const { $send } = execution.step('s')
  for (const path of ['/a', '/b']) $send.http({ method: 'GET', url: server.url + path })
  await execution.complete()
  while (engine.stats().retrying < 2) await new Promise(setImmediate)
  const { waiting, queues } = (await ask('/overview')).body
  assert.equal(waiting, 2)
  const rows = (await ask('/v1/queues')).body.data.queues
  const [lane] = engine.stats().lanes
  assert.deepEqual([queues[0].waiting, rows[0].waiting, lane?.waiting], [2, 2, 2])
  assert.equal(rows[0].lane, server.origin)
})

test('the streams and their followers are in the overview', async (t) => {
  const { engine, url, ask } = await serve(t)
  await run(engine, 'p_news', ($send) => $send.sse({ channel: 'c', payload: { n: 1 } }))
  await run(engine, 'p_quiet', ($send) => $send.emit({ n: 1 }))
  const abort = new AbortController()
  t.after(() => abort.abort())
  const followed = await fetch(`${url}/pipelines/p_followed/sse`, { signal: abort.signal })
  // An unreferenced response is garbage-collected, which closes its connection.
  t.after(() => followed.body?.cancel().catch(() => {}))
  const { streams } = (await ask('/overview')).body
  assert.deepEqual(streams, [
    { workflowId: 'p_followed', followers: 1, kept: 0 },
    { workflowId: 'p_news', followers: 0, kept: 1 },
  ])
})

test('a period that cannot be read is refused', async (t) => {
  const { ask } = await serve(t)
  for (const since of ['soon', '', '-1h', '1y']) {
    const { status, body } = await ask(`/overview?since=${since}`)
    assert.equal(status, 400)
    assert.match(body.error, /^since: .* is neither a duration/)
  }
  assert.equal((await ask('/overview?until=1h')).status, 400)
})
