// `$send.s3` into buckets that ask for something, that moved, or whose names are odd, and with
// credentials from where the AWS SDKs find them.

import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { mkdirSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { test } from 'node:test'

import { listen } from '../support/servers/listen.mjs'
import { dataDirectory } from '../support/data-dir.mjs'
import { nextEvent, openEngine } from '../support/engine.mjs'
import { at, faulty, KEYS, s3Server, s3Step, storeNow } from '../support/s3.mjs'

const RECORD = { bucket: 'bucket', prefix: 'p/', payload: { a: 1 } }
const PARTS = 'x'.repeat(5 << 20)

/**
 * A server that takes everything, or what `answer` says, and keeps the requests.
 *
 * @param {import('node:test').TestContext} t
 * @param {(request: any) => undefined | { status: number, headers?: object, body?: string }} [answer]
 */
async function taking(t, answer = () => undefined) {
  /** @type {any[]} */
  const requests = []
  const server = createServer(async (message, response) => {
    const { method, url, headers } = message
    const request = { method, path: url ?? '', headers, body: await buffer(message) }
    requests.push(request)
    const said = answer(request)
    if (said) return response.writeHead(said.status, said.headers).end(said.body)
    if (request.path.endsWith('?uploads') || request.path.endsWith('?uploads=')) {
      return response.end(
        '<InitiateMultipartUploadResult><Bucket>b</Bucket><Key>k</Key><UploadId>u</UploadId></InitiateMultipartUploadResult>',
      )
    }
    if (method === 'POST') {
      return response.end(
        '<CompleteMultipartUploadResult><ETag>"e"</ETag></CompleteMultipartUploadResult>',
      )
    }
    response.writeHead(200, { etag: '"e"' }).end()
  })
  const { port } = await listen(t, server)
  return { requests, endpoint: `http://127.0.0.1:${port}` }
}

/** Stores records at once. @param {any} t @param {object} s3 @param {object[]} [records] */
async function stored(t, s3, records = [RECORD]) {
  const step = await s3Step(t, s3)
  for (const record of records) step.$send.s3(/** @type {any} */ (record))
  return storeNow(step)
}

for (const checksum of ['sha256', 'crc64nvme']) {
  test(`objects have a ${checksum}, in one piece and in parts`, async (t) => {
    const server = await s3Server(t)
    const options = at(server.endpoint, { checksum, compression: 'none' })
    for (const records of [
      [RECORD],
      [1, 2, 3].map((n) => ({ ...RECORD, payload: { n, text: PARTS } })),
    ]) {
      const log = await stored(t, options, records)
      assert.deepEqual(new Set(log.map(({ status }) => status)), new Set(['delivered']))
    }
    const objects = await server.objects()
    assert.deepEqual(objects.map(({ lines }) => lines.length).sort(), [1, 3])
    const seen = await taking(t)
    await stored(t, at(seen.endpoint, { checksum }))
    const [{ headers, body }] = seen.requests
    const sum = headers[`x-amz-checksum-${checksum}`]
    if (checksum === 'sha256') {
      assert.equal(sum, createHash('sha256').update(body).digest('base64'))
    } else {
      assert.equal(Buffer.from(sum, 'base64').length, 8)
    }
    assert.ok(headers.authorization.includes(`x-amz-checksum-${checksum}`), 'it is signed')
  })
}

test('what a bucket asks for is signed, and said of the object when it is made', async (t) => {
  const { requests, endpoint } = await taking(t)
  const options = {
    encryption: { kmsKeyId: 'key', bucketKey: true },
    storageClass: 'STANDARD_IA',
    tags: { team: 'data & more' },
    acl: 'bucket-owner-full-control',
    expectedBucketOwner: '111122223333',
    requesterPays: true,
    compression: 'none',
  }
  const ofRequests = {
    'x-amz-expected-bucket-owner': '111122223333',
    'x-amz-request-payer': 'requester',
  }
  const ofObjects = {
    'x-amz-server-side-encryption': 'aws:kms',
    'x-amz-server-side-encryption-aws-kms-key-id': 'key',
    'x-amz-server-side-encryption-bucket-key-enabled': 'true',
    'x-amz-storage-class': 'STANDARD_IA',
    'x-amz-tagging': 'team=data%20%26%20more',
    'x-amz-acl': 'bucket-owner-full-control',
  }
  await stored(t, at(endpoint, options))
  await stored(
    t,
    at(endpoint, options),
    [1, 2].map(() => ({ ...RECORD, payload: PARTS })),
  )
  const kinds = requests.map(({ method, path }) => `${method} ${path.split('?')[1] ?? ''}`)
  assert.deepEqual(
    kinds.map((kind) => kind.replace(/=?$|=[^&]*/g, '')),
    ['PUT ', 'POST uploads', 'PUT partNumber&uploadId', 'PUT partNumber&uploadId', 'POST uploadId'],
  )
  for (const [place, { headers }] of requests.entries()) {
    const creates = place < 2
    const signed = headers.authorization.match(/SignedHeaders=([^,]+)/)[1].split(';')
    for (const [name, value] of Object.entries(ofRequests)) assert.equal(headers[name], value)
    for (const [name, value] of Object.entries(ofObjects)) {
      assert.equal(headers[name], creates ? value : undefined, `${place} ${name}`)
    }
    const ours = Object.keys(headers).filter((name) => name.startsWith('x-amz-'))
    assert.deepEqual(
      ours.filter((name) => !signed.includes(name)),
      [],
    )
  }
})

test('an endpoint may have a path, and a prefix empty parts', async (t) => {
  const { requests, endpoint } = await taking(t)
  const prefixes = ['/a/', 'b//c/', '//', 'd e/é/', 'f..g/']
  const records = prefixes.map((prefix) => ({ ...RECORD, prefix }))
  const log = await stored(t, at(`${endpoint}/storage/v1/s3/`), records)
  assert.deepEqual(
    log.map(({ status, error }) => error?.message ?? status),
    prefixes.map(() => 'delivered'),
  )
  const paths = requests.map(({ path }) => decodeURIComponent(path)).sort()
  const keys = log.map(({ response }) => `/storage/v1/s3/bucket/${response.key}`).sort()
  assert.deepEqual(paths, keys)
  assert.ok(log.every(({ response }, place) => response.key.startsWith(prefixes[place])))
})

test('the region that a refusal names is used at once, and remembered', async (t) => {
  const { requests, endpoint } = await taking(t, ({ headers }) =>
    headers.authorization.includes('/eu-west-1/')
      ? undefined
      : {
          status: 400,
          body: '<Error><Code>AuthorizationHeaderMalformed</Code><Region>eu-west-1</Region></Error>',
        },
  )
  const step = await s3Step(t, at(endpoint, { batch: { maxCount: 1 } }))
  step.$send.s3(/** @type {any} */ (RECORD))
  const [{ status, attempts }] = await storeNow(step)
  assert.deepEqual([status, attempts, requests.length], ['delivered', 1, 2])
  const again = step.engine.execution({ workflowId: 'p_test' })
  again.step('step').$send.s3(/** @type {any} */ (RECORD))
  await storeNow({ engine: step.engine, execution: again })
  assert.equal(requests.length, 3)
})

test('501 ends the delivery, and an answer without an ETag is one', async (t) => {
  const refusing = await taking(t, () => ({
    status: 501,
    body: '<Error><Code>NotImplemented</Code><Message>A header</Message></Error>',
  }))
  const [failed] = await stored(t, at(refusing.endpoint))
  assert.deepEqual([failed.status, failed.error?.code], ['failed', 'ERR_SEND_STATUS'])
  assert.match(
    failed.error?.message ?? '',
    /501 NotImplemented: A header\. The service does not know/,
  )
  const bare = await taking(t, () => ({ status: 200 }))
  const [delivered] = await stored(t, at(bare.endpoint))
  assert.deepEqual([delivered.status, delivered.response.etag], ['delivered', undefined])
})

/** Sets variables of the environment until the test ends. @param {any} t @param {object} variables */
function environment(t, variables) {
  const all = {
    HOME: dataDirectory(t),
    AWS_EC2_METADATA_DISABLED: 'true',
    AWS_ACCESS_KEY_ID: undefined,
    AWS_SECRET_ACCESS_KEY: undefined,
    AWS_PROFILE: undefined,
    ...variables,
  }
  for (const [name, value] of Object.entries(all)) {
    const before = process.env[name]
    if (value === undefined) delete process.env[name]
    else process.env[name] = value
    t.after(() => {
      if (before === undefined) delete process.env[name]
      else process.env[name] = before
    })
  }
  return all.HOME
}

/** The files of the AWS command line. @param {string} home @param {Record<string, string>} files */
function awsFiles(home, files) {
  mkdirSync(join(home, '.aws'), { recursive: true })
  for (const [name, text] of Object.entries(files)) writeFileSync(join(home, '.aws', name), text)
}

test('a profile in ~/.aws has the keys, which are read again when they are stale', async (t) => {
  const home = environment(t, {})
  const keys = (/** @type {string} */ id, /** @type {string} */ secret) =>
    `[writer]\naws_access_key_id = ${id}\naws_secret_access_key = ${secret}\n`
  awsFiles(home, { credentials: keys(KEYS.accessKeyId, KEYS.secretAccessKey) })
  const server = await s3Server(t)
  const front = await faulty(t, server.port, ({ number }) =>
    number === 2 ? { status: 400, code: 'ExpiredToken' } : undefined,
  )
  const step = await s3Step(t, { endpoint: front.endpoint, allowHttp: true, profile: 'writer' })
  step.$send.s3(/** @type {any} */ (RECORD))
  const [first] = await storeNow(step)
  assert.equal(first.status, 'delivered', first.error?.message)
  const again = step.engine.execution({ workflowId: 'p_test' })
  again.step('step').$send.s3(/** @type {any} */ (RECORD))
  const [second] = await storeNow({ engine: step.engine, execution: again })
  assert.deepEqual([second.status, second.attempts], ['delivered', 1], second.error?.message)
  assert.equal((await server.objects()).length, 2)
})

test('files of settings may begin with a mark and have comments in any encoding', async (t) => {
  const home = environment(t, {})
  const { accessKeyId, secretAccessKey } = KEYS
  const keys = `[default]\naws_access_key_id = ${accessKeyId}\naws_secret_access_key = ${secretAccessKey}\n`
  awsFiles(home, { credentials: keys })
  const bytes = [Buffer.from('\ufeff' + keys), Buffer.from('# caf\xe9\n', 'latin1')]
  writeFileSync(join(home, '.aws', 'credentials'), Buffer.concat(bytes))
  const server = await s3Server(t)
  const step = await s3Step(t, { endpoint: server.endpoint, allowHttp: true })
  step.$send.s3(/** @type {any} */ (RECORD))
  const [stored] = await storeNow(step)
  assert.equal(stored.status, 'delivered', stored.error?.message)
})

test('a file of settings that cannot be read is named', async (t) => {
  const home = environment(t, {})
  mkdirSync(join(home, '.aws', 'credentials'), { recursive: true })
  const server = await s3Server(t)
  const s3 = { endpoint: server.endpoint, allowHttp: true, batch: { maxCount: 1 } }
  const engine = await openEngine(t, { s3 })
  const delayed = nextEvent(engine, 'warning', ({ code }) => code === 'BATCH_DELAYED')
  const execution = engine.execution({ workflowId: 'p_test' })
  execution.step('step').$send.s3(/** @type {any} */ (RECORD))
  await execution.complete()
  assert.match((await delayed).message, /\.aws\/credentials cannot be read/)
})

test('a container gives the keys, to a token of the environment', async (t) => {
  const server = await s3Server(t)
  /** @type {string[]} */
  const tokens = []
  const service = createServer((request, response) => {
    tokens.push(`${request.url} ${request.headers.authorization}`)
    const { accessKeyId: AccessKeyId, secretAccessKey: SecretAccessKey } = KEYS
    response.end(JSON.stringify({ AccessKeyId, SecretAccessKey }))
  })
  const { port } = await listen(t, service)
  environment(t, {
    AWS_CONTAINER_CREDENTIALS_FULL_URI: `http://127.0.0.1:${port}/keys`,
    AWS_CONTAINER_AUTHORIZATION_TOKEN: 'Bearer of-the-test',
  })
  const [{ status, error }] = await stored(t, { endpoint: server.endpoint, allowHttp: true })
  assert.equal(status, 'delivered', error?.message)
  assert.deepEqual(tokens, ['/keys Bearer of-the-test'])
})

for (const [
  title,
  files,
  variables,
  expected,
] of /** @type {Array<[string, any, any, RegExp]>} */ ([
  ['none at all', {}, {}, /there are no credentials for S3: set s3\.accessKeyId/],
  [
    'a session that is over',
    {
      config:
        '[profile sso]\nsso_start_url = https://x/start\nsso_region = eu-west-1\nsso_account_id = 1\nsso_role_name = r\n',
    },
    { AWS_PROFILE: 'sso' },
    /session of the profile "sso" is over: run `aws sso login --profile sso`/,
  ],
])) {
  test(`credentials that are missing are said so after the first attempt: ${title}`, async (t) => {
    awsFiles(environment(t, variables), files)
    const server = await s3Server(t)
    const s3 = { endpoint: server.endpoint, allowHttp: true, batch: { maxCount: 1 } }
    const engine = await openEngine(t, { s3 })
    const delayed = nextEvent(engine, 'warning', ({ code }) => code === 'BATCH_DELAYED')
    const execution = engine.execution({ workflowId: 'p_test' })
    execution.step('step').$send.s3(/** @type {any} */ (RECORD))
    await execution.complete()
    assert.match((await delayed).message, expected)
  })
}

test('a profile that is not there, and a role that is denied, fail the deliveries', async (t) => {
  const server = await s3Server(t)
  awsFiles(environment(t, {}), { config: '[profile p]\ncredential_process = /bin/x\n' })
  for (const [profile, expected] of /** @type {Array<[string, RegExp]>} */ ([
    ['none', /the profile "none" in ~\/\.aws is not there/],
    ['p', /has credential_process, which is not supported/],
  ])) {
    const s3 = { endpoint: server.endpoint, allowHttp: true, profile }
    const [{ status, error }] = await stored(t, s3)
    assert.deepEqual([status, error?.code], ['failed', 'ERR_SEND_NOT_CONFIGURED'])
    assert.match(error?.message ?? '', expected)
  }
  const denying = await taking(t, () => ({
    status: 403,
    body: '<ErrorResponse><Error><Code>AccessDenied</Code><Message>not you</Message></Error></ErrorResponse>',
  }))
  const assumeRole = { roleArn: 'arn:aws:iam::1:role/r', endpoint: denying.endpoint }
  const [{ status, error }] = await stored(t, at(server.endpoint, { assumeRole }), [RECORD])
  assert.equal(status, 'failed')
  assert.match(
    error?.message ?? '',
    /the role arn:aws:iam::1:role\/r was not given: 403 AccessDenied: not you/,
  )
})
