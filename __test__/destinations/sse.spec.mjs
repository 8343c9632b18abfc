// `$send.sse` and the streams of the server, with real clients.

import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { connect } from 'node:net'
import { test } from 'node:test'
import { promisify } from 'node:util'

import { EventSource } from 'eventsource'

import { Engine } from '../../js/index.mjs'
import { dataDirectory } from '../support/data-dir.mjs'
import { finish, openStep } from '../support/engine.mjs'
import { rawStream, run, serve, TOKEN } from '../support/serving.mjs'

/**
 * @param {{ after(fn: () => unknown): void }} t
 * @param {string} url
 */
async function follow(t, url, init = {}) {
  const source = new EventSource(url, init)
  t.after(() => source.close())
  await new Promise((resolve, reject) => {
    source.onopen = resolve
    source.onerror = reject
  })
  return source
}

const next = async (/** @type {EventSource} */ source, /** @type {string} */ channel) =>
  new Promise((resolve) => source.addEventListener(channel, resolve, { once: true }))

/** The data of the events in what was on the wire. */
const dataIn = (/** @type {string} */ text) =>
  [...text.matchAll(/^data: (.*)$/gm)].map(([, data]) => JSON.parse(data))

const numbers = (/** @type {number} */ from, /** @type {number} */ to) =>
  Array.from({ length: to - from + 1 }, (_, index) => from + index)

test('an event arrives at the clients of its workflow, and the log says at how many', async (t) => {
  const { engine, url } = await serve(t)
  const source = await follow(t, `${url}/pipelines/p_a/sse`)
  const other = await follow(t, `${url}/pipelines/p_b/sse`)
  other.addEventListener('greeting', () => assert.fail('this is another workflow'))
  const arrived = next(source, 'greeting')
  const [log] = await run(engine, 'p_a', ($send) => {
    $send.sse({ channel: 'greeting', payload: { name: 'Luke', text: 'two\nlines' } })
  })
  const event = await arrived
  assert.deepEqual(JSON.parse(event.data), { name: 'Luke', text: 'two\nlines' })
  assert.match(event.lastEventId, /^\d{13}-\d+$/)
  assert.deepEqual([log.status, log.response], ['delivered', { id: event.lastEventId, clients: 1 }])
  assert.deepEqual(log.request, {
    channel: 'greeting',
    payload: { name: 'Luke', text: 'two\nlines' },
  })
})

test('who connects gets the last 100 events, and then what comes', async (t) => {
  const { engine, port } = await serve(t)
  const send = (/** @type {number[]} */ values) =>
    run(engine, 'p_a', ($send) => {
      for (const n of values) $send.sse({ channel: 'n', payload: [n] })
    })
  await send(numbers(1, 130))
  const stream = await rawStream(t, port, '/pipelines/p_a/sse')
  await stream.until('data: [130]')
  await send([131])
  const text = await stream.until('data: [131]')
  assert.deepEqual(
    dataIn(text).map(([n]) => n),
    numbers(31, 131),
  )
  assert.match(text, /content-type: text\/event-stream/)
  // A proxy that compresses would hold events back.
  assert.match(text, /^cache-control: no-store, no-transform\r$/m)
})

test('a client that comes back gets what it missed, and no more', async (t) => {
  const { engine, port } = await serve(t)
  const send = async (/** @type {number} */ n) => {
    const [log] = await run(engine, 'p_a', ($send) => $send.sse({ channel: 'n', payload: [n] }))
    return /** @type {any} */ (log.response).id
  }
  await send(1)
  const second = await send(2)
  await send(3)
  const headers = { 'last-event-id': second }
  const byHeader = await rawStream(t, port, '/pipelines/p_a/sse', headers)
  const byQuery = await rawStream(t, port, `/pipelines/p_a/sse?last_event_id=${second}`)
  const nonsense = await rawStream(t, port, '/pipelines/p_a/sse', { 'last-event-id': 'none' })
  await send(4)
  for (const [stream, expected] of /** @type {const} */ ([
    [byHeader, [3, 4]],
    [byQuery, [3, 4]],
    [nonsense, [1, 2, 3, 4]],
  ])) {
    const data = dataIn(await stream.until('data: [4]')).filter(Array.isArray)
    assert.deepEqual(data.flat(), expected)
  }
  assert.ok(!byHeader.text().includes('event: :gap'))
})

