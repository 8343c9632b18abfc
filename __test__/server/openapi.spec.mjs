// The OpenAPI document against the server that it describes: schemathesis sends what the document
// allows and what it forbids, and holds each answer against it.

import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'

import { SCHEMATHESIS } from '../../scripts/schemathesis.mjs'
import { dataDirectory } from '../support/data-dir.mjs'
import { run, serve, TOKEN } from '../support/serving.mjs'

/** Their parameters exclude each other, or are times in several forms, which a document cannot say. */
const SELECTIONS = '^/(v1/(replays|dismissals|queues/.*)|overview)$'

test('the server is what its document says', async (t) => {
  assert.ok(existsSync(SCHEMATHESIS), 'schemathesis is missing: node scripts/test.mjs node')
  const { engine, url, ask } = await serve(t, { tokens: [TOKEN] }, { dataDir: dataDirectory(t) })
  await run(engine, 'p_abc123', ($send) => {
    $send.emit({ a: 1 })
    $send.sse({ channel: 'c', payload: {} })
    $send.http({ method: 'GET', url: 'http://10.0.0.1/' })
  })
  const failed = engine.execution({ workflowId: 'p_abc123' })
  await failed.complete({ error: new Error('it broke') })
  const authorization = `Bearer ${TOKEN}`
  const { body } = await ask('/openapi.json', { headers: { authorization } })
  assert.equal(body.openapi, '3.1.0')
  assert.equal(Object.keys(body.paths).length, 31)

  // It writes files beside itself.
  const cwd = mkdtempSync(join(tmpdir(), 'dollar-send-test-'))
  t.after(() => rmSync(cwd, { recursive: true, force: true }))
  const target = ['run', `${url}/openapi.json`, '-H', `Authorization: ${authorization}`]
  const examples = ['--max-examples', '20', '--seed', '1']
  /** @param {string[]} args */
  const tested = async (...args) => {
    const all = [...target, ...examples, ...args]
    const done = await promisify(execFile)(SCHEMATHESIS, all, { cwd }).catch((error) => error)
    assert.equal(done.code, undefined, done.stdout)
    return Number(/Tested: (\d+)/.exec(done.stdout)?.[1])
  }
  // A stream has no end; sse.spec.mjs is about it.
  assert.equal(await tested('--exclude-path-regex', `^/pipelines/|^/log/stream|${SELECTIONS}`), 29)
  const unchecked = ['--exclude-checks', 'positive_data_acceptance']
  assert.equal(await tested('--include-path-regex', SELECTIONS, ...unchecked), 7)
})
