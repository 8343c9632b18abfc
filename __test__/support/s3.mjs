// A real S3 server on 127.0.0.1, on a free port, that ends with the test, and an independent reader
// of what is stored there.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { createServer as createHttpServer, request as httpRequest } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { buffer } from 'node:stream/consumers'
import * as zlib from 'node:zlib'

import { GetObjectCommand, ListObjectsV2Command, S3Client } from '@aws-sdk/client-s3'

import { S3_SERVER } from '../../scripts/s3-server.mjs'
import { listen } from './servers/listen.mjs'
import { openEngine } from './engine.mjs'
import { PATIENT } from './patience.mjs'

/** The one who may ask. */
export const KEYS = { accessKeyId: 'AKIDTEST', secretAccessKey: 'secret-of-the-tests' }

/** `PREFIX` is before it. */
export const KEY =
  /\d{4}\/\d\d\/\d\d\/\d\d\/\d{4}-\d\d-\d\d-\d\d-\d\d-\d\d-([0-9a-f]{64})\.(gz|zst|ndjson)$/

/**
 * Starts s3s-fs, which checks signatures, with these buckets.
 *
 * @param {{ after(fn: () => unknown): void }} t
 * @param {{ buckets?: string[], domain?: string }} [options]
 */
export async function s3Server(t, { buckets = ['bucket'], domain } = {}) {
  if (!existsSync(S3_SERVER)) {
    assert.fail('the S3 server for tests is missing: run `node scripts/s3-server.mjs`')
  }
  const root = mkdtempSync(join(tmpdir(), 'dollar-send-s3-'))
  for (const bucket of buckets) mkdirSync(join(root, bucket))
  const { accessKeyId, secretAccessKey } = KEYS
  const args = ['--host', '127.0.0.1', '--port', '0']
  const login = ['--access-key', accessKeyId, '--secret-key', secretAccessKey]
  const child = spawn(
    S3_SERVER,
    [...args, ...login, ...(domain ? ['--domain', domain] : []), root],
    { stdio: ['ignore', 'pipe', 'inherit'], env: { ...process.env, RUST_LOG: 's3s_fs=info' } },
  )
  t.after(() => {
    child.kill('SIGKILL')
    rmSync(root, { recursive: true, force: true })
  })
  const port = await new Promise((resolve, reject) => {
    child.once('close', () => reject(new Error('the S3 server ended')))
    createInterface(child.stdout).on('line', (line) => {
      const at = /running at http:\/\/127\.0\.0\.1:(\d+)/.exec(line)
      if (at) resolve(Number(at[1]))
    })
  })
  const endpoint = `http://127.0.0.1:${port}`
  return { root, port, endpoint, objects: () => objectsAt(endpoint, buckets) }
}

/**
 * Everything that is stored, read with the SDK of Amazon.
 *
 * @param {string} endpoint
 * @param {string[]} buckets
 */
async function objectsAt(endpoint, buckets) {
  // A copy: the SDK writes into it.
  const credentials = { ...KEYS }
  const client = new S3Client({ endpoint, region: 'us-east-1', credentials, forcePathStyle: true })
  const objects = []
  for (const bucket of buckets) {
    /** @type {string | undefined} */
    let after
    do {
      const page = await client.send(
        new ListObjectsV2Command({ Bucket: bucket, StartAfter: after }),
      )
      for (const { Key = '' } of page.Contents ?? []) {
        const got = await client.send(new GetObjectCommand({ Bucket: bucket, Key }))
        const bytes = Buffer.from(await /** @type {any} */ (got.Body).transformToByteArray())
        objects.push({
          bucket,
          key: Key,
          etag: got.ETag,
          type: got.ContentType,
          ...read(Key, bytes),
        })
      }
      after = page.IsTruncated ? page.Contents?.at(-1)?.Key : undefined
    } while (after)
  }
  client.destroy()
  return objects
}

/**
 * An object as its lines.
 *
 * @param {string} key
 * @param {Buffer} bytes
 */