test('a gap is told before the events that follow it', async (t) => {
  const { engine, url, port } = await serve(t)
  const send = (/** @type {number[]} */ values) =>
    run(engine, 'p_a', ($send) => {
      for (const n of values) $send.sse({ channel: 'n', payload: [n] })
      $send.sse({ channel: ':gap', payload: ['not the server'] })
    })
  const sent = await send(numbers(1, 120))
  const id = (/** @type {number} */ index) => /** @type {any} */ (sent[index].response).id
  assert.match(sent[120].warnings[0], /`:gap`/)
  const [future, text] = [`${Date.now() + 1e6}-0`, 'it%0Adata: "no"']
  for (const [last, reason, repeated] of [
    [id(19), 'forgotten', id(19)],
    [future, 'unknown', future],
    [text, 'unknown', 'it\ndata: "no"'],
    [id(20), undefined],
    [id(119), undefined],
  ]) {
    const stream = await rawStream(
      t,
      port,
      `/pipelines/p_a/sse?last_event_id=${last.replaceAll(' ', '%20').replaceAll('"', '%22')}`,
    )
    const text = await stream.until('not the server')
    const before = text.slice(0, text.indexOf('id: '))
    const [, gap] = /^event: :gap\ndata: (.*)\n\n/m.exec(before) ?? []
    assert.equal([...text.matchAll(/^event: :gap$/gm)].length, reason ? 1 : 0)
    const expected = reason && { reason, lastEventId: repeated, oldestId: id(21) }
    assert.deepEqual(gap && JSON.parse(gap), expected, last)
  }
  // Pages listen to it as to a channel.
  const source = new EventSource(`${url}/pipelines/p_a/sse?last_event_id=1-0`)
  t.after(() => source.close())
  const event = await next(source, ':gap')
  assert.deepEqual([JSON.parse(event.data).reason, event.lastEventId], ['forgotten', ''])
})

test('EventSource reconnects and resumes by itself after the connection broke', async (t) => {
  const { engine, url, port } = await serve(t)
  // A relay, so that the connection can break without either side wanting it.
  const { createServer } = await import('node:net')
  /** @type {Set<import('node:net').Socket>} */
  const sockets = new Set()
  const relay = createServer((near) => {
    const far = connect(port, '127.0.0.1')
    near.pipe(far).pipe(near)
    for (const socket of [near, far]) {
      sockets.add(socket)
      socket.on('error', () => {})
    }
  })
  relay.listen(0, '127.0.0.1')
  await once(relay, 'listening')
  t.after(() => {
    relay.close()
    sockets.forEach((socket) => socket.destroy())
  })
  const { port: relayed } = /** @type {import('node:net').AddressInfo} */ (relay.address())
  const source = await follow(t, url.replace(String(port), String(relayed)) + '/pipelines/p_a/sse')
  /** @type {number[]} */
  const seen = []
  source.addEventListener('n', ({ data }) => seen.push(JSON.parse(data)[0]))
  const send = (/** @type {number} */ n) =>
    run(engine, 'p_a', ($send) => $send.sse({ channel: 'n', payload: [n] }))
  const first = next(source, 'n')
  await send(1)
  await first
  const again = new Promise((resolve) => {
    source.onopen = resolve
  })
  sockets.forEach((socket) => socket.destroy())
  sockets.clear()
  await send(2)
  const second = next(source, 'n')
  await Promise.all([again, second])
  const third = next(source, 'n')
  await send(3)
  await third
  assert.deepEqual(seen, [1, 2, 3])
})

