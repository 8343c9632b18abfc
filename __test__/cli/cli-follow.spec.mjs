// `dollar-send log --follow`: each delivery once, none lost in silence.

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { Engine } from '../../js/index.mjs'
import { dataDirectory } from '../support/data-dir.mjs'
import { LOCAL, openEngine } from '../support/engine.mjs'
import { following, readTo } from '../support/following.mjs'
import { receiver } from '../support/receiver.mjs'
import { run } from '../support/serving.mjs'

const KEPT = { maxExecutionsPerWorkflow: 10_000 }
const CALLS = 5000
const CALLS_EACH = 50
const RETRY = { attempts: 3, initialMs: 1, maxMs: 5, breaker: { failures: 0 } }

/**
 * @param {Engine} engine
 * @param {string} url
 * @param {string} step
 * @param {object} [call]
 */
async function send(engine, url, step, { workflowId = 'p_1', calls = 1, data = {} } = {}) {
  const execution = engine.execution({ workflowId })
  const { $send } = execution.step(step)
  for (let n = 0; n < calls; n++) $send.http({ method: 'POST', url, data })
  await execution.complete()
  return execution.settled()
}

const address = (/** @type {Engine} */ engine) => /** @type {any} */ (engine.address())

for (const [name, directory, byUrl] of [
  ['an engine in memory', false, true],
  ['an engine with a data directory', true, true],
  ['a data directory', true, false],
])
  test(`log -f shows each delivery of ${name} once, after its retries`, async (t) => {
    const failing = new Set()
    const server = await receiver(t, ({ path, headers }, response) => {
      const key = headers['idempotency-key']
      const isFirst = path === '/flaky' && !failing.has(key)
      if (isFirst) failing.add(key)
      response.writeHead(isFirst ? 503 : 200).end()
    })
    const dataDir = dataDirectory(t)
    const engine = await openEngine(t, {
      ...(directory && { dataDir }),
      log: KEPT,
      http: { retry: RETRY, perHostConcurrency: 64 },
      server: { port: 0 },
    })
    await send(engine, server.url, 'before')
    const place = byUrl ? ['--url', address(engine).url] : ['--data-dir', dataDir]
    const follower = following(t, '--json', ...place)
    await readTo(follower, 'before')
    const sent = []
    for (let n = 0; n < CALLS; n += CALLS_EACH) {
      const path = (n / CALLS_EACH) % 10 === 0 ? 'flaky' : 'hook'
      sent.push(send(engine, `${server.origin}/${path}`, 'step', { calls: CALLS_EACH }))
    }
    await Promise.all(sent)
    await send(engine, server.url, 'last')
    const seen = await readTo(follower, 'last')
    assert.equal(seen.length, CALLS)
    assert.equal(new Set(seen.map(({ id }) => id)).size, CALLS)
    assert.ok(seen.every(({ status }) => status === 'delivered'))
    assert.equal(seen.filter(({ attempts }) => attempts === 2).length, CALLS / 10)
    assert.equal(failing.size, CALLS / 10)
    await follower.end()
  })

test('log -f goes on when the engine starts again, and misses nothing of a directory', async (t) => {
  const server = await receiver(t)
  const dataDir = dataDirectory(t)
  const open = (/** @type {number} */ port) =>
    Engine.open({ dataDir, egress: LOCAL, server: { port } })
  const first = await open(0)
  const { url, port } = address(first)
  await send(first, server.url, 'before')
  const follower = following(t, '--json', '--url', url)
  await readTo(follower, 'before')
  await send(first, server.url, 'first')
  await first.close()
  // The place of the follower may be before or after it.
  const waits = follower.errors.next()
  assert.match((await waits).value, /cannot be reached: .*Waiting for it\./)
  const silent = await Engine.open({ dataDir, egress: LOCAL })
  await send(silent, server.url, 'unserved')
  await silent.close()
  const second = await open(port)
  t.after(() => second.close({ timeoutMs: 0 }))
  await send(second, server.url, 'second')
  assert.deepEqual(
    [...(await readTo(follower, 'second'))].map(({ step }) => step),
    ['first', 'unserved'],
  )
  await follower.end()
})

test('log -f says when the log goes on in another engine in memory', async (t) => {
  const server = await receiver(t)
  const first = await Engine.open({ egress: LOCAL, server: { port: 0 } })
  const { url, port } = address(first)
  await send(first, server.url, 'before')
  const follower = following(t, '--url', url)
  assert.match(await follower.next(), / before/)
  await first.close()
  assert.match((await follower.errors.next()).value, /Waiting for it\./)
  const second = await openEngine(t, { server: { port } })
  await send(second, server.url, 'second')
  assert.match(await follower.next(), /^… An unknown number of deliveries may be missing/)
  assert.match(await follower.next(), / second/)
  await send(second, server.url, 'third')
  assert.match(await follower.next(), / third/)
  await follower.end()
})

