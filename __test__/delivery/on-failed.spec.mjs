// Dead letters that are forwarded to another destination: each once, and no loops.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'

import { Engine } from '../../js/index.mjs'
import { dataDirectory } from '../support/data-dir.mjs'
import { finish, openEngine, record } from '../support/engine.mjs'
import { PATIENT } from '../support/patience.mjs'
import { receiver } from '../support/receiver.mjs'
import { serve } from '../support/serving.mjs'

/** @param {import('node:test').TestContext} t */
const failing = (t) =>
  receiver(t, (request, response) => {
    response.statusCode = request.path === '/ok' ? 200 : 500
    response.end()
  })

/**
 * An engine whose dead letters go to a destination of the test.
 *
 * @param {import('node:test').TestContext} t
 * @param {object} options
 * @param {(items: any[]) => unknown} [end] what becomes of them
 */
async function withDestination(t, options, end = () => undefined) {
  const engine = await openEngine(t, { onFailed: 'dead', ...options })
  /** @type {any[]} */
  const given = []
  engine.destination('dead', {
    retry: false,
    deliver(/** @type {any[]} */ items) {
      given.push(...items.map(({ argument }) => argument))
      return /** @type {any} */ (end(items))
    },
  })
  return { engine, given }
}

for (const [place, options] of /** @type {Array<[string, (t: any) => object]>} */ ([
  ['in memory', () => ({})],
  ['with a data directory', (t) => ({ dataDir: dataDirectory(t) })],
])) {
  test(`each delivery that fails is forwarded once, redacted, ${place}`, async (t) => {
    const server = await failing(t)
    const { engine, given } = await withDestination(t, options(t))
    const headers = { authorization: 'Bearer very-secret' }
    const [ok, one, two] = await finish(
      record(engine, [
        { url: `${server.origin}/ok` },
        { url: server.url, headers, data: { n: 1 } },
        { url: server.url, data: { n: 2 } },
      ]),
    )
    await engine.flush(PATIENT)
    assert.deepEqual(given.map(({ id }) => id).sort(), [one.id, two.id].sort())
    assert.ok(!given.some(({ id }) => id === ok.id))
    const first = given.find(({ id }) => id === one.id)
    assert.deepEqual(
      [first.status, first.error.code, first.response.status, first.workflowId],
      ['failed', 'ERR_SEND_STATUS', 500, 'p_test'],
    )
    assert.equal(JSON.parse(first.request.body).n, 1)
    assert.doesNotMatch(JSON.stringify(given), /very-secret/)
    const [forwarded] = await engine.deliveries({ destination: 'dead', limit: 1 })
    assert.deepEqual([forwarded.step, forwarded.status], ['onFailed', 'delivered'])
    const runs = await engine.executions()
    assert.deepEqual(runs.map(({ delivered, total }) => `${delivered}/${total}`).sort(), [
      '1/1',
      '1/1',
      '1/3',
    ])
    // A replay that fails is a dead letter of its own.
    const { replayed } = await engine.replay({ ids: [one.id] })
    await engine.flush(PATIENT)
    assert.deepEqual([given.length, given.at(-1).id], [3, replayed[0].id])
    assert.equal(given.at(-1).replayOf, one.id)
  })
}

test('what the destination itself cannot deliver is not forwarded', async (t) => {
  const server = await failing(t)
  const fails = () => [{ status: 'failed', error: 'no' }]
  const { engine, given } = await withDestination(t, {}, fails)
  await finish(record(engine, [{ url: server.url }, { url: server.url }]))
  await engine.flush(PATIENT)
  assert.equal(given.length, 2)
  const failed = await engine.deliveries({ status: 'failed' })
  assert.equal(failed.length, 4)
})

test('emitted dead letters whose webhook fails make no loop', async (t) => {
  const server = await failing(t)
  const { engine, post } = await serve(
    t,
    {},
    { onFailed: 'emit', http: { retry: { attempts: 1 } } },
  )
  const webhook = await post('/v1/webhooks', { url: server.url, name: 'w', description: '' })
  assert.equal(webhook.status, 200, webhook.text)
  const { id } = webhook.body.data
  const subscribed = await post(
    `/v1/subscriptions?emitter_id=p_test&event_name=dead_letter&listener_id=${id}`,
  )
  assert.equal(subscribed.status, 200, subscribed.text)
  /** @type {any[]} */
  const events = []
  engine.subscribe(
    { emitterId: 'p_test', eventName: 'dead_letter' },
    (/** @type {any} */ event) => {
      events.push(event)
    },
  )
  const [delivery] = await finish(record(engine, [{ url: server.url }]))
  await engine.flush(PATIENT)
  assert.equal(events.length, 1)
  assert.equal(JSON.stringify(events[0]).includes(delivery.id), true)
  assert.equal(server.requests.length, 2, 'the call, and the webhook')
})

test('dead letters become mails', async (t) => {
  const server = await failing(t)
  const folder = dataDirectory(t)
  const engine = await openEngine(t, { onFailed: 'email', email: { file: folder } })
  const [delivery] = await finish(record(engine, [{ url: server.url }]))
  await engine.flush(PATIENT)
  const [mail] = await engine.deliveries({ destination: 'email' })
  const text = readFileSync(/** @type {any} */ (mail.response).file, 'utf8')
  assert.match(text, /^Subject: Failed: http of p_test \(ERR_SEND_STATUS\)/m)
  assert.ok(text.replace(/=\r?\n/g, '').includes(delivery.id))
})

test('a destination that takes no dead letters is refused', async () => {
  for (const [onFailed, message] of /** @type {Array<[any, RegExp]>} */ ([
    ['http', /onFailed: 'http' needs a URL/],
    ['s3', /onFailed: 's3' needs a bucket/],
    ['sse', /onFailed: 'sse' keeps nothing/],
    ['a b', /onFailed: "a b" is not the name of a destination/],
    [5, /onFailed: must be a text|onFailed: must be a string/],
  ])) {
    await assert.rejects(Engine.open({ onFailed }), { code: 'ERR_SEND_INVALID_OPTION', message })
  }
})
