// Bursts of calls to servers that people run. What a receiver has processed and what is said of the
// calls must agree, whatever the server does meanwhile. The long form:
// DOLLAR_SEND_BURST_CALLS=100000 node --test __test__/destinations/http-receivers.spec.mjs

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { constants } from 'node:http2'
import { after, before, test } from 'node:test'

import { certificates } from '../support/servers/certificates.mjs'
import { openEngine } from '../support/servers/deliver.mjs'
import { echo } from '../support/servers/echo.mjs'
import { http2Server, relay, respond } from '../support/servers/http2.mjs'
import { assertConserved, burst, CALLS, delivered } from '../support/burst.mjs'
import { PATIENT } from '../support/patience.mjs'
import { haproxy, nginx, programOrSkip } from '../support/web-servers.mjs'

/** One authority for all tests. */
let authority
const ends = []
before(async () => {
  authority = await certificates({ after: (end) => ends.push(end) })
})
after(() => Promise.all(ends.map((end) => end())))

const engineOf = (t, http = {}) =>
  openEngine(t, { http: { ...PATIENT, tls: { ca: readFileSync(authority.ca, 'utf8') }, ...http } })

/** A connection that breaks while the response is awaited: the receiver may have processed the call. */
const BROKEN = 'ERR_SEND_CONNECTION response'
const REFUSED = 'ERR_SEND_CONNECT connect'
/** A receiver that ends in the middle of a handshake. */
const CUT_OFF = 'ERR_SEND_TLS tls'

/** Connections to one host at once: the default of `http.perHostConcurrency`. */
const CONNECTIONS = 64

const numberOf = (path) => Number(new URL(path, 'http://host').searchParams.get('n'))

test('nginx, which closes connections after some requests, loses none', async (t) => {
  const program = programOrSkip(t, 'nginx')
  if (!program) return
  for (const keepaliveRequests of [10, 100, 1000]) {
    await t.test(`after ${keepaliveRequests}`, async (t) => {
      const engine = await engineOf(t)
      const server = await nginx(t, program, authority.valid, { keepaliveRequests })
      const all = []
      for (const url of Object.values(server.urls)) {
        all.push(...(await burst(engine, url, { first: all.length })))
      }
      assertConserved(all, await server.processed())
    })
  }
})

test('nginx that is reloaded or restarted during a burst', async (t) => {
  const program = programOrSkip(t, 'nginx')
  if (!program) return
  for (const way of /** @type {const} */ (['reload', 'restart'])) {
    for (const protocol of /** @type {const} */ (['HTTP/1.1 over TLS', 'HTTP/2'])) {
      await t.test(`${way}, ${protocol}`, async (t) => {
        const engine = await engineOf(t)
        const server = await nginx(t, program, authority.valid, { keepaliveRequests: 1000 })
        let times = 0
        const during = async (ended) => {
          if (ended < ((times + 1) * CALLS) / 5) return
          times++
          await server[way]()
        }
        const all = await burst(engine, server.urls[protocol], { during })
        assert.ok(times >= 4)
        const isReload = way === 'reload'
        const permitted = isReload ? [BROKEN] : [BROKEN, REFUSED, CUT_OFF]
        assertConserved(all, await server.processed(), permitted, isReload)
        // A worker that ends over HTTP/1.1 closes each connection, perhaps as a request arrives. While
        // nginx restarts it takes no calls: their number depends on the machine.
        const lost = protocol === 'HTTP/2' ? 0.01 * CALLS : times * CONNECTIONS
        const least = isReload ? CALLS - lost : 1
        assert.ok(delivered(all) >= least, `${delivered(all)} of ${CALLS} delivered`)
      })
    }
  }
})

test('HAProxy before a server', async (t) => {
  const program = programOrSkip(t, 'haproxy')
  if (!program) return
  const behind = await echo(t)
  const { urls } = await haproxy(t, program, authority.valid, behind.host)
  const engine = await engineOf(t)
  for (const url of Object.values(urls)) {
    const all = await burst(engine, url)
    const processed = behind.requests.splice(0).map(({ target }) => numberOf(target))
    assertConserved(all, processed)
  }
})

/** A server of HTTP/2 that keeps the numbers of the calls that it processes. */
async function numbered(t, onStream, options = {}) {
  const processed = []
  const server = await http2Server(
    t,
    { ...authority.valid, ...options },
    (stream, number, headers) =>
      onStream(stream, number, () => processed.push(numberOf(headers[':path']))),
  )
  return { ...server, url: server.url.replace('/hook', '/'), processed }
}

test('node:http2 that leaves its connections every few streams', async (t) => {
  const server = await numbered(t, (stream, number, process) => {
    process()
    respond(stream)
    if (number % 50 === 0) stream.session?.close()
  })
  const all = await burst(await engineOf(t), server.url)
  assertConserved(all, server.processed)
  assert.ok(server.state.sessions > 1)
})

test('a storm of RST_STREAM', async (t) => {
  const { NGHTTP2_CANCEL, NGHTTP2_INTERNAL_ERROR, NGHTTP2_REFUSED_STREAM } = constants
  const codes = { 3: NGHTTP2_REFUSED_STREAM, 5: NGHTTP2_CANCEL, 7: NGHTTP2_INTERNAL_ERROR }
  const server = await numbered(t, (stream, number, process) => {
    const code = codes[number % 10]
    if (code !== NGHTTP2_REFUSED_STREAM) process()
    if (code === undefined) respond(stream)
    else stream.close(code)
  })
  const all = await burst(await engineOf(t), server.url)
  assertConserved(all, server.processed, [BROKEN])
  assert.ok(delivered(all) > CALLS / 2, `${delivered(all)} of ${CALLS} delivered`)
})

test('connections that go deaf one after the other cost the calls that are on them', async (t) => {
  const timeoutMs = 2000
  const server = await numbered(t, (stream, number, process) => {
    process()
    if (number % 500 === 0) middle.goDeaf()
    respond(stream)
  })
  const middle = await relay(t, server.port)
  const engine = await engineOf(t, { timeoutMs, perHostConcurrency: 8 })
  const all = await burst(engine, middle.url.replace('/hook', '/'))
  assertConserved(all, server.processed, ['ERR_SEND_TIMEOUT response'])
  const rounds = Math.ceil(CALLS / 500)
  const lost = CALLS - delivered(all)
  assert.ok(lost > 0 && lost <= rounds * 8 * 2, `${lost} of ${CALLS} timed out`)
})
