// The command against a running engine, and what it waits for.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

import { Engine } from '../../js/index.mjs'
import { runNode } from '../support/child.mjs'
import { dataDirectory } from '../support/data-dir.mjs'
import { LOCAL, openEngine } from '../support/engine.mjs'
import { receiver } from '../support/receiver.mjs'
import { run } from '../support/serving.mjs'

const MAIN = fileURLToPath(new URL('../../js/cli/main.mjs', import.meta.url))

/** @param {string[]} args */
const command = (...args) => runNode([MAIN, ...args])

/**
 * A running engine with a server and a delivery that failed.
 *
 * @param {import('node:test').TestContext} t
 */
async function running(t) {
  let well = false
  const server = await receiver(t, (_, response) => {
    response.statusCode = well ? 200 : 503
    response.end()
  })
  const dataDir = dataDirectory(t)
  const engine = await openEngine(t, { dataDir, egress: LOCAL, server: { port: 0 } })
  await run(engine, 'p_1', ($send) =>
    $send.http({ method: 'POST', url: server.url, data: { n: 1 } }),
  )
  const { url } = /** @type {any} */ (engine.address())
  return { dataDir, engine, url, server, recover: () => (well = true) }
}

test('log, runs and replay use the REST API of --url', async (t) => {
  const { url, recover, server } = await running(t)
  const log = await command('log', '--url', url)
  assert.match(log.stdout, /^✘ {2}failed {2}POST .* 503 /)
  const runs = await command('runs', '--url', `${url}/`)
  assert.match(runs.stdout, /completed {4}0\/1 /)
  recover()
  const replayed = await command('replay', '--url', url, '--yes')
  assert.equal(replayed.code, 0, replayed.stderr)
  assert.match(replayed.stdout, /^✔ {2}delivered .* 200 /)
  assert.equal(server.requests.length, 2)
  const again = await command('replay', '--url', url, '--yes')
  assert.deepEqual([again.code, again.stdout], [0, 'Nothing to replay.\n'])
})

test('replay finds the engine that has the directory open', async (t) => {
  const { dataDir, recover } = await running(t)
  recover()
  const { code, stdout, stderr } = await command('replay', '--data-dir', dataDir, '--yes')
  assert.equal(code, 0, stderr)
  assert.match(stdout, /^✔ {2}delivered /)
  const runs = await command('runs', '--data-dir', dataDir, '--json')
  assert.equal(JSON.parse(runs.stdout)[0].workflowId, 'p_1')
})

test('replay shows the plan, and asks nothing in a pipe', async (t) => {
  const { dataDir, server, recover } = await running(t)
  recover()
  const { code, stderr } = await command('replay', '--data-dir', dataDir)
  assert.equal(code, 0, stderr)
  assert.match(stderr, /Replays 1 delivery, recorded since 20/)
  assert.ok(stderr.includes(`to ${server.origin} (1)\n  after ERR_SEND_STATUS (1)`), stderr)
  assert.equal(server.requests.length, 2)
})

test('a plan says which deliveries it skips, and why', async (t) => {
  const { engine, url, server, recover } = await running(t)
  await run(engine, 'p_2', ($send) => $send.http({ method: 'POST', url: server.url }))
  const [two, one] = await engine.deliveries()
  await engine.dismiss({ ids: [two.id] })
  recover()
  const { stderr } = await command('replay', '--url', url, one.id, two.id)
  assert.match(stderr, /^Replays 1 delivery, .*\nSkips 1 delivery: this call was dismissed;/s)
})

test('an id may be shortened to a beginning that no other has', async (t) => {
  const { dataDir, engine, recover, url } = await running(t)
  recover()
  const [{ id }] = await engine.deliveries()
  const { code, stderr } = await command('replay', id.slice(0, 20), '--data-dir', dataDir, '--yes')
  assert.equal(code, 0, stderr)
  const both = await command('replay', id.slice(0, 2), '--url', url, '--yes')
  assert.equal(both.code, 2)
  assert.match(both.stderr, /2 deliveries have ids that begin with/)
  const none = await command('replay', 'ffff', '--url', url, '--yes')
  assert.match(none.stderr, /There is no delivery whose id begins with ffff/)
})

test('of several deliveries that a beginning names, the dead letter is replayed', async (t) => {
  const { dataDir, engine, server, recover } = await running(t)
  const [dead] = await engine.deliveries()
  recover()
  const execution = engine.execution({ workflowId: 'p_2' })
  execution.step('step').$send.http({ method: 'POST', url: server.url, data: {} })
  await execution.complete()
  await execution.settled()
  const shared = dead.id.slice(0, 4)
  assert.equal((await engine.deliveries()).filter(({ id }) => id.startsWith(shared)).length, 2)
  const { code, stderr } = await command('replay', shared, '--data-dir', dataDir, '--yes')
  assert.equal(code, 0, stderr)
  const [replay] = await engine.deliveries()
  assert.equal(replay.replayOf, dead.id)
})

