// Failed deliveries that are made again.

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { Engine } from '../js/index.mjs'
import { dataDirectory } from './support/data-dir.mjs'
import { codeOf, finish, LOCAL, record } from './support/engine.mjs'
import { PATIENT } from './support/patience.mjs'
import { receiver } from './support/receiver.mjs'

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
      [answer.replayed[0].id, one.id, 'delivered', 2, 'step'],
    )
    const request = server.requests.at(-1)
    assert.deepEqual(
      [request?.headers.authorization, request?.text],
      [headers.authorization, '{"n":1}'],
    )
    const [row] = (await engine.executions()).filter(
      ({ executionId }) => executionId === execution.executionId,
    )
    assert.deepEqual([row.delivered, row.failed, row.total], [1, 2, 3])

    const rest = await engine.replay({ status: 'failed' })
    assert.deepEqual(rest.replayed.map(({ replayOf }) => replayOf).sort(), [one.id, two.id].sort())
    assert.equal(new Set(rest.replayed.map(({ id }) => id)).size, 2)
    await engine.flush(PATIENT)
    for (const wrong of [{}, { ids: ['x'] }, { ids: [one.id], status: 'failed' }]) {
      const [code] = await codeOf(engine.replay(/** @type {any} */ (wrong)))
      assert.equal(code, 'ERR_SEND_INVALID_ARGUMENT')
    }
  })
}
