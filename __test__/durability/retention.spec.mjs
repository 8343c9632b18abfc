// What the log forgets.

import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'

import { Engine } from '../../js/index.mjs'
import { dataDirectory } from '../support/data-dir.mjs'
import { finish, LOCAL, nextEvent, openEngine, record } from '../support/engine.mjs'
import { PATIENT } from '../support/patience.mjs'
import { receiver } from '../support/receiver.mjs'

test('the log forgets what is over its limits', async (t) => {
  const server = await receiver(t)
  const dataDir = dataDirectory(t)
  const options = { dataDir, durability: /** @type {const} */ ('os'), egress: LOCAL }
  const first = await Engine.open({ ...options, log: { maxExecutionsPerWorkflow: 3 } })
  for (let n = 0; n < 20; n++) {
    await finish(record(first, [{ url: server.url, data: String(n) }], n % 2 ? 'p_odd' : 'p_even'))
  }
  await first.close()
  const second = await openEngine(t, { ...options, log: { maxExecutionsPerWorkflow: 2 } })
  /** @type {import('../../index.d.ts').ExecutionSummary[]} */
  let left = []
  do left = await second.executions({ limit: 100 })
  while (left.length > 4)
  assert.deepEqual(left.map(({ workflowId }) => workflowId).sort(), [
    'p_even',
    'p_even',
    'p_odd',
    'p_odd',
  ])
  const bodies = (await second.deliveries()).map(({ request }) => /** @type {any} */ (request).body)
  assert.deepEqual(bodies, ['19', '18', '17', '16'])
})

test('executions that wait take no place of those that are finished', async (t) => {
  let isDown = true
  const server = await receiver(t, (request, response) => {
    response.writeHead(request.path === '/down' && isDown ? 503 : 200).end()
  })
  const options = { dataDir: dataDirectory(t), egress: LOCAL }
  const log = { maxExecutionsPerWorkflow: 2 }
  const http = { retry: { scheduleMs: [600_000] } }
  const engine = await openEngine(t, { ...options, log, http })
  const add = async (/** @type {string} */ path, workflow = 'p_one') => {
    const execution = record(engine, [{ url: server.origin + path }], workflow)
    await execution.complete()
    return execution
  }
  const first = await add('/first')
  await first.settled(PATIENT)
  const waiting = []
  for (let n = 0; n < 5; n++) waiting.push(await add('/down'))
  await (await add('/second')).settled(PATIENT)
  // When one of this workflow is forgotten, the limit has been applied to the other, too.
  for (let n = 0; n < 3; n++) await (await add('/other', 'p_other')).settled(PATIENT)
  const left = async (/** @type {string} */ workflowId) =>
    (await engine.executions({ workflowId })).length
  while ((await left('p_other')) > 2);
  assert.equal(await left('p_one'), 7)

  isDown = false
  await engine.retryNow({ status: 'pending' })
  await Promise.all(waiting.map((execution) => execution.settled(PATIENT)))
  while ((await left('p_one')) > 2);
  assert.equal(await left('p_one'), 2)
})

test('a dead letter outlives the limit of its workflow, but not its age', async (t) => {
  let isRepaired = false
  const server = await receiver(t, (request, response) => {
    response.writeHead(request.path === '/bad' && !isRepaired ? 422 : 200).end()
  })
  const options = { dataDir: dataDirectory(t), egress: LOCAL }
  const limited = { ...options, log: { maxExecutionsPerWorkflow: 1 } }
  const first = await Engine.open(limited)
  const bad = `${server.origin}/bad`
  for (const url of [bad, server.url, bad, server.url, bad, server.url]) {
    await finish(record(first, [{ url }], 'p_dead'))
  }
  const failures = async (/** @type {Engine} */ engine) =>
    (await engine.executions({ limit: 100 })).map(({ failed }) => failed)
  // The dead letters, and the newest.
  while ((await failures(first)).length > 4);
  assert.deepEqual(await failures(first), [0, 1, 1, 1])
  isRepaired = true
  await first.replay({ ids: [(await first.deliveries({ status: 'failed' }))[2].id] })
  await first.flush(PATIENT)
  await finish(record(first, [{ url: server.url }], 'p_dead'))
  while ((await failures(first)).length > 3);
  assert.deepEqual(await failures(first), [0, 1, 1])
  const [{ id }] = await first.deliveries({ status: 'failed' })
  await first.dismiss({ ids: [id] })
  await finish(record(first, [{ url: server.url }], 'p_dead'))
  while ((await failures(first)).length > 2);
  assert.deepEqual(await failures(first), [0, 1])
  await first.close()

  const second = await Engine.open({ ...options, log: { maxAgeDays: 0 } })
  const warning = await nextEvent(second, 'warning')
  assert.equal(warning.code, 'DEAD_LETTERS_REMOVED')
  assert.match(warning.message, /^1 failed call of the log .* log\.maxAgeDays \(0\)/)
  assert.deepEqual(await failures(second), [])
  await second.close()
})

test('what the log forgot is in no file of the directory', async (t) => {
  const server = await receiver(t)
  const dataDir = dataDirectory(t)
  const options = { dataDir, durability: /** @type {const} */ ('os'), egress: LOCAL }
  const name = (/** @type {number} */ n) => `body-${String(n).padStart(3, '0')}-end`
  const first = await Engine.open(options)
  // Small ones share a page; large ones have pages of their own.
  const sizes = [1, 40, 900]
  for (let n = 0; n < 60; n++) {
    const data = name(n).repeat(sizes[n % sizes.length])
    await finish(record(first, [{ url: server.url, data }], 'p_forgetful'))
  }
  await first.close()
  const second = await Engine.open({ ...options, log: { maxExecutionsPerWorkflow: 3 } })
  while ((await second.executions({ limit: 100 })).length > 3);
  await second.close()
  const files = readdirSync(dataDir).map((file) => readFileSync(join(dataDir, file), 'latin1'))
  const found = Array.from({ length: 60 }, (_, n) => n).filter((n) =>
    files.some((text) => text.includes(name(n))),
  )
  assert.deepEqual(found, [57, 58, 59])
})
