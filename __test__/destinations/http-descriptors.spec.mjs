// A process whose file descriptors run out: calls wait for one, and no host is blamed.

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { echo } from '../support/servers/echo.mjs'
import { startChild } from '../support/child.mjs'
import { PATIENCE_MS } from '../support/patience.mjs'

const LIMIT = { limit: 'ulimit -n 128' }

/** One failure opens the breaker, and each call has one attempt within its own time. */
const http = (timeoutMs) => ({
  timeoutMs,
  retry: { attempts: 1, breaker: { failures: 1, cooldownMs: PATIENCE_MS } },
})

/** Sends `count` calls in a child, after `prepare`, and prints how they ended. */
const program = (count, prepare, meanwhile = '') => `
  const { closeSync, openSync } = require('node:fs')
  const taken = []
  const takeAll = () => { try { for (;;) taken.push(openSync('/dev/null')) } catch {} }
  const lanes = () => engine.stats().lanes
  ${prepare}
  const execution = engine.execution({ workflowId: 'p_descriptors' })
  const { $send } = execution.step('code')
  for (let n = 0; n < ${count}; n++) $send.http({ method: 'POST', url, data: { n } })
  await execution.complete()
  ${meanwhile}
  const all = await execution.settled({ timeoutMs: ${PATIENCE_MS} })
  const ends = all.map(({ status, attempts, error }) => ({ status, attempts, ...error }))
  console.log(JSON.stringify({ ends, breakers: lanes().map(({ breaker }) => breaker) }))
  process.exit(0)`

async function ended(server, body, timeoutMs) {
  const child = startChild(server.url, body, { http: http(timeoutMs) }, LIMIT)
  return JSON.parse((await child.ended).stdout)
}

test('calls wait for a free file descriptor', { skip: process.platform === 'win32' }, async (t) => {
  const server = await echo(t)
  const free = `while (lanes()[0]?.inFlight !== 5) await new Promise(setImmediate)
    taken.forEach(closeSync)`
  const { ends, breakers } = await ended(server, program(5, 'takeAll()', free), PATIENCE_MS)
  assert.deepEqual(ends, Array(5).fill({ status: 'delivered', attempts: 1 }))
  assert.ok(breakers.every((breaker) => breaker === 'closed'))
  assert.equal(server.requests.length, 5)
})

test(
  'past the deadline they fail by name, and no breaker opens',
  { skip: process.platform === 'win32' },
  async (t) => {
    const server = await echo(t)
    const { ends, breakers } = await ended(server, program(3, 'takeAll()'), 300)
    for (const { status, code, phase, message } of ends) {
      assert.deepEqual([status, code, phase], ['failed', 'ERR_SEND_TIMEOUT', 'connect']) // reaches ERR_SEND_TIMEOUT
      assert.match(message, /this process has too many files open\. Raise the limit \(ulimit -n\)/)
    }
    assert.ok(breakers.every((breaker) => breaker === 'closed'))
    assert.equal(server.requests.length, 0)
  },
)

test(
  'more calls at once than there are file descriptors are all delivered',
  { skip: process.platform === 'win32' },
  async (t) => {
    const waiting = []
    const server = await echo(t, (_, response) => {
      waiting.push(response)
      setImmediate(() => waiting.splice(0).forEach((held) => held.end('ok')))
    })
    const leave = 'takeAll(); taken.splice(0, 10).forEach(closeSync)'
    const { ends } = await ended(server, program(200, leave), 5000)
    assert.deepEqual(ends, Array(200).fill({ status: 'delivered', attempts: 1 }))
    assert.equal(server.requests.length, 200)
  },
)
