// The same configurations through axios and through $send.http, to one echo server, in the clear and
// over TLS.

import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { Agent } from 'node:https'
import { test } from 'node:test'

import axios from 'axios'

import { at, cases } from '../support/axios-wire.mjs'
import { certificates } from '../support/servers/certificates.mjs'
import { deliver, openEngine } from '../support/servers/deliver.mjs'
import { echo } from '../support/servers/echo.mjs'

/** Headers that are not compared, and why. */
const NOT_COMPARED = {
  'accept-encoding': 'the codings are those that the HTTP client can decode',
  connection: 'keeping connections is the HTTP client’s own business',
}

const AGENT = 'axios-or-send'

/**
 * Differences that docs/destinations/axios-differences.md documents beyond those of axios-wire.mjs: `row` is how
 * its line begins, `axios` and `send` are what is sent, or the code of what is refused.
 */
const DIFFERENCES = [
  {
    row: '`method` missing, with `data`',
    config: { method: undefined, data: { a: 1 } },
    see: ({ method }) => method,
    axios: 'GET',
    send: 'POST',
  },
  {
    row: '`headers` as an array of pairs',
    config: { headers: [['X-A', 'a']] },
    see: ({ headers }) => headers.accept?.[0],
    axios: undefined,
    send: 'application/json, text/plain, */*',
  },
  {
    row: '`constructor`, `prototype` and `__proto__` as keys',
    config: { method: 'POST', data: { constructor: 1, a: 2 } },
    axios: '{"a":2}',
    send: '{"constructor":1,"a":2}',
  },
  {
    row: 'a `Blob` with a type, and a `Content-Type` header',
    config: {
      method: 'POST',
      data: new Blob(['x'], { type: 'text/csv' }),
      headers: { 'Content-Type': 'a/b' },
    },
    see: ({ headers }) => headers['content-type'][0],
    axios: 'text/csv',
    send: 'a/b',
  },
  {
    row: 'a typed array that is a view on a larger buffer',
    config: { method: 'POST', data: new Uint8Array(new TextEncoder().encode('abcd').buffer, 1, 2) },
    axios: 'abcd',
    send: 'bc',
  },
  {
    row: '`data` with a `toJSON` that gives a string (a `Date`)',
    config: { method: 'POST', data: new Date(0) },
    axios: '"1970-01-01T00:00:00.000Z"',
    send: '1970-01-01T00:00:00.000Z',
  },
  {
    row: 'a `Date` as a header value',
    config: { headers: { 'X-A': new Date(0) } },
    see: ({ headers }) => headers['x-a'][0].slice(0, 4),
    axios: 'Thu ',
    send: '1970',
  },
  {
    row: '`NaN`, `Infinity` in `params`, forms and headers',
    config: { params: { a: NaN, b: 1 } },
    see: ({ target }) => target,
    axios: '/hook?a=NaN&b=1',
    send: '/hook?b=1',
  },
  {
    row: '`Map`, `Set`',
    config: { method: 'POST', data: { map: new Map([['a', 1]]), set: new Set([1]) } },
    axios: '{"map":{},"set":{}}',
    send: '{"map":{"a":1},"set":[1]}',
  },
  {
    row: "`'` in `params`",
    config: { params: { a: "'" } },
    see: ({ target }) => target,
    axios: "/hook?a='",
    send: '/hook?a=%27',
  },
  {
    row: 'a lone surrogate in `params`',
    config: { params: { a: '\ud800' } },
    see: ({ target }) => target,
    axios: undefined,
    send: '/hook?a=%EF%BF%BD',
  },
  {
    row: 'CR, LF, NUL or another control character in a header value',
    config: { headers: { 'X-A': 'a\r\nb' } },
    see: ({ headers }) => headers['x-a'][0],
    axios: 'ab',
    send: 'ERR_SEND_INVALID_HEADER',
  },
  {
    row: 'a character outside ISO 8859-1 in a header value',
    config: { headers: { 'X-A': 'až' } },
    see: ({ headers }) => headers['x-a'][0],
    axios: 'a',
    send: 'ERR_SEND_INVALID_HEADER',
  },
]

/** Cases whose call is refused, and why: what they test is how Rust reads the recorded text. */
const REFUSED_AT_THE_CALL = {
  'params that are null': 'the original’s own check refuses null',
  'headers that are null': 'the original’s own check refuses null',
  'no authentication': 'the original’s own check refuses null',
  'authentication with a number': 'the original’s own check refuses a password that is no text',
}

/** The configurations of axios-wire.mjs, and those that hold what only a running program can. */
const ALL = [
  ...cases,
  ...['POST', 'PUT', 'GET'].map((method) => ({
    name: `FormData with ${method}`,
    config: { method, url: 'http://wire.test/hook', data: formData() },
  })),
]

function formData() {
  const form = new FormData()
  form.append('text', 'é "quoted"')
  form.append('odd"name\r\n', 'a\nb')
  form.append('file', new Blob([new Uint8Array([0, 255])], { type: 'image/png' }), 'ž"a.png')
  form.append('file', new Blob(['text']))
  return form
}

/** What a server got that is the same through both, boundaries of multipart apart. */
function comparable({ method, target, lines, body }, host) {
  const headers = {}
  for (const [name, value] of lines) {
    if (!(name in NOT_COMPARED)) (headers[name] ??= []).push(value.replaceAll(host, 'HOST'))
  }
  if (/^axios\/[\d.]+$/.test(headers['user-agent']?.[0])) headers['user-agent'] = [AGENT]
  // The URL Standard came to encode `^` in paths, and Node follows it from version 24 on.
  target = target.replaceAll('%5E', '^')
  const answer = { method, target, headers: sorted(headers), body: body.toString('latin1') }
  const boundary = /^multipart\/form-data; boundary=(-*[\w.-]+)$/.exec(headers['content-type']?.[0])
  return boundary ? withoutBoundary(answer, boundary[1]) : answer
}

