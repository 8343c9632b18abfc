// The journal in a data directory, as its user sees it.

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { test } from 'node:test'
import { Worker } from 'node:worker_threads'

import { Engine } from '../../js/index.mjs'
import { startChild } from '../support/child.mjs'
import { bytesIn, dataDirectory } from '../support/data-dir.mjs'
import { codeOf, finish, LOCAL, openEngine, record } from '../support/engine.mjs'
import { PATIENT } from '../support/patience.mjs'
import { blackHole, receiver } from '../support/receiver.mjs'

const require = createRequire(import.meta.url)

test('the log is there after the engine was closed and opened again', async (t) => {
  const server = await receiver(t, ({ path }, response) => {
    response.statusCode = path === '/bad' ? 500 : 200
    response.end('answer')
  })
  const dataDir = dataDirectory(t)
  const first = await Engine.open({ dataDir, egress: LOCAL })
  const execution = record(first, [{ url: server.url }, { url: `${server.origin}/bad` }])
  const receipt = await execution.complete({ error: 'boom' })
  assert.deepEqual(receipt, { executionId: execution.executionId, recorded: 2, durable: true })
  const settled = await execution.settled()
  const before = await first.deliveries()
  const rows = await first.executions()
  assert.deepEqual(settled, before.toReversed?.() ?? [...before].reverse())
  await first.close()

  const second = await openEngine(t, { dataDir })
  assert.deepEqual(await second.deliveries(), before)
  assert.deepEqual(await second.executions(), rows)
  assert.deepEqual(
    [rows[0].status, rows[0].error, rows[0].delivered, rows[0].failed, rows[0].total],
    ['failed', 'boom', 1, 1, 2],
  )
  const [bad, good] = before
  assert.deepEqual([bad.response?.status, good.response?.status], [500, 200])
  const ids = async (/** @type {object} */ filter) =>
    (await second.deliveries(filter)).map(({ id }) => id)
  assert.deepEqual(await ids({ status: 'failed' }), [bad.id])
  assert.deepEqual(await ids({ limit: 1 }), [bad.id])
  assert.deepEqual(await ids({ before: bad.id }), [good.id])
  assert.deepEqual(await ids({ workflowId: 'other' }), [])
  assert.deepEqual(await ids({ executionId: execution.executionId, step: 'step' }), [
    bad.id,
    good.id,
  ])
  assert.deepEqual(await second.executions({ before: execution.executionId }), [])
})

test('what is not delivered at the close is delivered after the next opening', async (t) => {
  const dataDir = dataDirectory(t)
  const hole = await blackHole(t)
  const first = await Engine.open({ dataDir, egress: LOCAL, http: { timeoutMs: 60_000 } })
  const server = await receiver(t)
  const hanging = record(first, [{ url: hole.url }])
  const arrived = hole.requests(1)
  await hanging.complete()
  await arrived
  const open = record(first, [{ url: server.url, data: 'never completed' }])
  const closed = await first.close({ timeoutMs: 0 })
  assert.deepEqual(closed, { delivered: 0, failed: 0, pending: 1, open: 1 })
  assert.ok(open.executionId)

  const again = hole.requests(1)
  const second = await openEngine(t, { dataDir, http: { timeoutMs: 60_000 } })
  await again
  const [delivery] = await second.deliveries()
  assert.equal(delivery.executionId, hanging.executionId)
  assert.equal(delivery.status, 'in-flight')
  assert.equal(delivery.attempts, 2)
  assert.match(delivery.warnings[0], /it may have been received before, under the same id/)
  assert.equal(server.requests.length, 0)
  assert.equal(second.stats().pending, 1)
})

const HANG = `
  const execution = engine.execution({ workflowId: 'p', executionId: 'killed' })
  const { $send } = execution.step('s')
  $send.http({ method: 'POST', url, data: 'first' })
  await execution.flush()
  while (engine.stats().inFlight === 0) await new Promise(setImmediate)
  // It is read from the disk, after what was asked for before: that the attempt begins.
  await engine.executions()
  console.log('begun')
  await new Promise(() => setInterval(() => {}, 1000))`

