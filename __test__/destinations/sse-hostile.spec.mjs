// Clients that the server must outlive: slow, silent, many, and cut off.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import http2 from 'node:http2'
import { connect } from 'node:net'
import { test } from 'node:test'

import { rawStream, run, serve } from '../support/serving.mjs'

test('a client that never reads is cut, and no other waits for it', async (t) => {
  const { engine, port, ask } = await serve(t)
  const good = await rawStream(t, port, '/pipelines/p_a/sse')
  const lazy = connect(port, '127.0.0.1')
  t.after(() => lazy.destroy())
  lazy.on('error', () => {})
  let cut = false
  lazy.on('close', () => {
    cut = true
  })
  lazy.write('GET /pipelines/p_a/sse HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n')
  await once(lazy, 'data')
  lazy.pause()
  const clients = async () =>
    Number(/^dollar_send_sse_clients (\d+)$/m.exec((await ask('/metrics')).text)?.[1])
  assert.equal(await clients(), 2)
  let sent = 0
  while ((await clients()) === 2) {
    assert.ok(sent < 4000, 'the client was never cut')
    await run(engine, 'p_a', ($send) => {
      for (let n = 0; n < 20; n++) $send.sse({ channel: 'big', payload: 'x'.repeat(60_000) })
      $send.sse({ channel: 'mark', payload: [sent] })
    })
    await good.until(`data: [${sent}]\n`)
    sent += 20
  }
  assert.equal([...good.text().matchAll(/^event: big$/gm)].length, sent)
  // What is left in its buffer can still be read, and then it is over.
  lazy.resume()
  if (!cut) await once(lazy, 'close')
})

test('of a connection of HTTP/2 only the stream that is not read ends', async (t) => {
  const { engine, url, ask } = await serve(t)
  const session = http2.connect(url)
  t.after(() => session.destroy())
  const open = async (/** @type {Record<string, string>} */ headers = {}) => {
    const stream = session.request({ ':path': '/pipelines/p_a/sse', ...headers })
    stream.setEncoding('utf8').on('error', () => {})
    await once(stream, 'response')
    return stream
  }
  const lazy = await open()
  const ended = once(lazy, 'close')
  const good = await open()
  let text = ''
  let last = ''
  /** @type {() => void} */
  let look = () => {}
  good.on('data', (data) => {
    text += data
    look()
  })
  const until = (/** @type {string} */ wanted) =>
    new Promise((resolve) => {
      look = () => text.includes(wanted) && resolve(undefined)
      look()
    })
  const clients = async () =>
    Number(/^dollar_send_sse_clients (\d+)$/m.exec((await ask('/metrics')).text)?.[1])
  assert.equal(await clients(), 2)
  let sent = 0
  while ((await clients()) === 2) {
    assert.ok(sent < 4000, 'the stream was never ended')
    const log = await run(engine, 'p_a', ($send) => {
      for (let n = 0; n < 20; n++) $send.sse({ channel: 'big', payload: 'x'.repeat(60_000) })
      $send.sse({ channel: 'mark', payload: [sent] })
    })
    last = /** @type {any} */ (log[log.length - 2]).response.id
    await until(`data: [${sent}]\n`)
    sent += 20
  }
  // It is reset although its window is closed, so that it holds nothing.
  await ended
  assert.equal([...text.matchAll(/^event: big$/gm)].length, sent)
  assert.ok(!session.destroyed && !good.destroyed)
  // On the same connection it resumes.
  const again = await open({ 'last-event-id': last })
  text = ''
  again.on('data', (data) => {
    text += data
    look()
  })
  await until(`data: [${sent - 20}]\n`)
})

test('a connection is kept for the next request as long as it says', async (t) => {
  const { port } = await serve(t, { keepAliveMs: 1000 })
  const socket = connect(port, '127.0.0.1').setEncoding('utf8')
  t.after(() => socket.destroy())
  const closed = once(socket, 'close')
  for (let n = 0; n < 3; n++) {
    socket.write('GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n')
    const [answer] = await once(socket, 'data')
    assert.match(answer, /^HTTP\/1\.1 200 [^]*\nkeep-alive: timeout=1\r\n/)
  }
  const idle = performance.now()
  await closed
  assert.ok(performance.now() - idle > 900)
  const byDefault = await serve(t)
  const { headers } = await byDefault.ask('/healthz')
  assert.equal(headers.get('keep-alive'), 'timeout=75')
})

test('connections that say nothing, or half of it, are ended', async (t) => {
  const { engine, url, port } = await serve(t, { keepAliveMs: 2000 })
  const openings = [
    '',
    'G',
    'GET / HT',
    'GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nx: ',
    'PRI * HTTP/2',
  ]
  const ended = openings.map(async (opening) => {
    const socket = connect(port, '127.0.0.1')
    socket.on('error', () => {})
    t.after(() => socket.destroy())
    socket.resume().write(opening)
    // A reset is an end too.
    await new Promise((resolve) => socket.on('close', resolve))
  })
  // Meanwhile others are served.
  const answers = await Promise.all(
    Array.from({ length: 200 }, async () => (await fetch(`${url}/healthz`)).status),
  )
  assert.ok(answers.every((status) => status === 200))
  await Promise.all(ended)
  assert.ok((await fetch(`${url}/readyz`)).ok)
  assert.equal(engine.stats().pending, 0)
})

test('10,000 half-open connections keep nobody out', async (t) => {
  const { url, port } = await serve(t)
  // In a process of their own: each end of a connection is an open file of its process.
  const body = `
    import { once } from 'node:events'
    import { connect } from 'node:net'
    for (let batch = 0; batch < 100; batch++) {
      const opened = Array.from({ length: 100 }, () => connect(${port}, '127.0.0.1'))
      await Promise.all(opened.map((socket) => once(socket.on('error', () => {}), 'connect')))
      for (const socket of opened) socket.write('GET / HTTP/1.1\\r\\n')
    }
    console.log('open')
    setInterval(() => {}, 1000)`
  const clients = spawn(process.execPath, ['--input-type=module', '--eval', body], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  t.after(() => clients.kill('SIGKILL'))
  await once(clients.stdout, 'data')
  const begun = performance.now()
  assert.equal((await fetch(`${url}/healthz`)).status, 200)
  assert.ok(performance.now() - begun < 2000)
})

test('a query of a megabyte is refused, and the server goes on', async (t) => {
  const { url, port } = await serve(t)
  const socket = connect(port, '127.0.0.1')
  socket.on('error', () => {})
  socket.write(`GET /pipelines/p_a/sse?channel=${'x'.repeat(1 << 20)} HTTP/1.1\r\nHost: a\r\n\r\n`)
  const [answer] = await once(socket.setEncoding('utf8'), 'data')
  assert.match(answer, /^HTTP\/1\.1 4\d\d /)
  assert.equal((await fetch(`${url}/healthz`)).status, 200)
})

test('clients that go away in the middle leave nothing behind', async (t) => {
  const { engine, port, ask } = await serve(t)
  const streams = await Promise.all(
    Array.from({ length: 50 }, () => rawStream(t, port, '/pipelines/p_a/sse')),
  )
  await Promise.all(streams.map((stream) => stream.until(':ok')))
  streams.forEach(({ socket }, index) => (index % 2 ? socket.destroy() : socket.end()))
  const gone = async () => /^dollar_send_sse_clients 0$/m.test((await ask('/metrics')).text)
  while (!(await gone())) {
    await run(engine, 'p_a', ($send) => $send.sse({ channel: 'n', payload: [1] }))
  }
})
