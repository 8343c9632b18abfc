// The command's control of queues: pause, resume and retry-now, and the end of a replay by Ctrl-C.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

import { Engine } from '../../js/index.mjs'
import { runNode } from '../support/child.mjs'
import { dataDirectory } from '../support/data-dir.mjs'
import { deadLettersBehindAGate, until } from '../support/dead-letters.mjs'
import { LOCAL, openEngine, record } from '../support/engine.mjs'
import { PATIENT } from '../support/patience.mjs'
import { receiver } from '../support/receiver.mjs'
import { serve } from '../support/serving.mjs'

const MAIN = fileURLToPath(new URL('../../js/cli/main.mjs', import.meta.url))

/** @param {string[]} args */
const command = (...args) => runNode([MAIN, ...args])

test('pause and resume act on the engine of --url, and of the directory', async (t) => {
  const dataDir = dataDirectory(t)
  const { engine, url } = await serve(t, {}, { dataDir })
  const paused = await command('pause', '--host', 'api.example.com', '--url', url)
  assert.deepEqual([paused.code, paused.stderr], [0, ''])
  assert.match(paused.stdout, /^paused {2}host api\.example\.com {2}since 20\S+Z\n$/)
  const more = await command('pause', '--workflow', 'p_1', '--data-dir', dataDir, '--json')
  assert.deepEqual(
    JSON.parse(more.stdout).map((/** @type {any} */ { host, workflowId }) => host ?? workflowId),
    ['api.example.com', 'p_1'],
  )
  assert.equal(engine.stats().pauses.length, 2)
  const one = await command('resume', '--workflow', 'p_1', '--url', url)
  assert.match(one.stdout, /^paused {2}host api\.example\.com .*\n$/)
  const all = await command('resume', '--all', '--data-dir', dataDir)
  assert.deepEqual([all.code, all.stdout], [0, 'Nothing is paused.\n'])
  assert.deepEqual(engine.stats().pauses, [])
})

test('a directory that no engine has open is paused for the next one', async (t) => {
  const server = await receiver(t)
  const dataDir = dataDirectory(t)
  const first = await Engine.open({ dataDir })
  await first.close()
  const paused = await command('pause', '--host', '127.0.0.1', '--data-dir', dataDir)
  assert.equal(paused.code, 0, paused.stderr)
  assert.match(paused.stderr, /^No engine has .* open: this holds when one opens it\.\n$/)
  const engine = await openEngine(t, { dataDir, egress: LOCAL })
  assert.equal(engine.stats().pauses[0].host, '127.0.0.1')
  const execution = record(engine, [{ url: server.url }])
  await execution.complete()
  await engine.close()
  const resumed = await command('resume', '--all', '--data-dir', dataDir)
  assert.equal(resumed.stdout, 'Nothing is paused.\n')
  assert.equal(server.requests.length, 0, 'the command delivers nothing')
  const again = await openEngine(t, { dataDir, egress: LOCAL })
  await again.flush(PATIENT)
  assert.equal(server.requests.length, 1)
})

test('retry-now attempts what waits, and needs a running engine', async (t) => {
  let status = 503
  const server = await receiver(t, (_request, response) => {
    response.statusCode = status
    response.end()
  })
  const dataDir = dataDirectory(t)
  const retry = { initialMs: 3_600_000, maxMs: 3_600_000, jitter: 0 }
  const { engine, url } = await serve(t, {}, { dataDir, http: { retry } })
  const execution = record(engine, [{ url: server.url, method: 'POST', data: {} }], 'p_late')
  await execution.complete()
  const waiting = await until(async () => {
    const [one] = await engine.deliveries()
    return one.nextAttemptAt ? one : undefined
  })
  const other = await command('retry-now', '--workflow', 'p_other', '--url', url)
  assert.deepEqual([other.code, other.stdout], [0, '0 deliveries attempted now.\n'])
  status = 200
  const { code, stdout } = await command('retry-now', waiting.id.slice(0, 20), '--url', url)
  assert.deepEqual([code, stdout], [0, '1 delivery attempted now.\n'])
  const [delivery] = await execution.settled(PATIENT)
  assert.equal(delivery.status, 'delivered')
  const all = await command('retry-now', '--all', '--data-dir', dataDir, '--json')
  assert.deepEqual(JSON.parse(all.stdout), { retried: 0 })
  await engine.close()
  const closed = await command('retry-now', '--all', '--data-dir', dataDir)
  assert.equal(closed.code, 2)
  assert.match(closed.stderr, /No engine has .* open, so nothing is attempted there/)
})

