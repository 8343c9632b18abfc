import assert from 'node:assert/strict'
import { test } from 'node:test'
import { brotliCompressSync, deflateSync, gzipSync } from 'node:zlib'

import { deliver, openEngine, outcome } from '../support/servers/deliver.mjs'
import { echo } from '../support/servers/echo.mjs'
import { accepting, raw } from '../support/servers/raw.mjs'
import { PATIENT } from '../support/patience.mjs'

const KIB = 1024
const MIB = 1024 * KIB

test('every method arrives with its body, and its response is in the log', async (t) => {
  const server = await echo(t, ({ method }, response) => response.end(`answer to ${method}`))
  const engine = await openEngine(t)
  const methods = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'HEAD']
  const calls = methods.map((method) => ({ method, url: server.url, data: { method } }))
  const deliveries = await deliver(engine, ...calls)
  for (const [index, method] of methods.entries()) {
    const { response } = deliveries[index]
    assert.equal(outcome(deliveries[index]), 'delivered 200', method)
    assert.equal(response.statusText, 'OK')
    assert.equal(response.httpVersion, '1.1')
    assert.equal(response.body, method === 'HEAD' ? '' : `answer to ${method}`)
    assert.equal(response.truncated, false)
    const received = server.requests.find((request) => request.method === method)
    assert.equal(received.body.toString(), JSON.stringify({ method }))
  }
  assert.equal(server.requests.length, methods.length)
})

test('the log holds the request as sent, its timings and its times', async (t) => {
  const server = await echo(t)
  const engine = await openEngine(t)
  const call = { method: 'POST', url: server.url, data: 'é' }
  const [first] = await deliver(engine, call)
  const [second] = await deliver(engine, call)
  const { request, response } = first
  assert.equal(request.url, server.url)
  assert.deepEqual([request.body, request.bodyBytes, request.truncated], ['é', 2, false])
  const { 'user-agent': agent, ...sent } = request.headers
  for (const [name, value] of Object.entries(sent)) {
    assert.equal(server.requests[0].headers[name], value, name)
  }
  assert.match(agent, /^dollar-send\/\d+\.\d+\.\d+$/)
  assert.equal(server.requests[0].headers['user-agent'], agent)
  assert.ok(response.timings.connectMs >= 0)
  assert.ok(response.timings.firstByteMs > 0 && response.timings.bodyMs >= 0)
  assert.ok(response.durationMs >= response.timings.firstByteMs)
  assert.equal(second.response.timings.connectMs, undefined, 'the connection is reused')
  assert.ok(first.deliveredAt && first.deliveredAt >= first.recordedAt)
  assert.equal(first.attempts, 1)
})

test('one connection serves calls that follow one another', async (t) => {
  const server = await echo(t)
  const engine = await openEngine(t)
  for (let call = 0; call < 20; call++) {
    const [delivery] = await deliver(engine, { method: 'POST', url: server.url, data: { call } })
    assert.equal(delivery.status, 'delivered')
  }
  assert.equal(server.requests.length, 20)
  assert.equal(server.seen.connections, 1)
})

test('500 calls are delivered exactly once each', async (t) => {
  const server = await echo(t)
  const engine = await openEngine(t)
  const calls = Array.from({ length: 500 }, (_, n) => ({
    method: 'POST',
    url: server.url,
    data: { n },
  }))
  const deliveries = await deliver(engine, ...calls)
  assert.ok(deliveries.every(({ status, attempts }) => status === 'delivered' && attempts === 1))
  const numbers = server.requests.map(({ body }) => JSON.parse(body.toString()).n)
  assert.deepEqual(
    numbers.sort((a, b) => a - b),
    calls.map(({ data }) => data.n),
  )
  assert.ok(server.seen.connections < 250, 'connections are reused')
})

test('the log keeps 64 KiB of a body, and says how long it was', async (t) => {
  const server = await echo(t, ({ target }, response) =>
    response.end('x'.repeat(Number(target.slice(1)))),
  )
  const engine = await openEngine(t)
  const url = (length) => `http://${server.host}/${length}`
  const lengths = [0, 64 * KIB, 64 * KIB + 1, MIB]
  const calls = lengths.map((length) => ({
    method: 'POST',
    url: url(length),
    data: 'y'.repeat(length),
  }))
  for (const [index, delivery] of (await deliver(engine, ...calls)).entries()) {
    const { request, response } = delivery
    const kept = Math.min(lengths[index], 64 * KIB)
    assert.equal(delivery.status, 'delivered')
    assert.deepEqual([response.bodyBytes, response.body.length], [lengths[index], kept])
    assert.equal(response.truncated, lengths[index] > kept)
    if (kept > 0) {
      assert.deepEqual([request.bodyBytes, request.body.length], [lengths[index], kept])
      assert.equal(request.truncated, lengths[index] > kept)
    }
  }
})

