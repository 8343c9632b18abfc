// `$send.s3`: records in batches, each batch one object, in a real S3 server or in a file.

import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'

import { Engine } from '../../js/index.mjs'
import { dataDirectory } from '../support/data-dir.mjs'
import { LOCAL, nextEvent, openEngine } from '../support/engine.mjs'
import { PATIENT } from '../support/patience.mjs'
import { KEY, at, faulty, filesIn, read, s3Server, s3Step, storeNow } from '../support/s3.mjs'

test('records of one bucket and prefix are one object, line by line', async (t) => {
  const server = await s3Server(t, { buckets: ['bucket', 'other'] })
  const step = await s3Step(t, at(server.endpoint))
  const { $send } = step
  $send.s3({ bucket: 'bucket', prefix: 'test/', payload: { name: 'Luke' } })
  $send.s3({ bucket: 'other', prefix: 'test/', payload: { name: 'Leia' } })
  $send.s3({ bucket: 'bucket', prefix: 'test/', payload: 'plain text' })
  $send.s3({ bucket: 'bucket', payload: [1, 2] })
  const log = await storeNow(step)
  const objects = await server.objects()
  assert.deepEqual(
    objects.map(({ bucket, key, lines }) => [bucket, key.replace(KEY, ''), lines]).sort(),
    [
      ['bucket', '', ['[1,2]']],
      ['bucket', 'test/', ['{"name":"Luke"}', 'plain text']],
      ['other', 'test/', ['{"name":"Leia"}']],
    ],
  )
  const [first, , third] = log
  const object = objects.find(({ bucket, key }) => bucket === 'bucket' && key.startsWith('test/'))
  const { bucket, key, etag, line, batch, objectBytes } = /** @type {any} */ (third.response)
  assert.deepEqual([bucket, key, etag], ['bucket', object?.key, object?.etag])
  assert.deepEqual([line, objectBytes], [2, object?.bytes.length])
  assert.deepEqual(batch, { reason: 'flush', records: 2 })
  assert.equal(/** @type {any} */ (first.response).line, 1)
  assert.deepEqual([third.status, third.attempts], ['delivered', 1])
  assert.deepEqual(third.request, { bucket: 'bucket', payload: 'plain text', prefix: 'test/' })
  assert.equal(object?.type, 'application/gzip')
  assert.equal(KEY.exec(object?.key ?? '')?.[1], object?.digest)
})

test('a key has the time of its closing in UTC', async (t) => {
  const step = await s3Step(t, { file: dataDirectory(t) })
  step.$send.s3({ bucket: 'bucket', prefix: 'p', payload: {} })
  const before = new Date().toISOString()
  const [{ response }] = await storeNow(step)
  const after = new Date().toISOString()
  const [, day, time] =
    /p\d{4}\/\d\d\/\d\d\/\d\d\/(.{10})-(.{8})-/.exec(/** @type {any} */ (response).key) ?? []
  const second = `${day}T${time.replaceAll('-', ':')}`
  assert.ok(before.slice(0, 19) <= second && second <= after.slice(0, 19), second)
  const folder = `p${day.replaceAll('-', '/')}/${time.slice(0, 2)}/`
  assert.ok(/** @type {any} */ (response).key.startsWith(folder))
})

test('one record stays one line', async (t) => {
  const step = await s3Step(t, { file: dataDirectory(t) })
  const payloads = [
    'two\nlines',
    'two\rlines',
    '',
    'pl"ain',
    { text: 'a\nb\u2028' },
    Buffer.from([0, 10, 13, 255]),
    new Date(0),
    new Map([['a', 1]]),
  ]
  for (const payload of payloads) step.$send.s3({ bucket: 'b', payload })
  const log = await storeNow(step)
  const { file } = /** @type {any} */ (log[0].response)
  assert.deepEqual(read(file, readFileSync(file)).lines, [
    '"two\\nlines"',
    '"two\\rlines"',
    '""',
    'pl"ain',
    '{"text":"a\\nb\u2028"}',
    'AAoN/w==',
    '"1970-01-01T00:00:00.000Z"'.slice(1, -1),
    '{"a":1}',
  ])
  assert.ok(log.every(({ response }, place) => /** @type {any} */ (response).line === place + 1))
})