for (const onInterrupted of /** @type {const} */ (['resend', 'fail'])) {
  test(`a request under way at a crash, with onInterrupted: '${onInterrupted}'`, async (t) => {
    const dataDir = dataDirectory(t)
    let answers = false
    const server = await receiver(t, (_request, response) => {
      if (answers) response.end('ok')
    })
    const child = startChild(server.url, HANG, { dataDir, http: { onInterrupted } })
    await Promise.all([server.received(1), child.line('begun')])
    await child.kill()
    answers = true
    const engine = await openEngine(t, { dataDir, http: { onInterrupted } })
    await engine.flush(PATIENT)
    const [delivery] = await engine.deliveries()
    const row = (await engine.executions()).find(({ executionId }) => executionId === 'killed')
    assert.equal(row?.error, 'the process ended before the execution was completed')
    assert.match(delivery.warnings[0], /may have been received before/)
    if (onInterrupted === 'fail') {
      assert.equal(server.requests.length, 1)
      assert.equal(delivery.error?.code, 'ERR_SEND_INTERRUPTED')
      const { replayed } = await engine.replay({ ids: [delivery.id] })
      await engine.flush(PATIENT)
      assert.equal((await engine.deliveries())[0].id, replayed[0].id)
      assert.equal(server.requests[1].text, 'first')
    } else {
      assert.equal(server.requests.length, 2)
      assert.deepEqual([delivery.status, delivery.attempts], ['delivered', 2])
      const keys = server.requests.map(({ headers }) => headers['idempotency-key'])
      assert.deepEqual(keys, [delivery.id, delivery.id])
    }
  })
}

test('one process at a time, and one engine for all its threads', async (t) => {
  const server = await receiver(t)
  const dataDir = dataDirectory(t)
  const child = startChild(server.url, "console.log('open'); setInterval(() => {}, 1000)", {
    dataDir,
  })
  await child.line('open')
  const [code, message] = await codeOf(Engine.open({ dataDir }))
  assert.equal(code, 'ERR_SEND_DATA_DIR_LOCKED') // reaches ERR_SEND_DATA_DIR_LOCKED
  assert.match(message, new RegExp(`in use by pid ${child.pid}`))
  await child.kill()

  const engine = await openEngine(t, { dataDir })
  const again = await openEngine(t, { dataDir })
  await finish(record(engine, [{ url: server.url }]))
  assert.equal((await again.deliveries()).length, 1)
  const [refused] = await codeOf(Engine.open({ dataDir, durability: 'os' }))
  assert.equal(refused, 'ERR_SEND_INVALID_OPTION')
  const worker = new Worker(
    `const { workerData, parentPort } = require('node:worker_threads')
     const { Engine } = require(workerData.entry)
     Engine.open({ dataDir: workerData.dataDir, egress: { allow: ['127.0.0.0/8'] } })
       .then(async (engine) => {
         parentPort.postMessage((await engine.deliveries()).length)
         await engine.close()
       })`,
    { eval: true, workerData: { dataDir, entry: require.resolve('../../js/index.cjs') } },
  )
  const seen = await new Promise((resolve, reject) => {
    worker.on('message', resolve)
    worker.on('error', reject)
  })
  assert.equal(seen, 1)
})

test('no secret is in any file of the directory', async (t) => {
  const hole = await blackHole(t)
  const server = await receiver(t, ({ path }, response) => {
    response.statusCode = path === '/bad' ? 500 : 200
    response.end('ok')
  })
  const dataDir = dataDirectory(t)
  const engine = await openEngine(t, { dataDir, http: { timeoutMs: 60_000 } })
  const secrets = {
    headers: { Authorization: 'Bearer hunter2-header', 'X-Api-Key': 'hunter2-key' },
    data: { shown: 'plainly' },
  }
  const withUser = (/** @type {string} */ url) => url.replace('://', '://user:hunter2-url@')
  const arrived = hole.requests(3)
  await record(engine, [
    { url: hole.url, ...secrets },
    { url: withUser(hole.url), auth: undefined },
    { url: hole.url, auth: { username: 'u', password: 'hunter2-basic' } },
  ]).complete()
  await arrived
  assert.doesNotMatch(bytesIn(dataDir), /hunter2/)
  await finish(
    record(engine, [
      { url: server.url, ...secrets },
      { url: `${server.origin}/bad`, ...secrets },
    ]),
  )
  assert.equal((await engine.deliveries({ status: 'failed' })).length, 1)
  await engine.executions()
  const bytes = bytesIn(dataDir)
  assert.doesNotMatch(bytes, /hunter2/)
  assert.match(bytes, /plainly/)
  assert.equal(server.requests[0].headers.authorization, 'Bearer hunter2-header')
})