test('a response without an end is read up to 1 MiB, then its connection is dropped', async (t) => {
  let dropped
  const closed = new Promise((resolve) => (dropped = resolve))
  const server = await echo(t, (_, response) => {
    response.on('close', dropped)
    const chunk = Buffer.alloc(16 * KIB, 'z')
    const pour = () => {
      while (!response.destroyed && response.write(chunk));
    }
    response.on('drain', pour)
    pour()
  })
  const engine = await openEngine(t)
  const [delivery] = await deliver(engine, { method: 'GET', url: server.url })
  await closed
  assert.equal(outcome(delivery), 'delivered 200')
  assert.equal(delivery.response.truncated, true)
  assert.equal(delivery.response.body, 'z'.repeat(64 * KIB))
  assert.ok(delivery.response.bodyBytes > MIB && delivery.response.bodyBytes < 1.5 * MIB)
})

/** A zstd frame (RFC 8878) of one raw block: this Node cannot compress in that form. */
function zstd(bytes) {
  const block = (bytes.length << 3) | 1
  const header = [0x28, 0xb5, 0x2f, 0xfd, 0x20, bytes.length, block & 255, block >> 8, block >> 16]
  return Buffer.concat([Buffer.from(header), bytes])
}

test('compressed responses are decompressed', async (t) => {
  const text = Buffer.from('žluťoučký kůň '.repeat(5))
  const bodies = {
    gzip: gzipSync(text),
    br: brotliCompressSync(text),
    deflate: deflateSync(text),
    zstd: zstd(text),
    identity: text,
  }
  const server = await echo(t, ({ target }, response) => {
    const coding = target.slice(1)
    response.writeHead(200, { 'content-encoding': coding }).end(bodies[coding])
  })
  const engine = await openEngine(t)
  const codings = Object.keys(bodies)
  const urls = codings.map((coding) => ({ method: 'GET', url: `http://${server.host}/${coding}` }))
  for (const [index, { status, response }] of (await deliver(engine, ...urls)).entries()) {
    const coding = codings[index]
    assert.deepEqual([coding, status, response.body], [coding, 'delivered', text.toString()])
    assert.equal(response.bodyBytes, text.length)
    const accepted = server.requests[0].headers['accept-encoding'].split(/, ?/)
    assert.ok(coding === 'identity' || accepted.includes(coding), coding)
  }
})

test('an empty body is no compressed one, whatever its headers say', async (t) => {
  const server = await echo(t, ({ target }, response) => {
    response.writeHead(Number(target.slice(1)), { 'content-encoding': 'gzip' }).end()
  })
  const engine = await openEngine(t)
  const url = (status) => `http://${server.host}/${status}`
  const deliveries = await deliver(
    engine,
    { method: 'HEAD', url: url(200) },
    { method: 'POST', url: url(204) },
    { method: 'POST', url: url(200) },
  )
  assert.deepEqual(deliveries.map(outcome), ['delivered 200', 'delivered 204', 'delivered 200'])
})

test('a decompression bomb costs no more than the read limit', async (t) => {
  const zeros = Buffer.alloc(64 * MIB)
  const bombs = { gzip: gzipSync(zeros), br: brotliCompressSync(zeros, { params: { 1: 1 } }) }
  const server = await echo(t, ({ target }, response) => {
    const coding = target.slice(1)
    response.writeHead(200, { 'content-encoding': coding }).end(bombs[coding])
  })
  const engine = await openEngine(t)
  const calls = ['gzip', 'br'].flatMap((coding) =>
    Array(8).fill({ method: 'GET', url: `http://${server.host}/${coding}` }),
  )
  const before = process.memoryUsage().rss
  for (const { status, response } of await deliver(engine, ...calls)) {
    assert.equal(status, 'delivered')
    assert.equal(response.truncated, true)
    assert.ok(
      response.bodyBytes > MIB && response.bodyBytes < 1.5 * MIB,
      String(response.bodyBytes),
    )
  }
  assert.ok(process.memoryUsage().rss - before < 96 * MIB, '16 bombs hold 1 GiB')
})

test('bytes that are no text are in the log as base64', async (t) => {
  const bytes = Buffer.from([0xff, 0, 0xfe, 1])
  const server = await echo(t, (_, response) => response.end(bytes))
  const engine = await openEngine(t)
  const [{ request, response }] = await deliver(engine, {
    method: 'POST',
    url: server.url,
    data: bytes,
  })
  for (const { body, bodyEncoding, bodyBytes } of [request, response]) {
    assert.deepEqual([body, bodyEncoding, bodyBytes], [bytes.toString('base64'), 'base64', 4])
  }
  assert.deepEqual(server.requests[0].body, bytes)
})