test('log -f takes the filters of the log', async (t) => {
  const server = await receiver(t, ({ path }, response) =>
    response.writeHead(path === '/bad' ? 500 : 200).end(),
  )
  const engine = await openEngine(t, { server: { port: 0 } })
  await send(engine, `${server.origin}/bad`, 'before', { workflowId: 'p_2' })
  const filters = ['--workflow', 'p_2', '--status', 'failed']
  const follower = following(t, '--json', '--url', address(engine).url, ...filters)
  await readTo(follower, 'before')
  await send(engine, `${server.origin}/bad`, 'other', { workflowId: 'p_1' })
  await send(engine, server.url, 'fine', { workflowId: 'p_2' })
  await send(engine, `${server.origin}/bad`, 'wanted', { workflowId: 'p_2' })
  await send(engine, `${server.origin}/bad`, 'last', { workflowId: 'p_2' })
  const seen = await readTo(follower, 'last')
  assert.deepEqual(
    seen.map(({ step }) => step),
    ['wanted'],
  )
  await follower.end()
})

test('log -f shows deliveries of executions that the log has forgotten', async (t) => {
  const server = await receiver(t)
  const engine = await openEngine(t, {
    log: { maxExecutionsPerWorkflow: 1 },
    server: { port: 0 },
  })
  await send(engine, server.url, 'before')
  const follower = following(t, '--json', '--url', address(engine).url)
  await readTo(follower, 'before')
  for (let n = 0; n < 20; n++) await send(engine, server.url, 'step')
  await send(engine, server.url, 'last')
  assert.equal((await readTo(follower, 'last')).length, 20)
  await follower.end()
})

test('log -f counts the deliveries that were dropped before it could show them', async (t) => {
  const server = await receiver(t)
  const engine = await openEngine(t, { server: { port: 0 } })
  await send(engine, server.url, 'before')
  const follower = following(t, '--url', address(engine).url)
  assert.match(await follower.next(), / before/)
  await send(engine, server.url, 'shown')
  assert.match(await follower.next(), / shown/)
  follower.child.kill('SIGSTOP')
  // More than the engine keeps for followers: 16 MiB.
  const data = { text: 'x'.repeat(60 << 10) }
  for (let n = 0; n < 10; n++) await send(engine, server.url, 'large', { calls: 40, data })
  follower.child.kill('SIGCONT')
  await send(engine, server.url, 'last')
  let [shown, dropped] = [0, 0]
  for (;;) {
    const line = await follower.next()
    const note = /^… (\d+) deliveries were dropped from the log before they could be shown\.$/
    const found = note.exec(line)
    if (found) dropped += Number(found[1])
    else if (/ large/.test(line)) shown++
    else break
  }
  assert.ok(dropped > 0)
  assert.equal(shown + dropped, 400)
  await follower.end()
})

test('log -f asks again when a response breaks off', async (t) => {
  const server = await receiver(t)
  const engine = await openEngine(t, { server: { port: 0 } })
  const { url } = address(engine)
  let isCut = false
  const cutting = await receiver(t, async ({ path }, response) => {
    const text = await (await fetch(url + path)).text()
    response.writeHead(200, { 'content-length': text.length })
    const cuts = isCut && path.startsWith('/v1/settlements')
    if (!cuts) return response.end(text)
    isCut = false
    response.write(text.slice(0, text.length / 2), () => response.destroy())
  })
  await send(engine, server.url, 'before')
  const follower = following(t, '--json', '--url', cutting.origin)
  await readTo(follower, 'before')
  isCut = true
  await send(engine, server.url, 'last')
  assert.match((await follower.errors.next()).value, /broke off its response\. Waiting for it\.$/)
  assert.deepEqual(await readTo(follower, 'last'), [])
  await follower.end()
})

test('the places of settlements are checked', async (t) => {
  const engine = await openEngine(t, { server: { port: 0 } })
  const { url } = address(engine)
  await run(engine, 'p_1', () => {})
  for (const [query, expected] of [
    ['after=x', /after: \\?"x\\?" is no cursor of settlements/],
    ['limit=1001', /limit: must be from 1 to 1000/],
    ['afer=x', /after/],
  ]) {
    const response = await fetch(`${url}/v1/settlements?${query}`)
    assert.equal(response.status, 400)
    assert.match(await response.text(), /** @type {RegExp} */ (expected))
  }
  const page = /** @type {any} */ (await (await fetch(`${url}/v1/settlements`)).json())
  assert.deepEqual({ ...page, cursor: '' }, { data: [], cursor: '', dropped: 0 })
  assert.match(page.cursor, /^set_[0-9a-f]{32}$/)
})