test('?channel= filters what was and what comes', async (t) => {
  const { engine, port } = await serve(t)
  const send = () =>
    run(engine, 'p_a', ($send) => {
      for (const channel of ['a', 'b', 'c&d']) $send.sse({ channel, payload: [channel] })
    })
  await send()
  const stream = await rawStream(t, port, '/pipelines/p_a/sse?channel=a&channel=c%26d')
  await stream.until('"c&d"')
  await send()
  const text = await stream.until('event: c&d\ndata: ["c&d"]\n\n')
  await stream.until('["a"]')
  assert.ok(!text.includes('"b"'))
})

test('no channel breaks the format', async (t) => {
  const { engine, port } = await serve(t)
  const stream = await rawStream(t, port, '/pipelines/p_a/sse')
  const [log] = await run(engine, 'p_a', ($send) => {
    $send.sse({ channel: 'a\r\ndata: injected\n\nid: 9\0', payload: 'x' })
    $send.sse({ channel: '', payload: 'end' })
  })
  const text = await stream.until('data: "end"')
  assert.deepEqual(dataIn(text), ['x', 'end'])
  assert.match(text, /\nevent: a {2}data: injected {2}id: 9 \n/)
  assert.match(log.warnings[0], /line breaks and NULs/)
})

test('streams survive a restart with a data directory', async (t) => {
  const dataDir = dataDirectory(t)
  const first = await Engine.open({ dataDir })
  const before = await run(first, 'p_a', ($send) => {
    for (const n of numbers(1, 120)) $send.sse({ channel: 'n', payload: [n] })
  })
  await first.close()
  const { engine, port } = await serve(t, {}, { dataDir })
  const [log] = await run(engine, 'p_a', ($send) => $send.sse({ channel: 'n', payload: [121] }))
  const id = (/** @type {any} */ delivery) => delivery.response.id.split('-').map(Number)
  const [[ms, n], [lastMs, lastN]] = [id(log), id(before.at(-1))]
  assert.ok(ms > lastMs || (ms === lastMs && n > lastN))
  const stream = await rawStream(t, port, '/pipelines/p_a/sse')
  assert.deepEqual(dataIn(await stream.until('data: [121]')).flat(), numbers(22, 121))
})

test('a stream is open to tokens, signed URLs, and everybody where it is public', async (t) => {
  const server = {
    tokens: [TOKEN],
    sse: { public: ['open_*'], signingKey: 'a key for signed URLs' },
  }
  const { engine, url } = await serve(t, server)
  const status = async (/** @type {string} */ to, headers = {}) => {
    const response = await fetch(to, { headers })
    await response.body?.cancel()
    return response.status
  }
  const stream = `${url}/pipelines/p_a/sse`
  assert.equal(await status(stream), 401)
  assert.equal(await status(stream, { authorization: 'Bearer wrong' }), 401)
  assert.equal(await status(stream, { authorization: `Bearer ${TOKEN}` }), 200)
  assert.equal(await status(`${url}/pipelines/open_1/sse`), 200)
  const signed = engine.streamUrl('p_a', { expiresInMs: 60_000 })
  assert.equal(await status(signed), 200)
  assert.equal(await status(`${signed}&channel=x`), 200)
  assert.equal(await status(signed.replace('p%5Fa', 'p_b')), 401)
  assert.equal(await status(signed.replace(/expires=\d+/, 'expires=9999999999')), 401)
  assert.equal(await status(engine.streamUrl('p_a', { expiresInMs: 0 }).replace(/.$/, 'x')), 401)
  assert.throws(() => engine.streamUrl('p_a', { expiresInMs: 1e12 }), {
    code: 'ERR_SEND_INVALID_ARGUMENT',
  })
})

