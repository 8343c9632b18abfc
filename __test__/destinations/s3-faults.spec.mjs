// `$send.s3` when the service, the network or the disk does not do what it should: what time mends
// keeps the batch until it is stored, and nothing is stored twice.

import assert from 'node:assert/strict'
import { mkdirSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { test } from 'node:test'

import { listen } from '../support/servers/listen.mjs'
import { dataDirectory } from '../support/data-dir.mjs'
import { nextEvent, openEngine } from '../support/engine.mjs'
import { PATIENT } from '../support/patience.mjs'
import { deferred } from '../support/receiver.mjs'
import { KEYS, at, faulty, s3Server, s3Step, storeNow } from '../support/s3.mjs'

const RECORD = { bucket: 'bucket', prefix: 'p/', payload: { a: 1 } }

/**
 * Stores one record through the fault of the first requests.
 *
 * @param {import('node:test').TestContext} t
 * @param {any} fault
 * @param {number} times
 */
async function through(t, fault, times) {
  const server = await s3Server(t)
  const front = await faulty(t, server.port, ({ number }) => (number <= times ? fault : undefined))
  const deadline = fault === 'hang' ? { timeoutMs: 2000 } : PATIENT
  const step = await s3Step(t, at(front.endpoint, deadline))
  step.$send.s3(RECORD)
  const [delivery] = await storeNow(step)
  return { delivery, front, objects: await server.objects() }
}

for (const [name, fault] of /** @type {Array<[string, any]>} */ ([
  ['503 SlowDown', { status: 503, code: 'SlowDown' }],
  ['500 InternalError', { status: 500, code: 'InternalError' }],
  ['429', { status: 429, code: 'TooManyRequests' }],
  ['a clock that is wrong', { status: 403, code: 'RequestTimeTooSkewed' }],
  ['a session that is over', { status: 400, code: 'ExpiredToken' }],
  ['a connection that is reset', 'reset'],
  ['an answer that is lost', 'lose'],
])) {
  test(`${name}: the batch is kept and stored once`, async (t) => {
    const { delivery, front, objects } = await through(t, fault, 2)
    assert.deepEqual([delivery.status, delivery.attempts], ['delivered', 3])
    assert.equal(front.requests.length, 3)
    assert.equal(new Set(front.requests.map(({ path }) => path)).size, 1, 'always the same key')
    assert.deepEqual(
      objects.map(({ lines }) => lines),
      [['{"a":1}']],
    )
  })
}

test('a server that hangs: the attempt ends at its deadline, and there is another', async (t) => {
  const { delivery, objects } = await through(t, 'hang', 1)
  assert.deepEqual([delivery.status, delivery.attempts], ['delivered', 2])
  assert.equal(objects.length, 1)
})

for (const [name, fault, message] of /** @type {Array<[string, any, RegExp]>} */ ([
  ['denied access', { status: 403, code: 'AccessDenied' }, /403 AccessDenied: said the test/],
  ['a bucket that is elsewhere', { status: 301, code: 'PermanentRedirect' }, /another region/],
  ['a request that is refused', { status: 400, code: 'InvalidArgument' }, /400 InvalidArgument/],
])) {
  test(`${name} fails the deliveries with the code of the server`, async (t) => {
    const { delivery, front, objects } = await through(t, fault, 1)
    assert.deepEqual([delivery.status, delivery.error?.code], ['failed', 'ERR_SEND_STATUS'])
    assert.match(delivery.error?.message ?? '', message)
    assert.equal(front.requests.length, 1)
    assert.deepEqual(objects, [])
  })
}

test('a bucket that is not there fails the deliveries of it alone', async (t) => {
  const server = await s3Server(t)
  const front = await faulty(t, server.port, ({ path }) =>
    path.startsWith('/nowhere/') ? { status: 404, code: 'NoSuchBucket' } : undefined,
  )
  const step = await s3Step(t, at(front.endpoint))
  step.$send.s3({ ...RECORD, bucket: 'nowhere' })
  step.$send.s3(RECORD)
  const [first, second] = await storeNow(step)
  assert.deepEqual([first.status, second.status], ['failed', 'delivered'])
  assert.match(first.error?.message ?? '', /404 NoSuchBucket/)
})

test('who listens hears of the batch that is delayed, and why', async (t) => {
  const server = await s3Server(t)
  const fault = /** @type {const} */ ({ status: 503, code: 'SlowDown' })
  const front = await faulty(t, server.port, ({ number }) => (number === 1 ? fault : undefined))
  const step = await s3Step(t, at(front.endpoint))
  const delayed = nextEvent(step.engine, 'batch', ({ status }) => status === 'delayed')
  const warning = nextEvent(step.engine, 'warning', ({ code }) => code === 'BATCH_DELAYED')
  const stored = nextEvent(step.engine, 'batch', ({ status }) => status === 'stored')
  step.$send.s3(RECORD)
  await storeNow(step)
  assert.match((await delayed).error ?? '', /S3 answered 503 SlowDown/)
  assert.match((await warning).message, /^bucket\/p\/.* could not be stored: S3 answered 503/)
  const { attempts, records, name } = await stored
  assert.deepEqual([attempts, records, name], [2, 1, (await delayed).name])
})

test('an upload in parts that fails is begun anew, and what was begun is cleared away', async (t) => {
  const server = await s3Server(t)
  let refused = false
  const front = await faulty(t, server.port, ({ path }) => {
    if (refused || !path.includes('partNumber=2')) return undefined
    refused = true
    return { status: 500, code: 'InternalError' }
  })
  const step = await s3Step(t, at(front.endpoint, { compression: 'none' }))
  for (let n = 0; n < 10; n++) {
    step.$send.s3({ bucket: 'bucket', payload: { n, text: 'x'.repeat(1 << 20) } })
  }
  const log = await storeNow(step)
  assert.ok(log.every(({ status, attempts }) => status === 'delivered' && attempts === 2))
  const [object, ...others] = await server.objects()
  assert.deepEqual([object.lines.length, others.length], [10, 0])
  const created = front.requests.filter(({ path }) => /\?uploads=?$/.test(path))
  const aborted = front.requests.filter(({ method }) => method === 'DELETE')
  assert.deepEqual([created.length, aborted.length], [2, 1])
  assert.match(aborted[0].path, /uploadId=/)
})

test('while one bucket cannot be reached another one is served', async (t) => {
  const server = await s3Server(t, { buckets: ['bucket', 'down'] })
  const front = await faulty(t, server.port, ({ path }) =>
    path.includes('/down/') ? 'hang' : undefined,
  )
  const step = await s3Step(t, at(front.endpoint, { batch: { maxCount: 1 } }))
  const stored = nextEvent(step.engine, 'batch', ({ status }) => status === 'stored')
  // More than are stored at once in one bucket.
  for (let n = 0; n < 6; n++) step.$send.s3({ ...RECORD, bucket: 'down' })
  step.$send.s3(RECORD)
  await step.execution.complete()
  assert.match((await stored).name, /^bucket\//)
})

test('what could not be stored before the end is stored by the next engine, once', async (t) => {
  const server = await s3Server(t)
  let down = true
  const front = await faulty(t, server.port, () =>
    down ? { status: 503, code: 'SlowDown' } : undefined,
  )
  const dataDir = dataDirectory(t)
  const first = await s3Step(t, at(front.endpoint), { dataDir })
  for (let n = 0; n < 100; n++) first.$send.s3({ ...RECORD, payload: { n } })
  const delayed = nextEvent(first.engine, 'batch', ({ status }) => status === 'delayed')
  await first.execution.complete()
  first.engine.flush(PATIENT).catch(() => {})
  await delayed
  assert.equal((await first.engine.close({ timeoutMs: 200 })).pending, 100)
  const [{ path }] = front.requests
  down = false

  const engine = await openEngine(t, { dataDir, s3: at(front.endpoint) })
  await engine.flush(PATIENT)
  const [object, ...others] = await server.objects()
  assert.equal(others.length, 0)
  assert.deepEqual(
    object.lines,
    Array.from({ length: 100 }, (_, n) => `{"n":${n}}`),
  )
  assert.equal(`/bucket/${object.key}`, decodeURIComponent(path), 'the name it had before')
  assert.ok(object.key.includes(object.digest))
  const [{ delivered, total }] = await engine.executions()
  assert.deepEqual([delivered, total], [100, 100])
})

test('an upload that an ended process had begun is cleared away by the next', async (t) => {
  const server = await s3Server(t)
  const hung = deferred()
  let down = true
  const front = await faulty(t, server.port, ({ path }) => {
    if (!down || !path.includes('partNumber=2')) return undefined
    hung.resolve(undefined)
    return 'hang'
  })
  const dataDir = dataDirectory(t)
  const s3 = at(front.endpoint, { compression: 'none', batch: { maxCount: 10 } })
  const first = await s3Step(t, s3, { dataDir })
  for (let n = 0; n < 10; n++) {
    first.$send.s3({ bucket: 'bucket', payload: { n, text: 'x'.repeat(1 << 20) } })
  }
  await first.execution.complete()
  await hung.promise
  await first.engine.close({ timeoutMs: 0 })
  down = false

  const engine = await openEngine(t, { dataDir, s3 })
  await engine.flush(PATIENT)
  const [object, ...others] = await server.objects()
  assert.deepEqual([object.lines.length, others.length], [10, 0])
  const aborted = front.requests.filter(({ method }) => method === 'DELETE')
  assert.equal(aborted.length, 1)
})

test('files: where no folder can be, the deliveries fail with the reason', async (t) => {
  const folder = dataDirectory(t)
  mkdirSync(folder)
  writeFileSync(join(folder, 'blocked'), '')
  const step = await s3Step(t, { file: folder })
  step.$send.s3({ ...RECORD, bucket: 'blocked' })
  step.$send.s3(RECORD)
  const [{ status, error }, beside] = await storeNow(step)
  assert.deepEqual([status, beside.status], ['failed', 'delivered'])
  assert.match(error?.message ?? '', /blocked.* cannot be written: Not a directory/)
})

test('keys come from the metadata service, whose address no step may reach', async (t) => {
  const server = await s3Server(t)
  /** @type {string[]} */
  const asked = []
  const metadata = createServer((request, response) => {
    asked.push(`${request.method} ${request.url}`)
    if (request.method === 'PUT') return response.end('session')
    assert.equal(request.headers['x-aws-ec2-metadata-token'], 'session')
    if (request.url?.endsWith('/security-credentials/')) return response.end('role')
    const { accessKeyId: AccessKeyId, secretAccessKey: SecretAccessKey } = KEYS
    const Expiration = new Date(Date.now() + 3_600_000).toISOString()
    response.end(JSON.stringify({ AccessKeyId, SecretAccessKey, Token: '', Expiration }))
  })
  const { host } = await listen(t, metadata, '127.0.0.2')
  t.after(() => delete process.env.AWS_METADATA_ENDPOINT)
  process.env.AWS_METADATA_ENDPOINT = `http://${host}`
  const { endpoint, allowHttp } = at(server.endpoint)
  const egress = { allow: ['127.0.0.1'] }
  const step = await s3Step(t, { endpoint, allowHttp }, { egress })
  step.$send.s3(RECORD)
  step.$send.http({ method: 'GET', url: `http://${host}/latest/` })
  const [stored, called] = await storeNow(step)
  assert.deepEqual([stored.status, stored.error], ['delivered', undefined])
  assert.equal(called.error?.code, 'ERR_SEND_EGRESS_DENIED')
  assert.deepEqual(asked, [
    'PUT /latest/api/token',
    'GET /latest/meta-data/iam/security-credentials/',
    'GET /latest/meta-data/iam/security-credentials/role',
  ])
})

test('keys that nobody gave are a delay with a reason, not a loss', async (t) => {
  const server = await s3Server(t)
  const names = ['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY', 'AWS_METADATA_ENDPOINT', 'HOME']
  const before = names.map((name) => [name, process.env[name]])
  t.after(() => {
    for (const [name, value] of before) {
      if (value === undefined) delete process.env[String(name)]
      else process.env[String(name)] = value
    }
  })
  const { endpoint, allowHttp } = at(server.endpoint)
  process.env.AWS_METADATA_ENDPOINT = 'http://127.0.0.1:1'
  process.env.HOME = dataDirectory(t)
  const without = await s3Step(t, { endpoint, allowHttp })
  const delayed = nextEvent(without.engine, 'batch', ({ status }) => status === 'delayed')
  without.$send.s3(RECORD)
  await without.execution.complete()
  without.engine.flush({ timeoutMs: 1000 }).catch(() => {})
  assert.match((await delayed).error ?? '', /there are no credentials for S3: set s3\.accessKeyId/)

  process.env.AWS_ACCESS_KEY_ID = KEYS.accessKeyId
  process.env.AWS_SECRET_ACCESS_KEY = KEYS.secretAccessKey
  const step = await s3Step(t, { endpoint, allowHttp })
  step.$send.s3(RECORD)
  assert.deepEqual(
    (await storeNow(step)).map(({ status }) => status),
    ['delivered'],
  )
})
