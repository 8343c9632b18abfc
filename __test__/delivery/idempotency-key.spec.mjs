// The requests that have an `Idempotency-Key`.

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { dataDirectory } from '../support/data-dir.mjs'
import { finish, openEngine, record } from '../support/engine.mjs'
import { receiver } from '../support/receiver.mjs'

/** @type {Array<[string, (t: any) => object, boolean]>} */
const CASES = [
  ['in memory', () => ({}), false],
  ['in memory with retries', () => ({ http: { retry: {} } }), true],
  ['in memory, always', () => ({ http: { idempotencyKey: 'always' } }), true],
  ['on disk', (t) => ({ dataDir: dataDirectory(t) }), true],
  [
    "on disk, onInterrupted: 'fail'",
    (t) => ({ dataDir: dataDirectory(t), http: { onInterrupted: 'fail' } }),
    false,
  ],
  [
    'on disk, never',
    (t) => ({ dataDir: dataDirectory(t), http: { idempotencyKey: 'never', retry: {} } }),
    false,
  ],
]

for (const [title, options, hasKey] of CASES) {
  test(`the first request has ${hasKey ? 'a' : 'no'} key ${title}`, async (t) => {
    const server = await receiver(t)
    const engine = await openEngine(t, options(t))
    const own = { 'Idempotency-Key': 'mine' }
    const calls = [{ url: server.url }, { url: server.url, headers: own }]
    const [delivery] = await finish(record(engine, calls))
    const keys = server.requests.map(({ headers }) => headers['idempotency-key'])
    assert.ok(keys.includes('mine'), 'the key of the call stays')
    assert.ok(keys.includes(hasKey ? delivery.id : undefined))
  })
}