test('a signed URL ends, and is good for the same key in another engine', async (t) => {
  const server = { tokens: [TOKEN], sse: { signingKey: 'a key for signed URLs' } }
  const one = await serve(t, server)
  const other = await serve(t, server)
  const elsewhere = one.engine.streamUrl('p/ä?').replace(one.url, other.url)
  const response = await fetch(elsewhere)
  await response.body?.cancel()
  assert.equal(response.status, 200)
})

test('CORS names the pages that may read', async (t) => {
  const page = 'https://app.example.com'
  const { url, ask } = await serve(t, { cors: [page], tokens: [TOKEN], sse: { public: ['*'] } })
  const allowed = async (/** @type {string} */ origin) => {
    const response = await fetch(`${url}/pipelines/p_a/sse`, { headers: { origin } })
    await response.body?.cancel()
    return response.headers.get('access-control-allow-origin')
  }
  assert.deepEqual([await allowed(page), await allowed('https://evil.example')], [page, null])
  const credentials = async (/** @type {string} */ to) => {
    const { headers } = await fetch(`${to}/healthz`, { headers: { origin: page } })
    return headers.get('access-control-allow-credentials')
  }
  assert.equal(await credentials(url), 'true')
  const any = await serve(t, { cors: ['*'], tokens: [TOKEN] })
  assert.equal(await credentials(any.url), null)
  const preflight = await ask('/v1/webhooks', {
    method: 'OPTIONS',
    headers: { origin: page, 'access-control-request-method': 'POST' },
  })
  assert.equal(preflight.status, 200)
  assert.match(preflight.headers.get('access-control-allow-methods') ?? '', /POST/)
})

test('curl follows a stream over HTTP/1.1 and HTTP/2', async (t) => {
  const { engine, url } = await serve(t)
  await run(engine, 'p_a', ($send) => $send.sse({ channel: 'n', payload: [1] }))
  for (const [version, expected] of [
    ['--http1.1', 'HTTP/1.1 200'],
    ['--http2-prior-knowledge', 'HTTP/2 200'],
  ]) {
    // It ends because of its own limit: a stream has no end.
    const args = ['-sS', '-i', '-N', version, '--max-time', '1', `${url}/pipelines/p_a/sse`]
    const { stdout } = await promisify(execFile)('curl', args).catch((error) => error)
    assert.ok(stdout.startsWith(expected), stdout)
    assert.deepEqual(dataIn(stdout), [[1]])
  }
})

test('HEAD shows what a stream would be, and follows nothing', async (t) => {
  const { url, ask } = await serve(t)
  const response = await fetch(`${url}/pipelines/p_a/sse`, { method: 'HEAD' })
  assert.equal(response.headers.get('content-type'), 'text/event-stream')
  assert.equal(await response.text(), '')
  assert.match((await ask('/metrics')).text, /^dollar_send_sse_clients 0$/m)
})

test('close() gives clients what was sent before, and ends their streams whole', async (t) => {
  const { engine, port } = await serve(t)
  const stream = await rawStream(t, port, '/pipelines/p_a/sse')
  await stream.until(':ok')
  const execution = engine.execution({ workflowId: 'p_a' })
  execution.step('s').$send.sse({ channel: 'last', payload: ['word'] })
  await execution.complete()
  await engine.close()
  await stream.closed
  assert.ok(stream.text().includes('["word"]'))
  // The last chunk of chunked encoding: not cut off.
  assert.ok(stream.text().endsWith('0\r\n\r\n'))
  await assert.rejects(fetch(`http://127.0.0.1:${port}/healthz`))
})

test('without a server the event is kept, and the log says that nobody can read it', async (t) => {
  const { $send, execution } = await openStep(t)
  $send.sse({ channel: 'a', payload: 'x' })
  $send.sse({ channel: 'b', payload: 'y' })
  const [first, second] = await finish(execution)
  assert.deepEqual([first.status, second.status], ['delivered', 'delivered'])
  assert.match(first.warnings[0], /opened without `server`/)
  assert.deepEqual(second.warnings, [])
})