test('a character that is cut by the log limit does not make the text binary', async (t) => {
  const server = await echo(t, (_, response) => response.end('aé'))
  const engine = await openEngine(t, { http: { logBodyBytes: 2 } })
  const [{ response }] = await deliver(engine, { method: 'GET', url: server.url })
  assert.deepEqual(
    [response.body, response.bodyEncoding, response.truncated],
    ['a', undefined, true],
  )
})

test('2xx is delivered, and every other status failed with its response kept', async (t) => {
  const server = await echo(t, ({ target }, response) => {
    response.writeHead(Number(target.slice(1)), { 'x-answer': 'yes' }).end('the reason')
  })
  const engine = await openEngine(t)
  const statuses = [200, 201, 202, 203, 206, 226, 299, 300, 305, 306, 307, 399]
  statuses.push(
    400,
    401,
    403,
    404,
    408,
    409,
    410,
    418,
    422,
    429,
    451,
    499,
    500,
    502,
    503,
    504,
    599,
    999,
  )
  const calls = statuses.map((status) => ({
    method: 'POST',
    url: `http://${server.host}/${status}`,
  }))
  for (const [index, delivery] of (await deliver(engine, ...calls)).entries()) {
    const status = statuses[index]
    const ok = status < 300
    assert.equal(outcome(delivery), ok ? `delivered ${status}` : `failed ERR_SEND_STATUS ${status}`) // reaches ERR_SEND_STATUS
    assert.equal(delivery.response.body, 'the reason')
    assert.equal(delivery.response.headers['x-answer'], 'yes')
    if (!ok) assert.match(delivery.error.message, new RegExp(`answered ${status}`))
    assert.equal(delivery.deliveredAt !== undefined, ok)
  }
  assert.equal(server.requests.length, statuses.length, 'one attempt each')
})

test('informational responses are no answer; switching protocols is none that was asked for', async (t) => {
  const server = await raw(t, (socket, _, head) => {
    const early = 'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n'
    const final = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'
    const upgrade = 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n'
    socket.write(head.startsWith('GET /upgrade') ? upgrade : early + final)
  })
  const engine = await openEngine(t, { http: PATIENT })
  const [informed, switched] = await deliver(
    engine,
    { method: 'GET', url: server.url },
    { method: 'GET', url: `http://${server.host}/upgrade` },
  )
  assert.equal(outcome(informed), 'delivered 200')
  assert.equal(informed.response.body, 'ok')
  assert.equal(outcome(switched), 'failed ERR_SEND_STATUS 101') // reaches ERR_SEND_STATUS
})

test('a call may set its own timeout', async (t) => {
  const silent = await accepting(t, (socket) => socket.resume())
  const engine = await openEngine(t)
  const begun = performance.now()
  const [delivery] = await deliver(engine, { method: 'GET', url: silent.url, timeout: 500 })
  assert.equal(outcome(delivery), 'failed ERR_SEND_TIMEOUT response') // reaches ERR_SEND_TIMEOUT
  assert.match(delivery.error.message, /500 ms/)
  assert.ok(performance.now() - begun < 5000, 'it is not the 5 s of the engine')
})

test('the user agent is the engine’s, unless a call brings its own or wants none', async (t) => {
  const server = await echo(t)
  const engine = await openEngine(t, { http: { userAgent: 'my-runner/7' } })
  const call = { method: 'GET', url: server.url }
  await deliver(engine, call)
  await deliver(engine, { ...call, headers: { 'User-Agent': 'mine' } })
  await deliver(engine, { ...call, headers: { 'User-Agent': null } })
  const agents = server.requests.map(({ headers }) => headers['user-agent'])
  assert.deepEqual(agents, ['my-runner/7', 'mine', undefined])
})

test('connections come from egress.localAddress, and egress.addresses is told as declared', async (t) => {
  const server = await echo(t)
  const addresses = ['203.0.113.7', '2001:db8::/64']
  const engine = await openEngine(t, { egress: { localAddress: '127.0.0.2', addresses } })
  const [delivery] = await deliver(engine, { method: 'GET', url: server.url })
  assert.equal(delivery.status, 'delivered')
  assert.deepEqual([...server.seen.remoteAddresses], ['127.0.0.2'])
  assert.deepEqual(engine.egressAddresses(), addresses)
})

test('cookies of a response are not sent with the next request', async (t) => {
  const server = await echo(t, (_, response) => response.setHeader('set-cookie', 'a=1').end())
  const engine = await openEngine(t)
  const call = { method: 'GET', url: server.url }
  await deliver(engine, call)
  await deliver(engine, call)
  assert.deepEqual(
    server.requests.map(({ headers }) => headers.cookie),
    [undefined, undefined],
  )
})