export function read(key, bytes) {
  const digest = createHash('sha256').update(bytes).digest('hex')
  if (key.endsWith('.parquet')) return { bytes, text: '', lines: [], digest }
  const text = key.endsWith('.gz')
    ? zlib.gunzipSync(bytes).toString()
    : key.endsWith('.zst')
      ? unzstd(bytes)
      : bytes.toString()
  assert.ok(text.endsWith('\n'), `${key} ends with a whole line`)
  return { bytes, text, lines: text.slice(0, -1).split('\n'), digest }
}

/** @param {Buffer} bytes */
function unzstd(bytes) {
  const decompress = /** @type {any} */ (zlib).zstdDecompressSync
  // Node 22.15 and later.
  return decompress ? decompress(bytes).toString() : '\n'
}

/** The files below a folder, by their paths in it. @param {string} folder @returns {string[]} */
export function filesIn(folder) {
  if (!existsSync(folder)) return []
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true })
  const files = entries.filter((entry) => entry.isFile())
  return files.map((file) => join(file.parentPath ?? file.path, file.name).slice(folder.length + 1))
}

/**
 * The options of an engine that stores at an endpoint.
 *
 * @param {string} endpoint
 * @param {object} [more]
 */
export function at(endpoint, more = {}) {
  return { endpoint, allowHttp: true, ...KEYS, ...more }
}

/**
 * An engine that stores there, and one execution of one step.
 *
 * @param {{ after(fn: () => unknown): void }} t
 * @param {object} s3
 * @param {import('../../index.d.ts').EngineOptions} [options]
 */
export async function s3Step(t, s3, options = {}) {
  const engine = await openEngine(t, { s3: /** @type {any} */ (s3), ...options })
  const execution = engine.execution({ workflowId: 'p_test' })
  return { engine, execution, ...execution.step('step') }
}

/**
 * Completes, stores at once, and answers the log in call order.
 *
 * @param {{ engine: import('../../index.d.ts').Engine, execution: import('../../index.d.ts').Execution }} step
 */
export async function storeNow({ engine, execution }) {
  await execution.complete()
  await engine.flush(PATIENT)
  return execution.settled(PATIENT)
}

/**
 * A proxy in front of a server, which does to requests what a network or a service under load does.
 *
 * @param {{ after(fn: () => unknown): void }} t
 * @param {number} port of the server
 * @param {(request: { method: string, path: string, number: number }) =>
 *   undefined | 'reset' | 'lose' | 'keep' | 'hang' | { status: number, code: string }} fault
 *   `reset`: the connection ends amid the body; `lose`: the server acts, and its answer is lost;
 *   `keep`: the server acts, and never answers
 */
export async function faulty(t, port, fault) {
  /** @type {Array<{ method: string, path: string }>} */
  const requests = []
  const server = createHttpServer(async (message, response) => {
    const { method = '', url: path = '', headers } = message
    const number = requests.push({ method, path })
    const what = fault({ method, path, number })
    if (what === 'reset') {
      message.once('data', () => message.socket.destroy())
      return
    }
    const body = await buffer(message).catch(() => undefined)
    if (!body || what === 'hang') return
    if (typeof what === 'object') {
      const xml = `<Error><Code>${what.code}</Code><Message>said the test</Message></Error>`
      response.writeHead(what.status, { 'content-type': 'application/xml' }).end(xml)
      return
    }
    const onward = httpRequest(
      { host: '127.0.0.1', port, method, path, headers },
      async (answer) => {
        const answered = await buffer(answer)
        if (what === 'lose') return message.socket.destroy()
        if (what === 'keep') return
        response.writeHead(answer.statusCode ?? 502, answer.headers).end(answered)
      },
    )
    onward.on('error', () => message.socket.destroy())
    onward.end(body)
  })
  const { port: own } = await listen(t, server)
  return { endpoint: `http://127.0.0.1:${own}`, requests }
}
