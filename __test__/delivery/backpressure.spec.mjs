// Producers that are faster than their receivers: memory stays bounded, and nothing is lost.

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { Engine } from '../../js/index.mjs'
import { codeOf, LOCAL, openEngine, record } from '../support/engine.mjs'
import { dataDirectory } from '../support/data-dir.mjs'
import { PATIENT } from '../support/patience.mjs'
import { gate } from '../support/receiver.mjs'

const MAX = 256 * 1024

/**
 * Records and completes 4 MiB in executions of 16 KiB, as fast as `ready()` lets it. Returns the most
 * bytes that were pending.
 *
 * @param {import('../../index.d.ts').Engine} engine
 * @param {(send: import('../../index.d.ts').Send, text: string, n: number) => void} send
 * @param {() => void} [onFull] called when a third of the limit is pending
 */
async function produce(engine, send, onFull = () => {}) {
  let most = 0
  for (let n = 0; n < 256; n++) {
    await engine.ready(PATIENT)
    const execution = engine.execution({ workflowId: 'p_test' })
    const { $send } = execution.step('step')
    for (let call = 0; call < 16; call++) send($send, 'x'.repeat(1000), n * 16 + call)
    await execution.complete()
    most = Math.max(most, engine.stats().pendingBytes)
    if (most > MAX / 3) onFull()
  }
  return most
}

for (const durable of [false, true]) {
  test(`a fast producer is held without loss ${durable ? 'with' : 'without'} dataDir`, async (t) => {
    // It answers only when the producer is far ahead.
    const server = await gate(t)
    const dataDir = durable ? { dataDir: dataDirectory(t) } : {}
    const engine = await openEngine(t, { ...dataDir, maxPendingBytes: MAX })
    const { url } = server
    const most = await produce(
      engine,
      ($send, text, n) => $send.http({ method: 'POST', url, data: { n, text } }),
      server.open,
    )
    await engine.flush(PATIENT)
    assert.ok(most > MAX / 3 && most <= MAX, `${most} of ${MAX}`)
    const numbers = server.requests.map(({ text }) => JSON.parse(text).n)
    assert.deepEqual(
      numbers.sort((a, b) => a - b),
      Array.from({ length: 4096 }, (_, n) => n),
    )
  })
}

test('batches make room for a fast producer', async (t) => {
  const s3 = { file: dataDirectory(t), batch: { intervalMs: 3_600_000 } }
  const engine = await openEngine(t, { maxPendingBytes: MAX, s3 })
  const most = await produce(engine, ($send, text, n) =>
    $send.s3({ bucket: 'b', prefix: 'x', payload: { n, text } }),
  )
  await engine.flush(PATIENT)
  assert.ok(most <= MAX, `${most} of ${MAX}`)
  assert.equal(engine.stats().delivered, 4096)
})

test('ready() resolves when nothing is left to deliver, and never hangs', async (t) => {
  const server = await gate(t)
  const engine = await Engine.open({ egress: LOCAL, maxPendingBytes: 10_000 })
  t.after(() => engine.close({ timeoutMs: 0 }))
  const open = record(engine, [{ url: server.url, data: 'x'.repeat(6000) }])
  assert.equal(await engine.ready(), undefined, 'only an open execution takes memory')
  await open.complete()
  const [code, message] = await codeOf(engine.ready({ timeoutMs: 1 }))
  assert.equal(code, 'ERR_SEND_TIMEOUT')
  assert.match(message, /after 1 ms undelivered calls take \d+ bytes .* maxPendingBytes \(10000\)/)
  const refused = codeOf(engine.ready())
  await engine.close({ timeoutMs: 0 })
  assert.equal((await refused)[0], 'ERR_SEND_CLOSED')
  assert.equal((await codeOf(engine.ready()))[0], 'ERR_SEND_CLOSED')
})
