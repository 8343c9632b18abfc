// The end of the process: up to a second is spent on what was handed over.

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { runChild, runNode } from '../support/child.mjs'
import { blackHole, receiver } from '../support/receiver.mjs'

const RECORD = `
  const execution = engine.execution({ workflowId: 'p' })
  const { $send } = execution.step('s')
  for (let n = 0; n < 20; n++) $send.http({ method: 'POST', url, data: String(n) });`

for (const [how, end, exitCode] of [
  ['falls off the loop', 'await execution.complete()', 0],
  ['falls off the loop without awaiting', 'execution.complete()', 0],
  ['calls process.exit()', 'await execution.complete(); process.exit(7)', 7],
  ['calls process.exit() at once', 'execution.complete(); process.exit(7)', 7],
  ['throws', "await execution.complete(); throw new Error('boom')", 1],
  ['throws later', "execution.complete(); setImmediate(() => { throw new Error('boom') })", 1],
  [
    'rejects',
    "execution.complete(); Promise.reject(new Error('boom')); await new Promise(() => {})",
    1,
  ],
]) {
  test(`a process that ${how} has delivered what was completed`, async (t) => {
    const server = await receiver(t)
    const { code, stderr } = await runChild(server.url, RECORD + end)
    assert.equal(code, exitCode, stderr)
    assert.doesNotMatch(stderr, /dollar-send:/)
    assert.equal(/boom/.test(stderr), exitCode === 1)
    assert.equal(server.requests.length, 20)
  })
}

test('a process ends although nobody answers, and says what is lost', async (t) => {
  const hole = await blackHole(t)
  const reached = hole.requests(1).then(() => performance.now())
  const ended = runChild(hole.url, `${RECORD} await execution.complete()`)
  const { code, stderr } = await ended
  const lasted = performance.now() - (await reached)
  assert.equal(code, 0)
  assert.match(
    stderr,
    /^dollar-send: the process ends with 20 deliveries not made; await engine\.close\(\)/,
  )
  assert.ok(lasted < 10_000, `the process ended ${lasted} ms after its first request`)
})

test('a process that has nothing under way ends without a word', async (t) => {
  const { url } = await blackHole(t)
  const { code, stderr, stdout } = await runChild(
    url,
    `${RECORD} execution.discard(); console.log(1)`,
  )
  assert.deepEqual([code, stderr, stdout], [0, '', '1\n'])
})

test('recorded calls of an execution that is not completed are not sent at the end', async (t) => {
  const server = await receiver(t)
  const { code } = await runChild(server.url, RECORD)
  assert.equal(code, 0)
  assert.equal(server.requests.length, 0)
})

test('a process that closes its engine waits for no one else', async (t) => {
  const hole = await blackHole(t)
  const body = `${RECORD} await execution.complete(); console.log(JSON.stringify(await engine.close({ timeoutMs: 50 })))`
  const { code, stderr, stdout } = await runChild(hole.url, body)
  assert.deepEqual([code, stderr], [0, ''])
  assert.deepEqual(JSON.parse(stdout), { delivered: 0, failed: 0, pending: 20, open: 0 })
})

test('awaiting the log keeps a process alive until it is there', async (t) => {
  const server = await receiver(t)
  const body = `${RECORD} await execution.complete()
    execution.settled().then((log) => console.log(log.length))`
  const { stdout } = await runChild(server.url, body)
  assert.equal(stdout, '20\n')
})

test('an engine that only a worker thread opened is waited for too', async (t) => {
  // One after the other, so that they take longer than the process would.
  const server = await receiver(t, (_request, response) => setTimeout(() => response.end(), 10))
  const root = new URL('../../js/index.cjs', import.meta.url)
  const worker = `
    const { fileURLToPath } = require('node:url')
    const { Engine } = require(fileURLToPath(${JSON.stringify(root.href)}))
    const url = ${JSON.stringify(server.url)}
    ;(async () => {
      const engine = await Engine.open({ egress: { allow: ['127.0.0.0/8'] }, http: { perHostConcurrency: 1 } })
      ${RECORD}
      await execution.complete()
    })()`
  const code = `new (require('node:worker_threads').Worker)(${JSON.stringify(worker)}, { eval: true })`
  const ended = await runNode(['--eval', code])
  assert.deepEqual([ended.code, ended.stderr], [0, ''])
  assert.equal(server.requests.length, 20)
})
