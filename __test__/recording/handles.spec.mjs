// Handles of engines: who shares one, what lasts until close(), and what the last one gives back.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readdirSync, readlinkSync } from 'node:fs'
import { test } from 'node:test'
import { Worker } from 'node:worker_threads'

import { Engine } from '../../js/index.mjs'
import { runChild, startChild } from '../support/child.mjs'
import { dataDirectory } from '../support/data-dir.mjs'
import { LOCAL, openEngine } from '../support/engine.mjs'
import { PATIENT } from '../support/patience.mjs'

const ROOT = new URL('../../', import.meta.url).href

/** Opens an engine in a process of its own. Resolves to `opened` or to the code of the refusal. */
async function openElsewhere(dataDir, options = {}) {
  const { stdout, stderr } = await runChild(
    '',
    `const said = await Engine.open(${JSON.stringify({ dataDir, ...options })}).then(
       (other) => other.close().then(() => 'opened'), (error) => error.code)
     console.log(said)`,
  )
  return stdout.trim() || stderr
}

for (const [title, more] of [
  ['no other option', {}],
  ['options of destinations', { http: { timeoutMs: 100 }, strict: true }],
  ['a server', { server: { port: 0 } }],
]) {
  test(`the dataDir alone joins an engine that was opened with ${title}`, async (t) => {
    const dataDir = dataDirectory(t)
    const first = await openEngine(t, { dataDir, ...more })
    const second = await Engine.open({ dataDir })
    assert.deepEqual(second.address(), first.address())
    await second.close()
    assert.equal(typeof first.execution({ workflowId: 'p' }).executionId, 'string')
  })
}

test('other options than those of the open engine are refused, and cost no handle', async (t) => {
  const dataDir = dataDirectory(t)
  const engine = await openEngine(t, { dataDir })
  await assert.rejects(Engine.open({ dataDir, egress: LOCAL, strict: true }), {
    code: 'ERR_SEND_INVALID_OPTION',
    message: /already open in this process with other options/,
  })
  await engine.close()
  assert.equal(await openElsewhere(dataDir), 'opened')
})

test('a worker that ends in the middle of Engine.open() keeps no handle', async (t) => {
  const dataDir = dataDirectory(t)
  const engine = await openEngine(t, { dataDir })
  const code = `
    const { parentPort, workerData } = require('node:worker_threads')
    const { createRequire } = require('node:module')
    const { Engine } = createRequire(workerData.root + 'package.json')('./js/index.cjs')
    const opening = Engine.open({ dataDir: workerData.dataDir })
    parentPort.postMessage('opening')
    opening.then(() => new Promise(() => {}))`
  for (let round = 0; round < 20; round++) {
    const worker = new Worker(code, { eval: true, workerData: { root: ROOT, dataDir } })
    await once(worker, 'message')
    await worker.terminate()
  }
  await engine.close()
  assert.equal(await openElsewhere(dataDir), 'opened')
})

test('a worker that ends without close() gives its handle back', async (t) => {
  const dataDir = dataDirectory(t)
  const code = `
    const { workerData } = require('node:worker_threads')
    const { createRequire } = require('node:module')
    const { Engine } = createRequire(workerData.root + 'package.json')('./js/index.cjs')
    Engine.open({ dataDir: workerData.dataDir, server: { port: 0 } })`
  const worker = new Worker(code, { eval: true, workerData: { root: ROOT, dataDir } })
  await once(worker, 'exit')
  // This process closes the engine in the background: opening it again waits for that.
  const engine = await openEngine(t, { dataDir })
  assert.equal(engine.address(), null)
})

test('opening a directory again waits for the close() of this process', async (t) => {
  const dataDir = dataDirectory(t)
  for (let round = 0; round < 5; round++) {
    const engine = await Engine.open({ dataDir })
    const closing = engine.close()
    const again = await Engine.open({ dataDir })
    await closing
    await again.close()
  }
})