test('a wrong command line says what is missing', async (t) => {
  const dataDir = dataDirectory(t)
  for (const [args, message] of /** @type {Array<[string[], RegExp]>} */ ([
    [['pause'], /pause needs one of --host, --destination, --workflow and --all/],
    [['pause', '--host', 'a', '--all'], /pause needs one of/],
    [['resume', 'api.example.com', '--all'], /resume needs one of .*, and no arguments/],
    [['retry-now'], /retry-now needs either ids, filters, or --all/],
    [['retry-now', '0123', '--host', 'a'], /retry-now needs either/],
    [['pause', '--step', 'a'], /pause has no option --step/],
    [['pase', '--all'], /Unknown command pase\. Did you mean pause\?/],
    [['pause', '--all', '--data-dir', dataDir], /holds no journal/],
  ])) {
    const { code, stderr } = await command(...args)
    assert.equal(code, 2, stderr)
    assert.match(stderr, message)
  }
})

for (const place of ['--url', '--data-dir']) {
  test(`Ctrl-C cancels a replay: the rest stay dead letters, by ${place}`, async (t) => {
    const dataDir = dataDirectory(t)
    const { engine, url, ask, server, open } = await deadLettersBehindAGate(t, 30, { dataDir })
    const where = place === '--url' ? url : dataDir
    const child = spawn(process.execPath, [MAIN, 'replay', '--yes', place, where], {
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    t.after(() => child.kill('SIGKILL'))
    const [stderr, ended] = [text(child.stderr), once(child, 'close')]
    await until(async () => {
      const [run] = (await ask('/v1/replays')).body.data
      return run && run.replayed > 0 && run.replayed === server.held() ? true : undefined
    })
    child.kill('SIGINT')
    const [code] = await ended
    assert.equal(code, 130)
    const said = await stderr
    const handed = Number(/Cancelled: (\d+) of 30 calls are handed over/.exec(said)?.[1])
    assert.ok(handed > 0 && handed < 30, said)
    assert.ok(said.includes(`${30 - handed} of 30 stay dead letters.`), said)
    open()
    await engine.flush(PATIENT)
    const [row] = await engine.executions()
    assert.deepEqual([row.delivered, row.failed], [handed, 30 - handed])
    await engine.close()
  })
}

test('Ctrl-C cancels the replay of a directory that the command opened', async (t) => {
  const dataDir = dataDirectory(t)
  const { engine, server } = await deadLettersBehindAGate(t, 30, { dataDir })
  await engine.close()
  const config = dataDirectory(t)
  mkdirSync(config, { recursive: true })
  const file = join(config, 'config.mjs')
  const options = { dataDir, egress: LOCAL, maxPendingBytes: 24_000 }
  writeFileSync(file, `export default ${JSON.stringify(options)}`)
  const child = spawn(process.execPath, [MAIN, 'replay', '--yes', '--config', file], {
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  t.after(() => child.kill('SIGKILL'))
  const [said, ended] = [text(child.stderr), once(child, 'close')]
  await until(() => (server.held() > 0 ? true : undefined))
  child.kill('SIGINT')
  const [code] = await ended
  assert.equal(code, 130, await said)
  assert.match(
    await said,
    /Cancelled: \d+ of 30 calls are handed over, \d+ of 30 stay dead letters\./,
  )
  const again = await openEngine(t, { dataDir, deliver: false })
  const [row] = await again.executions()
  assert.equal(row.failed + row.pending, 30, 'none is lost, none is delivered')
  assert.ok(row.failed > 0 && row.pending > 0)
})
