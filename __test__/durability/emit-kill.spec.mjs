// A process that emits is killed at random moments, over one data directory: each event that was
// promised reaches its webhook, and no stream has one twice.

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { Engine } from '../../js/index.mjs'
import { dataDirectory } from '../support/data-dir.mjs'
import { LOCAL } from '../support/engine.mjs'
import { callsOf, killEach, seededRandom } from '../support/kill.mjs'
import { PATIENT } from '../support/patience.mjs'
import { receiver } from '../support/receiver.mjs'
import { client, rawStream, serve } from '../support/serving.mjs'

const KILLS = 40

test(`${KILLS} kills lose no event, and repeat one only with the same webhook-id`, async (t) => {
  const hook = await receiver(t)
  const dataDir = dataDirectory(t)
  const first = await Engine.open({ dataDir, egress: LOCAL, server: { port: 0 } })
  const { post } = client(/** @type {any} */ (first.address()).url)
  const { id } = (await post('/v1/webhooks', { url: hook.url })).body.data
  await post('/v1/subscriptions', { emitter_id: 'p_killed', listener_id: id })
  await first.close()

  const killing = { script: 'emit-killed.mjs', settings: () => ({ dataDir }), kills: KILLS }
  const promised = callsOf(await killEach(seededRandom(t), killing))
  const { engine, port, ask } = await serve(t, {}, { dataDir })
  await engine.flush(PATIENT)

  /** @type {Map<string, Set<unknown>>} */
  const told = new Map()
  for (const { text, headers } of hook.requests) {
    const { executionId, call } = JSON.parse(text)
    const name = `${executionId}/${call}`
    told.set(name, (told.get(name) ?? new Set()).add(headers['webhook-id']))
  }
  assert.deepEqual(
    promised.filter((name) => !told.has(name)),
    [],
  )
  for (const [name, ids] of told) assert.equal(ids.size, 1, `${name} has several webhook-ids`)

  const { body } = await ask('/v1/workflows/p_killed/event_summaries?limit=100')
  const emitted = body.data.map((/** @type {any} */ row) => row.metadata.emit_id)
  assert.equal(emitted.length, 100)
  assert.equal(new Set(emitted).size, 100)
  const stream = await rawStream(t, port, '/pipelines/p_killed/sse')
  const execution = engine.execution({ workflowId: 'p_killed' })
  execution.step('s').$send.sse({ channel: 'end', payload: 'the end' })
  await execution.complete()
  const lines = [...(await stream.until('"the end"')).matchAll(/^data: (\{.*)$/gm)]
  const sent = lines.map(([, data]) => data)
  assert.ok(sent.length >= 99)
  assert.equal(new Set(sent).size, sent.length)
})
