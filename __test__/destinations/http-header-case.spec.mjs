import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'

import axios from 'axios'

import { Engine } from '../../js/index.mjs'
import { certificates } from '../support/servers/certificates.mjs'
import { deliver, openEngine, outcome } from '../support/servers/deliver.mjs'
import { echo } from '../support/servers/echo.mjs'
import { secureServer } from '../support/servers/secure.mjs'

const HEADERS = {
  SOAPAction: 'urn:a',
  'x-lower': '1',
  'X-MixeD': ['1', '2'],
  'content-TYPE': 'a/b',
}

/** The names in a request's header lines. */
const namesOf = ({ rawHeaders }) => rawHeaders.filter((_, index) => index % 2 === 0)

test('http.headerCase: "as-given" keeps the names that a step wrote, over HTTP/1.1', async (t) => {
  const authority = await certificates(t)
  const tls = { ca: readFileSync(authority.ca, 'utf8') }
  /** @type {string[][]} */
  const seen = []
  const keep = (request, response) => {
    seen.push(namesOf(request))
    response.end('ok')
  }
  const secure = await secureServer(t, authority.valid, keep, { http1: true })
  const two = await secureServer(t, authority.valid, keep)
  const call = {
    method: 'POST',
    data: 'x',
    headers: HEADERS,
    auth: { username: 'u', password: 'p' },
  }
  for (const [headerCase, expected] of [
    ['as-given', ['SOAPAction', 'x-lower', 'X-MixeD', 'X-MixeD', 'content-TYPE']],
    ['lower', ['soapaction', 'x-lower', 'x-mixed', 'x-mixed', 'content-type']],
  ]) {
    const engine = await openEngine(t, { http: { tls, headerCase } })
    const [first, second, other] = await deliver(
      engine,
      { ...call, url: secure.url },
      { ...call, url: secure.url, data: 'x'.repeat(1 << 20) },
      { ...call, url: two.url },
    )
    assert.deepEqual([first, second, other].map(outcome), Array(3).fill('delivered 200'))
    assert.equal(other.response.httpVersion, '2.0')
    const own = [
      'Host',
      'Accept',
      'User-Agent',
      'Authorization',
      'Content-Length',
      'Accept-Encoding',
    ]
    const ownOf = (names) =>
      headerCase === 'lower' ? names.map((name) => name.toLowerCase()) : names
    const [lower, ...asGiven] = seen
      .splice(0)
      .sort((a, b) => Number(isHttp1(a)) - Number(isHttp1(b)))
    for (const names of asGiven) assert.deepEqual(names.sort(), [...expected, ...ownOf(own)].sort())
    for (const name of lower) assert.equal(name, name.toLowerCase())
  }
})

/** Only HTTP/2 has pseudo-headers. */
const isHttp1 = (names) => !names.includes(':path')

test('with it, names are those that axios sends, redirects and pairs included', async (t) => {
  const seen = []
  const server = await echo(t, ({ target }, response) => {
    if (target === '/from') response.writeHead(307, { location: '/hook' })
    response.end('ok')
  })
  server.server.prependListener('request', (request) => seen.push(namesOf(request)))
  const engine = await openEngine(t, { http: { headerCase: 'as-given' } })
  const url = `http://${server.host}/from`
  const call = { method: 'POST', url, data: { a: 1 }, headers: { 'X-aPi': '1', 'x-Two': '2' } }
  await axios({ ...call, proxy: false })
  const theirs = seen.splice(0).map((names) => names.filter((name) => name !== 'Connection').sort())
  await deliver(engine, call)
  assert.deepEqual(
    seen.splice(0).map((names) => names.sort()),
    theirs,
  )
  const pairs = [
    ['A-b', '1'],
    ['a-B', '2'],
  ]
  await deliver(engine, { ...call, url: server.url, headers: pairs })
  const [names] = seen.splice(0)
  assert.deepEqual(
    names.filter((name) => name.toLowerCase() === 'a-b'),
    ['a-B'],
  )
})

test('another http.headerCase is refused, and so is "as-given" behind a proxy', async () => {
  for (const [options, message] of [
    [
      { http: { headerCase: 'title' } },
      /http\.headerCase: "title" is neither 'lower' nor 'as-given'/,
    ],
    [
      { http: { headerCase: 'as-given' }, egress: { proxy: 'http://127.0.0.1:9' } },
      /http\.headerCase: must be 'lower' behind egress\.proxy/,
    ],
  ]) {
    await assert.rejects(Engine.open(/** @type {any} */ (options)), {
      code: 'ERR_SEND_INVALID_OPTION',
      message,
    })
  }
})