test('a server that is not there, or wants a token, says so', async (t) => {
  const closed = await openEngine(t, { server: { port: 0 } })
  const { url: gone, port } = /** @type {any} */ (closed.address())
  await closed.close()
  const { code, stderr } = await command('log', '--url', gone)
  assert.equal(code, 3)
  assert.ok(stderr.includes(`${gone} cannot be reached: connect ECONNREFUSED 127.0.0.1:${port}`))
  const token = 'a-token-for-the-command'
  const engine = await openEngine(t, { server: { port: 0, tokens: [token] } })
  const { url } = /** @type {any} */ (engine.address())
  const refused = await command('runs', '--url', url)
  assert.match(refused.stderr, /answered 401: .*--token/)
  const taken = await command('runs', '--url', url, '--token', token)
  assert.equal(taken.stdout, 'No such executions.\n')
})

test('log --follow goes on with each delivery that ends', async (t) => {
  const { dataDir, engine, server, recover } = await running(t)
  const child = spawn(process.execPath, [MAIN, 'log', '-f', '--data-dir', dataDir], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  t.after(() => child.kill('SIGKILL'))
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]()
  assert.match((await lines.next()).value, /^✘ {2}failed/)
  assert.match((await lines.next()).value, /ERR_SEND_STATUS/)
  recover()
  await run(engine, 'p_2', ($send) => $send.http({ method: 'POST', url: server.url, data: {} }))
  assert.match((await lines.next()).value, /^✔ {2}delivered .* p_2 /)
  child.kill('SIGINT')
  const [code] = await once(child, 'close')
  assert.equal(code, 0)
})

test('a command that waits too long exits with 3 and says what is left', async (t) => {
  const { origin } = await receiver(t, () => {})
  const dataDir = dataDirectory(t)
  const engine = await Engine.open({ dataDir, http: { timeoutMs: 1 }, egress: LOCAL })
  await run(engine, 'p', ($send) => $send.http({ method: 'POST', url: origin, data: {} }))
  await engine.close()
  const args = ['--data-dir', dataDir, '--yes', '--wait', '0', '--allow', '127.0.0.0/8']
  const { code, stdout, stderr } = await command('replay', ...args)
  assert.equal(code, 3)
  assert.match(stdout, /^… {2}(in-flight|pending)/)
  assert.match(stderr, /1 of 1 deliveries are left: they are not done after 0 s \(--wait\)/)
})

test('dismissed deliveries are not planned, and --limit counts what is left', async (t) => {
  const { dataDir, engine, url, server, recover } = await running(t)
  await run(engine, 'p_1', ($send) => {
    $send.http({ method: 'POST', url: server.url, data: { n: 2 } })
    $send.http({ method: 'POST', url: server.url, data: { n: 3 } })
  })
  const [newest] = await engine.deliveries({ status: 'failed' })
  await engine.dismiss({ ids: [newest.id] })
  recover()
  const limited = await command('replay', '--url', url, '--yes', '--limit', '1', '--json')
  assert.equal(limited.code, 0, limited.stderr)
  assert.match(limited.stderr, /Replays 1 delivery/)
  const [{ status, replayOf }] = JSON.parse(limited.stdout).deliveries
  const [, next] = await engine.deliveries({ status: 'failed' })
  assert.deepEqual([status, replayOf], ['delivered', next.id])
  const rest = await command('replay', '--data-dir', dataDir, '--yes')
  assert.equal(rest.code, 0, rest.stderr)
  assert.match(rest.stderr, /Replays 1 delivery/)
  const none = await command('replay', '--url', url, '--yes')
  assert.deepEqual([none.code, none.stdout], [0, 'Nothing to replay.\n'])
})

test('another server, a login in the URL and a broken token are said without secrets', async (t) => {
  const other = await receiver(t, (_, response) => {
    response.setHeader('content-type', 'text/html').end('<p>hello')
  })
  for (const topic of ['log', 'runs', 'replay']) {
    const { code, stderr } = await command(topic, '--url', other.url)
    assert.match(stderr, /is not the server of an engine/)
    assert.ok(code, topic)
    for (const args of [
      ['--url', 'http://me:passw0rd@127.0.0.1:1'],
      ['--url', 'htp://me:passw0rd@127.0.0.1:1'],
      ['--url', 'http://127.0.0.1:1', '--token', 'passw0rd\nx'],
    ]) {
      const refused = await command(topic, ...args)
      assert.equal(refused.code, 2, refused.stderr)
      assert.doesNotMatch(refused.stderr, /passw0rd/)
    }
  }
})