/** The length of a body depends on the length of its boundary, so it is the text without it. */
function withoutBoundary(answer, boundary) {
  const body = answer.body.replaceAll(boundary, 'BOUNDARY')
  const shorter = answer.body.length - body.length
  const length = answer.headers['content-length']?.map((text) => String(Number(text) - shorter))
  const type = [`multipart/form-data; boundary=BOUNDARY`]
  return {
    ...answer,
    body,
    headers: { ...answer.headers, 'content-type': type, 'content-length': length },
  }
}

const sorted = (headers) =>
  Object.fromEntries(Object.entries(headers).sort(([a], [b]) => (a < b ? -1 : 1)))

/** Sends a configuration both ways; what did not arrive is the code of the refusal. */
async function both({ server, engine, peer = {} }, config) {
  let here = at(config, server.host)
  if (peer.httpsAgent && typeof here.url === 'string') {
    here = { ...here, url: here.url.replace(/^http:/, 'https:') }
  }
  const theirs = { ...here, ...peer, proxy: false, timeout: 5000 }
  const axiosError = await axios(theirs).catch((error) => error)
  const [fromAxios] = server.requests.splice(0)
  const sent = await deliver(engine, here).catch((error) => [{ error }])
  const requests = server.requests.splice(0)
  assert.ok(requests.length <= 1, 'one call, one request')
  const refusal = { error: sent[0].error?.code }
  return {
    axios: fromAxios ? comparable(fromAxios, server.host) : { error: axiosError.message ?? 'none' },
    send: requests.length === 1 ? comparable(requests[0], server.host) : refusal,
  }
}

/** What is expected of $send, given what axios sent: the same, or the documented difference. */
function expected(name, answer, differs) {
  if (name in REFUSED_AT_THE_CALL) return { error: 'ERR_SEND_INVALID_ARGUMENT' } // reaches ERR_SEND_INVALID_ARGUMENT
  if (!differs) return answer
  if (differs.error) return differs
  const headers = { host: ['HOST'], ...answer.headers, ...differs.headers }
  if (headers['user-agent']?.[0] === '{agent}') headers['user-agent'] = [AGENT]
  const all = { ...answer, ...differs, headers: sorted(headers) }
  delete all.error
  return all
}

async function setUp(t) {
  const server = await echo(t)
  return { server, engine: await openEngine(t, { http: { userAgent: AGENT } }) }
}

async function setUpSecure(t) {
  const { ca, valid } = await certificates(t)
  const tls = { ca: await readFile(ca, 'utf8') }
  const server = await echo(t, undefined, undefined, valid)
  const httpsAgent = new Agent({ keepAlive: true, ...tls })
  t.after(() => httpsAgent.destroy())
  const engine = await openEngine(t, { http: { userAgent: AGENT, tls } })
  return { server, engine, peer: { httpsAgent } }
}

test('the wire form is that of axios', (t) => compareAll(t, setUp))

test('over TLS it is, too', (t) => compareAll(t, setUpSecure))

async function compareAll(t, prepare) {
  const ends = await prepare(t)
  const { server } = ends
  const different = []
  for (const { name, config, differs } of ALL) {
    const { axios: answer, send } = await both(ends, config)
    try {
      if (answer.error && !differs) assert.ok(send.error, 'axios refuses to send this')
      else assert.deepEqual(send, expected(name, answer, differs))
    } catch (error) {
      different.push(`${name}: ${error.message}`)
    }
  }
  assert.equal(different.length, 0, different.join('\n\n'))
  assert.ok(ALL.length > 250)
  assert.ok(server.seen.connections > 0)
}

test('every documented difference is one', async (t) => {
  const ends = await setUp(t)
  const page = await readFile(
    new URL('../../docs/destinations/axios-differences.md', import.meta.url),
    'utf8',
  )
  for (const { row, config, see = ({ body }) => body, axios: theirs, send: ours } of DIFFERENCES) {
    assert.ok(
      page.includes(`| ${row}`),
      `docs/destinations/axios-differences.md has no line for: ${row}`,
    )
    const call = { method: 'GET', url: 'http://wire.test/hook', ...config }
    const seen = await both(ends, call)
    const shown = (answer) => ('headers' in answer ? see(answer) : answer.error)
    // What axios says when it refuses is its own affair.
    if (!seen.axios.error) assert.deepEqual(shown(seen.axios), theirs, row)
    else assert.equal(theirs, undefined, row)
    assert.deepEqual(shown(seen.send), ours, row)
  }
})

test('redirects change method and body as they do with axios', async (t) => {
  const server = await echo(t, ({ target }, response) => {
    const status = Number(target.slice(1))
    if (status > 0) response.writeHead(status, { location: '/0' })
    response.end()
  })
  const engine = await openEngine(t, { http: { userAgent: AGENT } })
  for (const method of ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']) {
    for (const status of [301, 302, 303, 307, 308]) {
      const config = {
        method,
        url: `http://${server.host}/${status}`,
        headers: { 'X-A': 'b' },
        data: { a: 1 },
      }
      await axios({ ...config, proxy: false })
      const [, theirs] = server.requests.splice(0)
      await deliver(engine, config)
      const [, ours] = server.requests.splice(0)
      assert.deepEqual(
        comparable(ours, server.host),
        comparable(theirs, server.host),
        `${method} ${status}`,
      )
    }
  }
})
