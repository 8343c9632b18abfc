// `$send.s3` as it speaks to Amazon itself: names, TLS and regions, with a proxy in between that knows
// another server for every name.

import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { createServer } from 'node:http'
import { connect } from 'node:net'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { gunzipSync } from 'node:zlib'

import { certificates } from '../support/servers/certificates.mjs'
import { listen } from '../support/servers/listen.mjs'
import { secureServer } from '../support/servers/secure.mjs'
import { PATIENCE_MS } from '../support/patience.mjs'

const REGION = 'eu-west-1'

/** Engines read the machine's authorities from their environment: one in a process of its own. */
const CHILD = `
  import { Engine } from ${JSON.stringify(new URL('../../js/index.mjs', import.meta.url).href)}
  const { options, calls } = JSON.parse(process.argv[1])
  const engine = await Engine.open(options)
  const execution = engine.execution({ workflowId: 'p_test' })
  for (const call of calls) execution.step('s').$send.s3(call)
  await execution.complete()
  await engine.flush()
  process.stdout.write(JSON.stringify(await execution.settled()))
  await engine.close()`

/**
 * Stores through a proxy that leads every name to one TLS server, which answers as Amazon does.
 *
 * @param {import('node:test').TestContext} t
 * @param {object} s3
 * @param {object[]} calls
 */
async function store(t, s3, calls) {
  const authority = await certificates(t)
  const certificate = await authority.named(
    's3.amazonaws.com',
    `s3.${REGION}.amazonaws.com`,
    `*.s3.${REGION}.amazonaws.com`,
  )
  /** @type {Array<{ method: string, host: string, path: string, body: Buffer, headers: any }>} */
  const seen = []
  const server = await secureServer(t, certificate, (request, response) => {
    const host = request.authority ?? request.headers.host
    const { method, url: path, headers } = request
    seen.push({
      method,
      host,
      path,
      headers,
      body: server.requests.at(-1)?.body ?? Buffer.alloc(0),
    })
    // Who may not look at a bucket hears of its region all the same.
    if (method === 'HEAD') {
      return response.writeHead(403, { 'x-amz-bucket-region': REGION }).end()
    }
    response.writeHead(200, { etag: '"e-tag"' }).end()
  })
  const proxy = createServer()
  proxy.on('connect', (_request, socket) => {
    const onward = connect(server.seen.port, '127.0.0.1', () => {
      socket.write('HTTP/1.1 200 Connected\r\n\r\n')
      onward.pipe(socket)
      socket.pipe(onward)
    })
    onward.on('error', () => socket.destroy())
    socket.on('error', () => onward.destroy())
  })
  const { host } = await listen(t, proxy)
  const keys = { accessKeyId: 'AKID', secretAccessKey: 'secret' }
  const egress = { allow: ['127.0.0.0/8', '*.amazonaws.com'], proxy: `http://${host}` }
  const options = { egress, s3: { ...keys, ...s3 } }
  const { stdout } = await promisify(execFile)(
    process.execPath,
    ['--input-type=module', '--eval', CHILD, JSON.stringify({ options, calls })],
    { env: { ...process.env, SSL_CERT_FILE: authority.ca }, timeout: PATIENCE_MS },
  )
  return { log: JSON.parse(stdout), seen }
}

test('the region of a bucket is looked up once, and its objects go there', async (t) => {
  const calls = ['a/', 'b/'].map((prefix) => ({ bucket: 'mine', prefix, payload: { prefix } }))
  const { log, seen } = await store(t, { region: 'auto', timeoutMs: PATIENCE_MS }, calls)
  assert.deepEqual(
    log.map((/** @type {any} */ { status, error }) => [status, error?.message]),
    Array(2).fill(['delivered', undefined]),
  )
  assert.equal(log[0].response.etag, '"e-tag"')
  const looked = seen.filter(({ method }) => method === 'HEAD')
  assert.ok(looked.length >= 1 && looked.length <= 2, 'the two batches may ask at the same time')
  assert.deepEqual([looked[0].host, looked[0].path], ['s3.amazonaws.com', '/mine'])
  assert.equal(looked[0].headers.authorization, undefined)
  const stored = seen.filter(({ method }) => method === 'PUT')
  assert.deepEqual(
    stored.map(({ host }) => host),
    Array(2).fill(`mine.s3.${REGION}.amazonaws.com`),
  )
  const lines = stored.map(({ body }) => gunzipSync(body).toString()).sort()
  assert.deepEqual(lines, ['{"prefix":"a/"}\n', '{"prefix":"b/"}\n'])
  const scope = new RegExp(`Credential=AKID/\\d{8}/${REGION}/s3/aws4_request`)
  for (const { headers } of stored) assert.match(headers.authorization, scope)
})

test('a bucket with a dot in its name is in the path: there is no certificate for it', async (t) => {
  const calls = [{ bucket: 'my.bucket', prefix: 'p/', payload: { a: 1 } }]
  const { log, seen } = await store(t, { region: REGION }, calls)
  assert.deepEqual([log[0].status, log[0].error], ['delivered', undefined])
  assert.deepEqual(
    seen.map(({ method, host, path }) => [method, host, path]),
    [['PUT', `s3.${REGION}.amazonaws.com`, `/my.bucket/${log[0].response.key}`]],
  )
})