for (const compression of /** @type {const} */ (['gzip', 'zstd', 'none'])) {
  test(`objects are compressed with ${compression}`, async (t) => {
    const step = await s3Step(t, { file: dataDirectory(t), compression })
    for (let n = 0; n < 2000; n++)
      step.$send.s3({ bucket: 'b', payload: { n, text: 'x'.repeat(500) } })
    const log = await storeNow(step)
    const { file, key } = /** @type {any} */ (log[0].response)
    const ends = { gzip: 'gz', zstd: 'zst', none: 'ndjson' }[compression]
    assert.ok(key.endsWith(`.${ends}`))
    const bytes = readFileSync(file)
    const { text, lines, digest } = read(key, bytes)
    // Node below 22.15 reads no zstd.
    if (text === '\n') assert.deepEqual([...bytes.subarray(0, 4)], [0x28, 0xb5, 0x2f, 0xfd])
    else
      assert.deepEqual(
        lines.map((line) => JSON.parse(line).n),
        [...Array(2000).keys()],
      )
    if (compression !== 'none') assert.equal(KEY.exec(key)?.[1], digest)
  })
}

test('equal records of two batches are two objects', async (t) => {
  for (const compression of ['gzip', 'zstd', 'none']) {
    const folder = dataDirectory(t)
    const engine = await openEngine(t, { s3: /** @type {any} */ ({ file: folder, compression }) })
    for (let batch = 0; batch < 3; batch++) {
      const execution = engine.execution({ workflowId: 'p_test' })
      execution.step('s').$send.s3({ bucket: 'b', payload: { ping: 1 } })
      await storeNow({ engine, execution })
    }
    assert.equal(filesIn(folder).length, 3, compression)
  }
})

test('a batch is closed by its limits, which the log names', async (t) => {
  const record = { bucket: 'b', payload: { text: 'x'.repeat(100) } }
  for (const [batch, records, reason] of /** @type {const} */ ([
    [{ maxCount: 5 }, 5, 'maxCount'],
    [{ intervalMs: 50 }, 12, 'interval'],
    [{ intervalMs: 60_000, idleMs: 20 }, 12, 'idle'],
  ])) {
    const step = await s3Step(t, { file: dataDirectory(t), batch })
    for (let n = 0; n < 12; n++) step.$send.s3(record)
    const batches = nextEvent(step.engine, 'batch', ({ status }) => status === 'stored')
    await step.execution.complete()
    const stored = await batches
    assert.deepEqual([stored.reason, stored.records], [reason, records])
    await step.engine.flush()
    const log = await step.execution.settled()
    assert.deepEqual(/** @type {any} */ (log[0].response).batch, { reason, records })
  }
})

test('a batch has about as many encoded bytes as it may have', async (t) => {
  for (const compression of ['gzip', 'none']) {
    const folder = dataDirectory(t)
    const s3 = { file: folder, compression, batch: { maxBytes: 20_000 } }
    const step = await s3Step(t, s3)
    for (let n = 0; n < 5000; n++) {
      const hash = createHash('sha256').update(String(n)).digest('hex')
      step.$send.s3({ bucket: 'b', payload: { n, hash } })
    }
    await storeNow(step)
    const sizes = filesIn(folder).map((file) => statSync(join(folder, file)).size)
    const full = sizes.sort((a, b) => b - a).slice(0, -1)
    assert.ok(full.length > 5, `${full.length} objects`)
    for (const size of full) assert.ok(size > 17_000 && size < 23_000, `${compression}: ${size}`)
  }
})

test('Dest. is 0/2 until the batch lands', async (t) => {
  const { engine, execution, $send } = await s3Step(t, { file: dataDirectory(t) })
  const seen = nextEvent(engine, 'delivery')
  $send.s3({ bucket: 'b', payload: { n: 1 } })
  $send.s3({ bucket: 'b', payload: { n: 2 } })
  $send.s3({ bucket: '', payload: { n: 3 } })
  await execution.complete()
  // The third is refused as soon as the others are in their batch or on their way.
  await seen
  const dest = async () => {
    const [{ delivered, total }] = await engine.executions()
    return `${delivered}/${total}`
  }
  assert.equal(await dest(), '0/3')
  assert.equal((await engine.deliveries({ status: 'batched' })).length, 2)
  await engine.flush()
  assert.equal(await dest(), '2/3')
})

