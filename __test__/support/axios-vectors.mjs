// Records what axios sends for every case of axios-wire.mjs, as the table of the Rust tests:
//
//     node __test__/support/axios-vectors.mjs [file]     (default: src/destinations/http/vectors.json)
//
// Each vector holds the call as Rust gets it (`text`, and `body` for what JSON cannot hold) and the
// request that an echo server on 127.0.0.1 received from axios, with documented differences applied.

import http from 'node:http'
import { writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

import axios from 'axios'

import { at, cases } from './axios-wire.mjs'

// What belongs to the connection, or is the HTTP client's own choice.
const IGNORED = new Set(['host', 'connection', 'accept-encoding', 'keep-alive'])

/** The request as a server saw it. Header names are lower case, values are lists. */
export function received(request, body) {
  const headers = {}
  for (let i = 0; i < request.rawHeaders.length; i += 2) {
    const name = request.rawHeaders[i].toLowerCase()
    if (!IGNORED.has(name)) (headers[name] ??= []).push(request.rawHeaders[i + 1])
  }
  if (headers['user-agent']?.[0].startsWith('axios/')) headers['user-agent'] = ['{agent}']
  return {
    method: request.method,
    target: request.url,
    headers: sorted(headers),
    body: body.toString('latin1'),
  }
}

const sorted = (headers) =>
  Object.fromEntries(Object.entries(headers).sort(([a], [b]) => (a < b ? -1 : 1)))

/** Boundaries are random: one name for all of them, of the same length. */
function withoutBoundary(answer) {
  const boundary = answer.headers?.['content-type']?.[0].match(
    /^multipart\/form-data; boundary=(-+[0-9a-z]+)$/,
  )?.[1]
  if (!boundary) return answer
  const name = 'B'.repeat(boundary.length)
  return JSON.parse(JSON.stringify(answer).replaceAll(boundary, name))
}

async function snapshot(config) {
  const { data, params } = config
  const rest = params instanceof URLSearchParams ? { ...config, params: params.toString() } : config
  const body = await binary(data)
  return { text: JSON.stringify(body ? { ...rest, data: undefined } : rest), ...(body && { body }) }
}

async function binary(data) {
  if (data instanceof URLSearchParams) {
    return {
      bytes: data.toString(),
      contentType: 'application/x-www-form-urlencoded;charset=utf-8',
    }
  }
  const latin1 = (bytes) => Buffer.from(bytes).toString('latin1')
  if (data instanceof Blob) {
    const type = data.type || (data.size ? 'application/octet-stream' : undefined)
    return { bytes: latin1(await data.arrayBuffer()), ...(type && { contentType: type }) }
  }
  return data instanceof ArrayBuffer || ArrayBuffer.isView(data)
    ? { bytes: latin1(data) }
    : undefined
}

async function record() {
  let last
  const server = http.createServer({ maxHeaderSize: 1 << 20 }, (request, response) => {
    const chunks = []
    request.on('data', (chunk) => chunks.push(chunk))
    request.on('end', () => {
      last = received(request, Buffer.concat(chunks))
      response.end()
    })
  })
  server.maxHeadersCount = 0
  await new Promise((listening) => server.listen(0, '127.0.0.1', listening))
  const host = `127.0.0.1:${server.address().port}`
  const vectors = []
  for (const { name, config, differs } of cases) {
    last = undefined
    const failure = await axios({ ...at(config, host), proxy: false, timeout: 5000 }).catch(
      (error) => error,
    )
    const answer = last ? withoutBoundary(last) : { error: true }
    if (!last && process.argv.includes('--verbose')) console.error(name, '-', failure.message)
    const expected =
      differs?.error || !differs ? (differs ?? answer) : { ...answer, ...differs, error: undefined }
    if (differs && !differs.error)
      expected.headers = sorted({ ...answer.headers, ...differs.headers })
    vectors.push({ name, ...(await snapshot(config)), expected })
  }
  server.close()
  server.closeAllConnections()
  return vectors
}

const file =
  process.argv[2] ??
  fileURLToPath(new URL('../../src/destinations/http/vectors.json', import.meta.url))
const vectors = await record()
writeFileSync(file, `[\n${vectors.map((vector) => JSON.stringify(vector)).join(',\n')}\n]\n`)
console.log(`${vectors.length} vectors from axios ${axios.VERSION} in ${file}`)