test('lock.waitMs waits for the process that has the directory', async (t) => {
  const dataDir = dataDirectory(t)
  const code = `
    // A signal alone keeps no process alive.
    setInterval(() => {}, 60_000)
    const signal = new Promise((resolve) => process.once('SIGUSR2', resolve))
    console.log('open')
    await signal
    await engine.close()
    console.log('closed')
    process.exit(0)`
  const child = startChild('', code, { dataDir })
  t.after(() => child.kill())
  await child.line('open')
  await assert.rejects(Engine.open({ dataDir }), { code: 'ERR_SEND_DATA_DIR_LOCKED' })
  const opening = Engine.open({ dataDir, lock: { waitMs: 60_000 } })
  process.kill(/** @type {number} */ (child.pid), 'SIGUSR2')
  await child.line('closed')
  const engine = await opening
  await engine.close()
  for (const waitMs of [-1, NaN, 3_600_001]) {
    await assert.rejects(Engine.open({ dataDir, lock: { waitMs } }), {
      code: 'ERR_SEND_INVALID_OPTION',
      message: /lock\.waitMs/,
    })
  }
})

test('settled() and flush() reject when the engine closes with work left', async (t) => {
  const engine = await openEngine(t, {
    dataDir: dataDirectory(t),
    s3: { batch: { intervalMs: 3_600_000 } },
    http: { retry: { scheduleMs: [3_600_000] } },
  })
  const execution = engine.execution({ workflowId: 'p' })
  // Nothing listens on port 1: the call waits for its second attempt.
  execution.step('s').$send.http({ method: 'POST', url: 'http://127.0.0.1:1/', data: 'x' })
  await execution.complete()
  const settled = assert.rejects(execution.settled(), { code: 'ERR_SEND_CLOSED' })
  const flushed = assert.rejects(engine.flush(), { code: 'ERR_SEND_CLOSED' })
  const { pending } = await engine.close({ timeoutMs: 0 })
  assert.equal(pending, 1)
  await Promise.all([settled, flushed])
})

test('what was opened for others is not collected, and what was not is', async () => {
  const { stdout, stderr } = await runChild(
    '',
    `
    // Listeners keep no process alive.
    const alive = setInterval(() => {}, 2 ** 30)
    const collect = async () => { for (let i = 0; i < 5; i++) { gc(); await new Promise(setImmediate) } }
    const page = await (async () => (await Engine.open({ server: { port: 0 } })).address().url)()
    let heard = 0
    const finished = (async () => {
      const listening = await Engine.open({})
      return new Promise((resolve) => {
        const told = () => ++heard === 2 && resolve()
        listening.subscribe({ emitterId: '*' }, told)
        listening.on('delivery', told)
        globalThis.execution = listening.execution({ workflowId: 'p' })
      })
    })()
    await collect()
    execution.step('s').$send.emit({ a: 1 })
    const idle = await (async () => {
      const plain = await Engine.open({})
      return new WeakRef(plain)
    })()
    await collect()
    const { status } = await fetch(page + '/healthz')
    await execution.complete()
    await finished
    clearInterval(alive)
    console.log(JSON.stringify({ status, heard, idle: idle.deref() === undefined }))
    process.exit(0)`,
    ['--expose-gc'],
  )
  assert.equal(stdout, JSON.stringify({ status: 200, heard: 2, idle: true }) + '\n', stderr)
})

test('an engine that is closed keeps no file, socket or memory', async (t) => {
  if (process.platform !== 'linux') return t.skip('descriptors are read from /proc')
  const dataDir = dataDirectory(t)
  const kept = []
  const round = async () => {
    const engine = await Engine.open({ dataDir, server: { port: 0 } })
    engine.on('delivery', () => {})
    const execution = engine.execution({ workflowId: 'p' })
    execution.step('s').$send.emit({ a: 1 })
    await execution.complete()
    await execution.settled(PATIENT)
    await engine.close()
    // Objects that live on must not keep what they stood for.
    kept.push(engine, execution)
  }
  await round()
  const before = openFiles(dataDir)
  for (let i = 0; i < 20; i++) await round()
  assert.deepEqual(openFiles(dataDir), before)
  assert.deepEqual(before, [])
  assert.equal((await kept[0].deliveries({})).length, 21, 'the log can still be read')
  assert.deepEqual(openFiles(dataDir), [])
})

/** The descriptors of this process under a directory. */
function openFiles(directory) {
  return readdirSync('/proc/self/fd').flatMap((name) => {
    try {
      const target = readlinkSync(`/proc/self/fd/${name}`)
      return target.startsWith(directory) ? [target] : []
    } catch {
      // The descriptor that read the folder is gone by now.
      return []
    }
  })
}