test('what no object can be called fails by name, and nothing else does', async (t) => {
  const step = await s3Step(t, { file: dataDirectory(t) })
  const { $send } = step
  for (const [bucket, prefix] of [
    ['', 'p/'],
    ['a/b', ''],
    ['..', ''],
    ['b', '../x'],
    ['b', 'a/../x'],
    ['b', 'a\u0000'],
    ['b', 'a\nb'],
    ['b', 'x'.repeat(2048)],
  ]) {
    $send.s3({ bucket, prefix, payload: {} })
  }
  const fine = ['p/', '/p/', 'a//b/', '/.../']
  for (const prefix of fine) $send.s3({ bucket: 'b', prefix, payload: {} })
  const log = await storeNow(step)
  for (const { status } of log.splice(-fine.length)) assert.equal(status, 'delivered')
  for (const { status, error } of log) {
    assert.deepEqual([status, error?.code], ['failed', 'ERR_SEND_INVALID_ARGUMENT'])
    assert.match(error?.message ?? '', /^(bucket|prefix): /)
  }
  assert.throws(() => $send.s3({ bucket: 'b', payload: /** @type {any} */ (1) }))
})

test('a call over the limit is refused, and one beside it is stored', async (t) => {
  const step = await s3Step(t, { file: dataDirectory(t) }, { maxPayloadBytes: 1000 })
  const large = () => step.$send.s3({ bucket: 'b', payload: 'x'.repeat(2000) })
  assert.throws(large, { code: 'ERR_SEND_PAYLOAD_TOO_LARGE' })
  step.$send.s3({ bucket: 'b', payload: 'x' })
  assert.deepEqual(
    (await storeNow(step)).map(({ status }) => status),
    ['delivered'],
  )
})

test('without options objects are files in the data directory', async (t) => {
  const dataDir = dataDirectory(t)
  const engine = await openEngine(t, { dataDir })
  const execution = engine.execution({ workflowId: 'p_test' })
  execution.step('s').$send.s3({ bucket: 'bucket', prefix: 'p/', payload: { a: 1 } })
  const [{ response, warnings }] = await storeNow({ engine, execution })
  const { file, key } = /** @type {any} */ (response)
  assert.equal(file, join(dataDir, 's3', 'bucket', key))
  assert.deepEqual(warnings, [])
  assert.equal(statSync(join(dataDir, 's3')).mode & 0o777, 0o700)
})

test('close() stores what is open', async (t) => {
  const folder = dataDirectory(t)
  const engine = await Engine.open({ s3: { file: folder } })
  const execution = engine.execution({ workflowId: 'p_test' })
  execution.step('s').$send.s3({ bucket: 'b', payload: { a: 1 } })
  await execution.complete()
  assert.deepEqual(await engine.close(), { delivered: 1, failed: 0, pending: 0, open: 0 })
  assert.equal(filesIn(folder).length, 1)
  const [{ response }] = await execution.settled()
  assert.equal(/** @type {any} */ (response).batch.reason, 'close')
})

test('an object of many parts is whole, and has the same name as its bytes', async (t) => {
  const server = await s3Server(t)
  const front = await faulty(t, server.port, () => undefined)
  const step = await s3Step(t, at(front.endpoint, { compression: 'none' }))
  for (let n = 0; n < 20; n++)
    step.$send.s3({ bucket: 'bucket', payload: { n, text: 'x'.repeat(1 << 20) } })
  const log = await storeNow(step)
  assert.ok(log.every(({ status }) => status === 'delivered'))
  const [object, ...others] = await server.objects()
  assert.equal(others.length, 0)
  assert.deepEqual(
    object.lines.map((line) => JSON.parse(line).n),
    [...Array(20).keys()],
  )
  const parts = front.requests.filter(({ path }) => path.includes('partNumber='))
  assert.equal(parts.length, 3)
})

test('a bucket may be in the host name', async (t) => {
  const server = await s3Server(t, { domain: 's3.test' })
  /** @type {string[]} */
  const hosts = []
  const { createServer, request } = await import('node:http')
  const { listen } = await import('../support/servers/listen.mjs')
  // A proxy that knows where the name is.
  const proxy = createServer((message, response) => {
    hosts.push(new URL(String(message.url)).host)
    const { pathname: path } = new URL(String(message.url))
    const { method, headers } = message
    const target = { host: '127.0.0.1', port: server.port, method, path, headers }
    const onward = request(target, (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers)
      answer.pipe(response)
    })
    message.pipe(onward)
  })
  const { host } = await listen(t, proxy)
  const egress = { allow: ['127.0.0.0/8', 's3.test', '*.s3.test'], proxy: `http://${host}` }
  const step = await s3Step(t, at('http://s3.test', { forcePathStyle: false }), { egress })
  step.$send.s3({ bucket: 'bucket', payload: { a: 1 } })
  const [{ status, error }] = await storeNow(step)
  assert.deepEqual([status, error], ['delivered', undefined])
  assert.deepEqual(hosts, ['bucket.s3.test'])
  assert.equal((await server.objects()).length, 1)
})