test('the key is for its owner, and another one is refused', async (t) => {
  const hole = await blackHole(t)
  const dataDir = dataDirectory(t)
  const first = await Engine.open({ dataDir, egress: LOCAL })
  await record(first, [{ url: hole.url }]).complete()
  await first.close({ timeoutMs: 0 })
  const file = join(dataDir, 'journal.key')
  const key = readFileSync(file)
  assert.equal(key.length, 32)
  if (process.platform !== 'win32') {
    assert.equal(statSync(file).mode & 0o777, 0o600)
    assert.equal(statSync(dataDir).mode & 0o777, 0o700)
  }

  rmSync(file)
  await assert.rejects(Engine.open({ dataDir, egress: LOCAL }), {
    code: 'ERR_SEND_JOURNAL',
    message: /journal\.key: calls wait in .*journal\.sqlite, and the key file is missing: restore/,
  })
  assert.ok(!existsSync(file), 'a refused opening makes no key')
  writeFileSync(file, randomBytes(32), { mode: 0o600 })
  await assert.rejects(Engine.open({ dataDir, egress: LOCAL }), {
    code: 'ERR_SEND_JOURNAL',
    message: /journal\.key: .* sealed with another key: restore the journal\.key/,
  })
  await assert.rejects(Engine.open({ dataDir, journal: { key: randomBytes(32) } }), {
    code: 'ERR_SEND_INVALID_OPTION',
    message: /journal\.key: .* sealed with another key: give the key/,
  })
  for (const given of [key, key.toString('base64'), key.toString('hex')]) {
    const right = await Engine.open({ dataDir, egress: LOCAL, journal: { key: given } })
    await right.close({ timeoutMs: 0 })
  }
  const [code] = await codeOf(Engine.open({ dataDir, journal: { key: 'short' } }))
  assert.equal(code, 'ERR_SEND_INVALID_OPTION')
})

test('another key is taken when nothing is left that needs the first', async (t) => {
  const server = await receiver(t, (request, response) => {
    response.writeHead(request.path === '/bad' ? 422 : 200).end()
  })
  const dataDir = dataDirectory(t)
  const open = (/** @type {number} */ byte) =>
    Engine.open({ dataDir, egress: LOCAL, journal: { key: Buffer.alloc(32, byte) } })
  const first = await open(1)
  await finish(record(first, [{ url: server.url }, { url: `${server.origin}/bad` }]))
  await first.close()
  await assert.rejects(open(2), { code: 'ERR_SEND_INVALID_OPTION' }, 'a dead letter needs it')
  const again = await open(1)
  await again.dismiss({ status: 'failed' })
  await again.close()
  const second = await open(2)
  await finish(record(second, [{ url: `${server.origin}/bad` }]))
  await second.close()
  await assert.rejects(open(1), { code: 'ERR_SEND_INVALID_OPTION' })
})

test('a full journal refuses a whole hand-over, and takes it again later', async (t) => {
  let answers = false
  /** @type {Array<() => void>} */
  const held = []
  const server = await receiver(t, (_request, response) => {
    if (answers) response.end('ok')
    else held.push(() => response.end('ok'))
  })
  const dataDir = dataDirectory(t)
  const engine = await openEngine(t, {
    dataDir,
    journal: { maxBytes: 1 << 20 },
    log: { maxExecutionsPerWorkflow: 1 },
    http: { timeoutMs: 60_000, logBodyBytes: 0 },
  })
  const large = 'x'.repeat(150_000)
  let kept = 0
  /** @type {any} */
  let refusal
  /** @type {import('../../index.d.ts').Execution} */
  let refused
  do {
    refused = record(engine, [
      { url: server.url, data: large },
      { url: server.url, data: 'small' },
    ])
    refusal = await refused.complete().then(
      () => void kept++,
      (error) => error,
    )
  } while (!refusal)
  assert.equal(refusal.code, 'ERR_SEND_JOURNAL_FULL')
  assert.match(refusal.message, /journal\.maxBytes is 1048576/)
  assert.ok(kept >= 2 && kept < 8, `${kept} hand-overs fit`)
  assert.equal(engine.stats().pending, 2 * kept)
  answers = true
  for (const answer of held) answer()
  await engine.flush(PATIENT)
  assert.equal(server.requests.length, 2 * kept)
  const retried = await refused.complete()
  assert.deepEqual([retried.recorded, retried.durable], [2, true])
  await refused.settled(PATIENT)
  assert.equal(server.requests.length, 2 * kept + 2)
})

