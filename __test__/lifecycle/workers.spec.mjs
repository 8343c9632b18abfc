// Worker threads share an engine by its name, and may end at any moment.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import { Worker } from 'node:worker_threads'

import { LOCAL, openEngine } from '../support/engine.mjs'
import { PATIENT } from '../support/patience.mjs'
import { receiver } from '../support/receiver.mjs'

const ROOT = new URL('../../', import.meta.url).href

let names = 0
const uniqueName = () => `workers-${process.pid}-${names++}`

/** A worker that has `Engine`, and `engine`, `url`, `id` from its data; `body` may await. */
function startWorker(workerData, body) {
  const code = `
    const { createRequire } = require('node:module')
    const { parentPort, workerData } = require('node:worker_threads')
    const { name, url, id } = workerData
    const load = createRequire(${JSON.stringify(`${ROOT}package.json`)})
    const { Engine, Execution } = load('./js/index.cjs')
    ;(async () => {
      const engine = await Engine.open({ name })
      ${body}
    })().catch((error) => { throw error })`
  return new Worker(code, { eval: true, workerData })
}

async function shared(t, options) {
  const name = uniqueName()
  const engine = await openEngine(t, { name, egress: LOCAL, ...options })
  return { name, engine }
}

test('workers that end right after complete() lose nothing', async (t) => {
  const server = await receiver(t)
  const { name, engine } = await shared(t)
  const workers = Array.from({ length: 4 }, (_, id) =>
    startWorker(
      { name, url: server.url, id },
      `
      const execution = engine.execution({ workflowId: 'p_' + id })
      const { $send } = execution.step('s')
      for (let n = 0; n < 25; n++) $send.http({ method: 'POST', url, data: id + '/' + n })
      execution.complete()
      parentPort.postMessage('completed')`,
    ),
  )
  await Promise.all(
    workers.map(async (worker) => {
      assert.deepEqual(await once(worker, 'message'), ['completed'])
      await worker.terminate()
    }),
  )
  await server.received(100)
  await engine.flush(PATIENT)
  assert.equal(new Set(server.requests.map(({ text }) => text)).size, 100)
  assert.equal(engine.stats().delivered, 100)
  assert.equal((await engine.executions()).length, 4)
})

test('workers that end by themselves lose nothing', async (t) => {
  const server = await receiver(t)
  const { name, engine } = await shared(t)
  for (const end of ['', 'process.exit()', 'parentPort.close()']) {
    const body = `
      const execution = engine.execution({ workflowId: 'p' })
      execution.step('s').$send.http({ method: 'POST', url, data: { n: 1 } })
      await execution.complete()
      ${end}`
    await once(startWorker({ name, url: server.url }, body), 'exit')
  }
  await engine.flush(PATIENT)
  assert.equal(server.requests.length, 3)
})

test('a worker has classes of its own, the same for both module systems', async (t) => {
  const { name } = await shared(t)
  const worker = startWorker(
    { name },
    `
    const esm = await import(${JSON.stringify(`${ROOT}js/index.mjs`)})
    const execution = engine.execution({ workflowId: 'p' })
    parentPort.postMessage([
      esm.Engine === Engine, esm.Execution === Execution,
      engine instanceof Engine, execution instanceof esm.Execution,
    ])
    execution.discard()`,
  )
  // Both are waited for from now on: the end may come in the same turn as the message.
  const [told] = await Promise.all([once(worker, 'message'), once(worker, 'exit')])
  assert.deepEqual(told, [[true, true, true, true]])
})

test('each thread hears the events of the engine they share', async (t) => {
  const server = await receiver(t)
  const { name, engine } = await shared(t)
  const worker = startWorker(
    { name },
    `
    parentPort.on('message', () => {})
    engine.on('delivery', ({ status }) => parentPort.postMessage(status))
    parentPort.postMessage('listening')`,
  )
  await once(worker, 'message')
  const told = once(worker, 'message')
  const execution = engine.execution({ workflowId: 'p' })
  execution.step('s').$send.http({ method: 'GET', url: server.url })
  await execution.complete()
  assert.deepEqual(await told, ['delivered'])
  await worker.terminate()
  // The listener is gone with its thread, and nobody minds.
  await engine.execution({ workflowId: 'p' }).complete()
  await engine.flush(PATIENT)
})

test('closing a handle in a worker leaves the engine open', async (t) => {
  const { name, engine } = await shared(t)
  const worker = startWorker({ name }, `parentPort.postMessage(await engine.close())`)
  const [told] = await Promise.all([once(worker, 'message'), once(worker, 'exit')])
  assert.deepEqual(told, [{ delivered: 0, failed: 0, pending: 0, open: 0 }])
  await engine.execution({ workflowId: 'p' }).complete()
})

test('workers may be terminated at any moment', async (t) => {
  const server = await receiver(t)
  const { name, engine } = await shared(t)
  for (let round = 0; round < 30; round++) {
    const worker = startWorker(
      { name, url: server.url, id: round },
      `
      engine.on('delivery', () => {})
      engine.on('execution', () => {})
      const own = await Engine.open({ name: name + id, egress: { allow: ['127.0.0.0/8'] } })
      own.on('delivery', () => {})
      parentPort.postMessage('working')
      for (let run = 0; run < 1000; run++) {
        for (const one of [engine, own]) {
          const execution = one.execution({ workflowId: 'p_' + id })
          const { $send } = execution.step('s')
          $send.http({ method: 'POST', url, data: { run } })
          if (run % 3 === 0) $send.http({ method: 'POST', url, data: new Blob(['x']) })
          const completed = execution.complete()
          if (run % 2) await completed
          engine.deliveries({ limit: 1 })
          execution.settled()
        }
      }`,
    )
    await once(worker, 'message')
    await worker.terminate()
  }
  const execution = engine.execution({ workflowId: 'p_after' })
  execution.step('s').$send.http({ method: 'POST', url: server.url, data: 'after' })
  await execution.complete()
  assert.equal((await execution.settled(PATIENT))[0].status, 'delivered')
})

test('a worker that ends before a body was read leaves nothing open', async (t) => {
  const server = await receiver(t)
  const { name, engine } = await shared(t)
  const worker = startWorker(
    { name, url: server.url },
    `
    const execution = engine.execution({ workflowId: 'p' })
    const { $send } = execution.step('s')
    $send.http({ method: 'POST', url, data: 'text' })
    $send.http({ method: 'POST', url, data: new Blob(['x']) })
    execution.complete()
    process.exit()`,
  )
  await once(worker, 'exit')
  await engine.flush(PATIENT)
  const { pending, pendingBytes } = engine.stats()
  assert.deepEqual({ pending, pendingBytes }, { pending: 0, pendingBytes: 0 })
  const statuses = (await engine.deliveries()).map(({ status }) => status)
  assert.equal(statuses.length, 2)
  assert.ok(
    statuses.every((status) => ['delivered', 'failed'].includes(status)),
    `${statuses}`,
  )
})
