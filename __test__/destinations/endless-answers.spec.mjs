// Servers that send without an end cost no memory: what a call needs is bounded, whatever the other
// side does.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

import { endless, many, message, pouring } from '../support/servers/pouring.mjs'
import { runNode } from '../support/child.mjs'
import { PATIENCE_MS } from '../support/patience.mjs'

const PROCESS = fileURLToPath(new URL('../support/memory-of-a-call.mjs', import.meta.url))

/** What one call to any server may cost. */
const MAX_BYTES = 32 * 2 ** 20

/**
 * Makes these calls in a process of its own.
 *
 * @param {Record<string, { options: object, call: object, message: RegExp }>} cases
 */
async function assertBounded(cases) {
  const [first] = Object.values(cases)
  const all = Object.entries(cases).map(([name, { options, call }]) => ({ name, options, call }))
  const work = JSON.stringify([{ ...first, name: 'warm' }, ...all])
  const { stdout, stderr, code } = await runNode([PROCESS, work])
  assert.equal(code, 0, stderr)
  const results = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))
  assert.equal(results.length, all.length)
  for (const { name, message: found, bytes } of results) {
    assert.match(String(found), cases[name].message, name)
    assert.ok(bytes <= MAX_BYTES, `${name}: ${bytes} bytes`)
  }
}

const PEOPLE = { from: 'bot@example.com', to: 'owner@example.com' }

test('SMTP servers', async (t) => {
  const smtp = async (/** @type {any} */ answer, /** @type {any} */ greeting = '220 hello\r\n') => {
    const host = await pouring(t, answer, greeting)
    return {
      options: { email: { smtp: `smtp://${host}?tls=none`, timeoutMs: PATIENCE_MS, ...PEOPLE } },
      call: { destination: 'email', config: { subject: 's', text: 't' } },
      message: /a line of more than 65536 bytes|a reply of more than 262144 bytes/,
    }
  }
  const until =
    (/** @type {string} */ command, /** @type {any} */ then) => (/** @type {Buffer} */ said) => {
      const text = said.toString('latin1')
      if (text.startsWith(command)) return then
      return text.startsWith('DATA') ? '354 go on\r\n' : '250 fine\r\n'
    }
  await assertBounded({
    greeting: await smtp(() => undefined, endless),
    'a line': await smtp(until('EHLO', endless)),
    lines: await smtp(until('EHLO', many('250-SIZE\r\n'))),
    'an answer to RCPT': await smtp(until('RCPT', endless)),
    'the last answer': await smtp((/** @type {Buffer} */ said) =>
      said.toString('latin1').includes('Subject') ? endless : until('x', undefined)(said),
    ),
  })
})

test('PostgreSQL servers', async (t) => {
  const ready = Buffer.concat([message('R', Buffer.alloc(4)), message('Z', Buffer.from('I'))])
  const postgres = async (/** @type {any} */ answer) => {
    const host = await pouring(t, answer)
    const url = `postgres://me:secret@${host}/events?sslmode=disable`
    return {
      options: { sql: { postgres: { url } } },
      call: { destination: 'sql', config: { table: 't', payload: { a: 1 } } },
      message: /larger messages than PostgreSQL has for this/,
    }
  }
  const greeted =
    (/** @type {any} */ then) => (/** @type {Buffer} */ _, /** @type {number} */ turn) =>
      turn === 0 ? ready : then
  /** After the login, and before the session. */
  const begun = (/** @type {() => Buffer} */ then) => () => () =>
    Buffer.concat([message('R', Buffer.alloc(4)), then()])
  const claimed = message('E', Buffer.alloc(0), 2 ** 31)
  const setting = message('S', Buffer.from(`name\0${'x'.repeat(1000)}\0`))
  const row = message('D', Buffer.concat([Buffer.from([0, 0]), Buffer.alloc(1000)]))
  await assertBounded({
    'an error': await postgres(() => () => Buffer.concat([claimed, endless()])),
    settings: await postgres(begun(many(setting))),
    'notices before the session': await postgres(begun(many(message('N', Buffer.from('Mno\0\0'))))),
    'settings of the session': await postgres(greeted(many(setting))),
    'a message of the session': await postgres(greeted(() => Buffer.concat([claimed, endless()]))),
    rows: await postgres(greeted(many(row))),
  })
})

const OK = 'HTTP/1.1 200 OK\r\n'
const REFUSED = 'HTTP/1.1 500 No\r\n'

/** A server that begins an answer of HTTP like this, again and again. */
const http = (/** @type {any} */ t, /** @type {string} */ head) =>
  pouring(t, () => () => Buffer.concat([Buffer.from(head), endless()]))

test('ClickHouse servers', async (t) => {
  const clickhouse = async (/** @type {string} */ head, /** @type {RegExp} */ expected) => ({
    options: { sql: { clickhouse: { url: `http://${await http(t, head)}` } } },
    call: { destination: 'sql', config: { table: 't', payload: { a: 1 } } },
    message: expected,
  })
  await assertBounded({
    'an answer': await clickhouse(`${OK}\r\n`, /more than 4 MB/),
    'a refusal': await clickhouse(`${REFUSED}\r\n`, /ClickHouse answered 500/),
    'a header': await clickhouse(`${OK}X-A: `, /.{10}/),
  })
})

test('S3 servers, and those of credentials', async (t) => {
  const keys = { accessKeyId: 'AKIDTEST', secretAccessKey: 'secret' }
  const call = { destination: 's3', config: { bucket: 'b', prefix: 'p/', payload: { a: 1 } } }
  const s3 = async (/** @type {string} */ head, /** @type {RegExp} */ expected) => {
    const endpoint = `http://${await http(t, head)}`
    return { options: { s3: { endpoint, allowHttp: true, ...keys } }, call, message: expected }
  }
  const role = async (/** @type {string} */ head, /** @type {RegExp} */ expected) => {
    const assumeRole = {
      roleArn: 'arn:aws:iam::1:role/r',
      endpoint: `http://${await http(t, head)}`,
    }
    const endpoint = 'http://127.0.0.1:9'
    return {
      options: { s3: { endpoint, allowHttp: true, assumeRole, ...keys } },
      call,
      message: expected,
    }
  }
  await assertBounded({
    'an answer': await s3(`${OK}\r\n`, /more than 1 MB/),
    'a refusal': await s3(`${REFUSED}\r\n`, /S3 answered 500/),
    'a header': await s3(`${OK}X-A: `, /.{10}/),
    'a session': await role(`${OK}\r\n`, /more than 1 MB/),
    'no session': await role(`${REFUSED}\r\n`, /the role .* was not given/),
  })
})

test('HTTP servers', async (t) => {
  const call = async (/** @type {string} */ head, /** @type {RegExp} */ expected) => ({
    options: { http: { timeoutMs: PATIENCE_MS } },
    call: { destination: 'http', config: { url: `http://${await http(t, head)}/`, method: 'GET' } },
    message: expected,
  })
  await assertBounded({
    'an answer': await call(`${OK}\r\n`, /delivered/),
    'a refusal': await call(`${REFUSED}\r\n`, /500/),
    'a header': await call(`${OK}X-A: `, /.{10}/),
    'a status': await call('HTTP/1.1 200 ', /.{10}/),
  })
})