test('the egress policy holds for the service too', async (t) => {
  const server = await s3Server(t)
  const step = await s3Step(t, at(server.endpoint), { egress: {} })
  step.$send.s3({ bucket: 'bucket', payload: { a: 1 } })
  const [{ status, error }] = await storeNow(step)
  assert.deepEqual([status, error?.code], ['failed', 'ERR_SEND_EGRESS_DENIED'])
  assert.deepEqual(await server.objects(), [])
})

test('a role is taken with the keys', async (t) => {
  const server = await s3Server(t)
  const { receiver } = await import('../support/receiver.mjs')
  const { accessKeyId, secretAccessKey, ...s3 } = at(server.endpoint)
  const until = new Date(Date.now() + 3_600_000).toISOString()
  const tokens = await receiver(t, ({ text }, response) => {
    if (text.includes('Role%2Fnobody')) {
      const code = '<Error><Code>AccessDenied</Code><Message>not you</Message></Error>'
      return response.writeHead(403).end(code)
    }
    response.end(`<AssumeRoleResponse><Credentials><AccessKeyId>${accessKeyId}</AccessKeyId>
      <SecretAccessKey>${secretAccessKey}</SecretAccessKey><SessionToken>token</SessionToken>
      <Expiration>${until}</Expiration></Credentials></AssumeRoleResponse>`)
  })
  const assumeRole = {
    roleArn: 'arn:aws:iam::1:role/send',
    externalId: 'x&y',
    endpoint: tokens.origin,
  }
  const own = { accessKeyId: 'OWN', secretAccessKey: 'own secret' }
  const step = await s3Step(t, { ...s3, ...own, assumeRole })
  step.$send.s3({ bucket: 'bucket', payload: { a: 1 } })
  const [{ status, error }] = await storeNow(step)
  assert.deepEqual([status, error], ['delivered', undefined])
  const [asked, ...again] = tokens.requests
  assert.equal(again.length, 0)
  const form = new URLSearchParams(asked.text)
  assert.equal(form.get('RoleArn'), 'arn:aws:iam::1:role/send')
  assert.equal(form.get('ExternalId'), 'x&y')
  assert.match(
    asked.headers.authorization ?? '',
    /Credential=OWN\/\d{8}\/us-east-1\/sts\/aws4_request/,
  )
})

test('the secret of the keys is nowhere to be seen', async (t) => {
  const server = await s3Server(t)
  const dataDir = dataDirectory(t)
  const step = await s3Step(t, at(server.endpoint, { secretAccessKey: 'not-the-secret' }), {
    dataDir,
  })
  step.$send.s3({ bucket: 'bucket', payload: { a: 1 } })
  const [delivery] = await storeNow(step)
  assert.deepEqual([delivery.status, delivery.error?.code], ['failed', 'ERR_SEND_STATUS'])
  assert.match(delivery.error?.message ?? '', /^S3 answered 403 SignatureDoesNotMatch/)
  assert.doesNotMatch(JSON.stringify(delivery), /not-the-secret/)
})

test('calls of a replay are stored in another batch', async (t) => {
  const server = await s3Server(t)
  let denied = true
  const front = await faulty(t, server.port, () =>
    denied ? { status: 403, code: 'AccessDenied' } : undefined,
  )
  const { engine, execution, $send } = await s3Step(t, at(front.endpoint), { egress: LOCAL })
  $send.s3({ bucket: 'bucket', payload: { n: 1 } })
  $send.s3({ bucket: 'bucket', payload: { n: 2 } })
  const failed = await storeNow({ engine, execution })
  assert.deepEqual(
    failed.map(({ status }) => status),
    ['failed', 'failed'],
  )
  assert.equal(/** @type {any} */ (failed[0].response).line, 1)
  denied = false
  await engine.replay({ ids: failed.map(({ id }) => id) })
  await engine.flush(PATIENT)
  const [{ lines }] = await server.objects()
  assert.deepEqual(lines, ['{"n":1}', '{"n":2}'])
})