test('a disk that takes no more gives a clear error and keeps what there is', async (t) => {
  const server = await receiver(t)
  const dataDir = dataDirectory(t)
  const child = startChild(
    server.url,
    `const data = 'x'.repeat(100_000)
     for (;;) {
       const execution = engine.execution({ workflowId: 'p' })
       execution.step('s').$send.http({ method: 'POST', url: 'http://192.0.2.1/', data })
       const failed = await execution.complete().then(() => {}, (error) => error)
       if (failed) { console.log(failed.code + ' ' + failed.message); break }
       console.log('kept')
     }
     process.exit(0)`,
    { dataDir },
    { limit: 'ulimit -f 2000' },
  )
  const { stdout } = await child.ended
  const lines = stdout.trim().split('\n')
  assert.match(lines.at(-1) ?? '', /^ERR_SEND_JOURNAL(_FULL)? the journal .* cannot be written: /)
  const kept = lines.length - 1
  assert.ok(kept > 1)
  const engine = await openEngine(t, { dataDir })
  await engine.flush(PATIENT)
  const log = await engine.deliveries({ limit: 1000 })
  assert.equal(log.filter(({ status }) => status === 'failed').length, kept)
  // The one that was refused ended with the process: discarded, where there was room to say so.
  const others = log.filter(({ status }) => status !== 'failed').map(({ status }) => status)
  assert.ok(others.length === 0 || (others.length === 1 && others[0] === 'discarded'), `${others}`)
})

test('what is no journal is refused with what to do', async (t) => {
  const dataDir = dataDirectory(t)
  for (const [path, expected] of [
    ['/proc/nowhere/data', /data directory \/proc\/nowhere\/data cannot be made/],
    [import.meta.filename ?? new URL(import.meta.url).pathname, /cannot be (made|opened)/],
  ]) {
    const [code, message] = await codeOf(Engine.open({ dataDir: /** @type {string} */ (path) }))
    assert.equal(code, 'ERR_SEND_JOURNAL')
    assert.match(message, /** @type {RegExp} */ (expected))
  }
  mkdirSync(dataDir, { recursive: true })
  writeFileSync(join(dataDir, 'journal.sqlite'), 'no journal '.repeat(1000))
  const [code, message] = await codeOf(Engine.open({ dataDir }))
  assert.equal(code, 'ERR_SEND_JOURNAL')
  // reaches ERR_SEND_JOURNAL
  assert.match(message, /damaged or no journal/)
})

test('a directory that is removed under an open engine is noticed', async (t) => {
  const dataDir = dataDirectory(t)
  const engine = await openEngine(t, { dataDir })
  const record = () => {
    const execution = engine.execution({ workflowId: 'p' })
    execution.step('s').$send.emit({ a: 1 })
    return execution.complete()
  }
  await record()
  rmSync(dataDir, { recursive: true })
  await assert.rejects(record(), {
    code: 'ERR_SEND_JOURNAL',
    message: /cannot be written/,
  })
})

test('files are for their owner alone, in a directory that was open before, too', async (t) => {
  if (process.platform === 'win32') return t.skip('there are no modes')
  const dataDir = dataDirectory(t)
  mkdirSync(dataDir, { mode: 0o755 })
  const engine = await openEngine(t, { dataDir })
  const execution = engine.execution({ workflowId: 'p' })
  execution.step('s').$send.email({ subject: 's', text: 't' })
  await execution.complete()
  await execution.settled()
  const files = readdirSync(dataDir, { recursive: true, withFileTypes: true })
  const modes = files
    .filter((file) => file.isFile())
    .map(({ parentPath, path, name }) => statSync(join(parentPath ?? path, name)).mode & 0o077)
  assert.ok(modes.length >= 4, String(modes.length))
  assert.deepEqual(new Set(modes), new Set([0]))
})

test('a key or a lock that is not a file is refused at once', async (t) => {
  if (process.platform === 'win32') return t.skip('there are no pipes in folders')
  for (const name of ['journal.key', 'lock', 'journal.sqlite']) {
    const dataDir = dataDirectory(t)
    mkdirSync(dataDir)
    execFileSync('mkfifo', [join(dataDir, name)])
    await assert.rejects(Engine.open({ dataDir }), { code: 'ERR_SEND_JOURNAL' })
  }
})
