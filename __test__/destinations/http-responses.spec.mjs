// The same responses over TLS read by undici, axios and $send.http.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { Agent as HttpsAgent } from 'node:https'
import { test } from 'node:test'
import { createServer } from 'node:tls'
import { deflateRawSync, deflateSync, gzipSync } from 'node:zlib'

import axios from 'axios'
import { Agent, fetch } from 'undici'

import { certificates } from '../support/servers/certificates.mjs'
import { deliver, openEngine, outcome } from '../support/servers/deliver.mjs'
import { listen } from '../support/servers/listen.mjs'
import { PATIENT } from '../support/patience.mjs'

const OK = 'HTTP/1.1 200 OK\r\n'
const chunk = (bytes) => [`${bytes.length.toString(16)}\r\n`, bytes, '\r\n']
const coded = (name, bytes) => [
  `${OK}Content-Encoding: ${name}\r\nContent-Length: ${bytes.length}\r\n\r\n`,
  bytes,
]

/** Each response as the bytes on the wire; `closes` where the end of the connection ends it. */
const RESPONSES = {
  'a length': [`${OK}Content-Length: 2\r\n\r\nok`],
  'no body': [`${OK}Content-Length: 0\r\n\r\n`],
  'a body until the end': { parts: [`${OK}Connection: close\r\n\r\n`, 'to the end'], closes: true },
  chunks: [`${OK}Transfer-Encoding: chunked\r\n\r\n`, ...chunk('a'), ...chunk('bc'), '0\r\n\r\n'],
  'chunks with extensions and trailers': [
    `${OK}Transfer-Encoding: chunked\r\n\r\n2;a="b"\r\nok\r\n0\r\nX-Trailer: 1\r\n\r\n`,
  ],
  'interim responses': [
    'HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n',
    `HTTP/1.1 102 Processing\r\n\r\n${OK}Content-Length: 2\r\n\r\nok`,
  ],
  204: ['HTTP/1.1 204 No Content\r\n\r\n'],
  201: ['HTTP/1.1 201 Made\r\nContent-Length: 4\r\nLocation: /a\r\n\r\nmade'],
  404: ['HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\nnone'],
  503: ['HTTP/1.1 503 Busy\r\nContent-Length: 4\r\nRetry-After: 1\r\n\r\nbusy'],
  'HTTP/1.0': { parts: ['HTTP/1.0 200 OK\r\n\r\n', 'old'], closes: true },
  'many lines of one name': [`${OK}X-A: 1\r\nX-A: 2\r\nContent-Length: 2\r\n\r\nok`],
  'white space before values': [`${OK}X-A: \t 1\r\nContent-Length: 2\r\n\r\nok`],
  'no reason': ['HTTP/1.1 200 \r\nContent-Length: 2\r\n\r\nok'],
  gzip: coded('gzip', gzipSync('packed')),
  deflate: coded('deflate', deflateSync('packed')),
  'raw deflate': coded('deflate', deflateRawSync('packed')),
  'a large body': [`${OK}Content-Length: 60000\r\n\r\n`, 'y'.repeat(60_000)],
}

/** Writes the response that the path names, in one piece or byte by byte. */
async function responder(t, certificate) {
  const server = createServer({ ...certificate, ALPNProtocols: ['http/1.1'] }, (socket) => {
    let unread = ''
    socket.on('error', () => {})
    socket.on('data', async (bytes) => {
      unread += bytes.toString('latin1')
      if (!unread.endsWith('\r\n\r\n{}')) return
      const [, way, index] = /^POST \/(\w+)\/(\d+) /.exec(unread) ?? []
      unread = ''
      const response = Object.values(RESPONSES)[index]
      const { parts, closes } = Array.isArray(response)
        ? { parts: response, closes: false }
        : response
      const whole = Buffer.concat(parts.map((part) => Buffer.from(part)))
      const size = way === 'whole' ? whole.length : Math.ceil(whole.length / 50)
      for (let at = 0; at < whole.length; at += size) {
        await new Promise((resolve) => socket.write(whole.subarray(at, at + size), resolve))
      }
      if (closes) socket.end()
    })
  })
  const { host } = await listen(t, server)
  return `https://${host}`
}

test('responses over TLS are read as undici and axios read them', async (t) => {
  const authority = await certificates(t)
  const ca = readFileSync(authority.ca, 'utf8')
  const origin = await responder(t, authority.valid)
  const engine = await openEngine(t, { http: { ...PATIENT, tls: { ca } } })
  const agent = new Agent({ connect: { ca } })
  const httpsAgent = new HttpsAgent({ ca, keepAlive: true })
  t.after(() => agent.close())
  t.after(() => httpsAgent.destroy())
  for (const way of ['whole', 'slow']) {
    for (const [index, name] of Object.keys(RESPONSES).entries()) {
      const url = `${origin}/${way}/${index}`
      const [theirs, others] = await Promise.all([viaUndici(url, agent), viaAxios(url, httpsAgent)])
      const [delivery] = await deliver(engine, { method: 'POST', url, data: {} })
      const { status, headers, body, truncated } = delivery.response
      const ours = { status, body: body ?? '', a: headers['x-a'] }
      assert.deepEqual(ours, theirs, `${name}, ${way}: undici`)
      assert.deepEqual(ours, others, `${name}, ${way}: axios`)
      const isGood = status < 300
      assert.equal(outcome(delivery).startsWith('delivered'), isGood, name)
      assert.ok(!truncated, name)
    }
  }
})

async function viaUndici(url, dispatcher) {
  const headers = { 'content-type': 'application/json' }
  const response = await fetch(url, { method: 'POST', body: '{}', headers, dispatcher })
  return {
    status: response.status,
    body: await response.text(),
    a: response.headers.get('x-a') ?? undefined,
  }
}

async function viaAxios(url, httpsAgent) {
  const response = await axios({
    ...{ method: 'POST', url, data: {}, httpsAgent, proxy: false },
    ...{ responseType: 'text', validateStatus: () => true, maxRedirects: 0 },
  })
  return { status: response.status, body: response.data, a: response.headers['x-a'] }
}
