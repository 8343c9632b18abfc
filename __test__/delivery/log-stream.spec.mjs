// The stream of the log: which rows changed, coalesced and bounded.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect } from 'node:net'
import { test } from 'node:test'

import { follow } from '../support/log-stream.mjs'
import { receiver } from '../support/receiver.mjs'
import { run, serve, TOKEN } from '../support/serving.mjs'

test('changes are told as they come, several in one event', async (t) => {
  const server = await receiver(t)
  const { engine, url } = await serve(t)
  const stream = await follow(t, url)
  assert.equal(stream.response.headers.get('content-type'), 'text/event-stream')
  const begun = performance.now()
  const CALLS = 300
  const done = run(engine, 'p_1', ($send) => {
    for (let n = 0; n < CALLS; n++) $send.http({ method: 'GET', url: server.url })
  })
  const delivered = new Set()
  const executions = new Set()
  let events = 0
  while (delivered.size < CALLS) {
    const event = await stream.next()
    assert.equal(event?.type, 'change')
    events++
    for (const id of event.data.executions) executions.add(id)
    for (const { id, executionId, status } of event.data.deliveries) {
      assert.ok(event.data.executions.includes(executionId))
      if (status === 'delivered') delivered.add(id)
    }
  }
  const seconds = (performance.now() - begun) / 1000
  assert.ok(events <= 4 * seconds + 1, `${events} events in ${seconds} s`)
  await done
  assert.equal(executions.size, 1)
  const rows = await engine.deliveries({ limit: 1000 })
  assert.deepEqual(new Set(rows.map(({ id }) => id)), delivered)
})

test('what is left out is said', async (t) => {
  const server = await receiver(t)
  const { engine, url } = await serve(t)
  const stream = await follow(t, url)
  for (let n = 0; n < 1100; n++) engine.execution({ workflowId: 'p_1' }).discard()
  const first = await stream.next()
  assert.equal(first?.type, 'change')
  assert.ok(first.data.executions.length <= 1000)
  if (first.data.executions.length === 1000) assert.equal((await stream.next())?.type, 'lagged')
  assert.ok(server)
})

test('a stream ends with its session, and with the engine', async (t) => {
  const { engine, url, ask } = await serve(t, { tokens: [TOKEN] })
  const signedIn = await ask('/session', {
    method: 'POST',
    body: JSON.stringify({ token: TOKEN }),
    headers: { 'content-type': 'application/json' },
  })
  const cookie = String(signedIn.headers.get('set-cookie')).split(';')[0]
  const [first, second] = [await follow(t, url, { cookie }), await follow(t, url, { cookie })]
  const token = await follow(t, url, { authorization: `Bearer ${TOKEN}` })
  const own = { cookie, 'sec-fetch-site': 'same-origin', origin: url }
  assert.equal((await ask('/session', { method: 'DELETE', headers: own })).status, 204)
  assert.deepEqual([await first.next(), await second.next()], [undefined, undefined])
  assert.equal((await ask('/log/stream', { headers: { cookie } })).status, 401)
  const begun = performance.now()
  await engine.close()
  assert.equal(await token.next(), undefined)
  assert.ok(performance.now() - begun < 1500, 'the engine waits for no stream')
})

test('100 streams are open at once, and one that ends makes room', async (t) => {
  const { url, port, ask } = await serve(t)
  const streams = await Promise.all(Array.from({ length: 100 }, () => follow(t, url)))
  const refused = await ask('/log/stream')
  assert.deepEqual([refused.status, refused.body.code], [503, 'ERR_SEND_UNAVAILABLE'])
  assert.equal((await ask('/v1/executions')).status, 200)
  streams[0].end()
  // A client that goes away without a word makes room, too.
  for (let status = 503; status !== 200;) {
    const socket = connect(port, '127.0.0.1')
    socket.write('GET /log/stream HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n')
    const [head] = await once(socket, 'data')
    status = Number(/^HTTP\/1\.1 (\d+)/.exec(String(head))?.[1])
    socket.destroy()
  }
})
