// A host costs next to nothing: neither one that calls wait for, nor one that has none.

import assert from 'node:assert/strict'
import { createServer } from 'node:net'
import { test } from 'node:test'

import { listen } from '../support/servers/listen.mjs'
import { startChild } from '../support/child.mjs'

const HOSTS = 50_000
/** Attempts under way, which cost more than what waits. */
const OPTIONS = { http: { timeoutMs: 60_000, concurrency: 32 } }
/** A hundred thousand hosts with a call each cost 150 MB at most. */
const MAX_BYTES = (HOSTS / 100_000) * 150e6

/** Has a call to each of many hosts recorded in one execution, and says what they cost. */
const calls = (/** @type {number} */ hosts) => `
  require('node:v8').setFlagsFromString('--expose-gc')
  const gc = require('node:vm').runInNewContext('gc')
  // Without what V8 has not collected yet: the texts that make the calls are no cost of a host.
  const used = () => {
    gc()
    return process.memoryUsage.rss()
  }
  const execution = engine.execution({ workflowId: 'p_hosts' })
  const { $send } = execution.step('step')
  const call = (n) => ({ url: url.replace('HOST', \`127.1.\${n >> 8}.\${n & 255}\`), method: 'GET' })
  const lanes = () => engine.stats().lanes.length
  // The first worker of each kind is no cost of a host.
  const warm = engine.execution({ workflowId: 'p_warm' })
  for (let n = 0; n < 64; n++) warm.step('step').$send.http(call(n))
  await warm.complete()
  await settle(warm)
  const before = used()
  for (let n = 0; n < ${hosts}; n++) $send.http(call(n))
  await execution.complete()
`

test('calls that wait for many hosts', async (t) => {
  const server = await listen(
    t,
    createServer(() => {}),
    '0.0.0.0',
  )
  const child = `
    const settle = () => {}
    ${calls(HOSTS)}
    // Before each look, which makes an object for every host.
    let bytes = used() - before
    while (lanes() < ${HOSTS}) {
      await new Promise((resolve) => setImmediate(resolve))
      bytes = used() - before
    }
    process.stdout.write(JSON.stringify(bytes))
    process.exit()`
  const { stdout } = await startChild(`http://HOST:${server.port}/`, child, OPTIONS).ended
  assert.ok(Number(stdout) <= MAX_BYTES, `${stdout} bytes`)
})

test('hosts that have no calls any more', async (t) => {
  const answer = 'HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n'
  const server = await listen(
    t,
    createServer((socket) => socket.on('data', () => socket.end(answer))),
    '0.0.0.0',
  )
  const child = `
    const settle = (execution) => execution.settled()
    ${calls(1000)}
    await engine.flush()
    const { delivered, lanes: left, pendingBytes } = engine.stats()
    process.stdout.write(JSON.stringify([delivered, left.length, pendingBytes]))
    process.exit()`
  const { stdout } = await startChild(`http://HOST:${server.port}/`, child, OPTIONS).ended
  assert.deepEqual(stdout && JSON.parse(stdout), [1064, 0, 0])
})
