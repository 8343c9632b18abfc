// Rate limits of requests: what is over one waits, says why, and never fails.

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { Engine } from '../../js/index.mjs'
import { dataDirectory } from '../support/data-dir.mjs'
import { until } from '../support/dead-letters.mjs'
import { finish, LOCAL, openEngine, record } from '../support/engine.mjs'
import { PATIENT } from '../support/patience.mjs'
import { receiver } from '../support/receiver.mjs'

/** @param {import('node:test').TestContext} t */
async function timed(t) {
  /** @type {number[]} */
  const times = []
  const server = await receiver(t, (_request, response) => {
    times.push(performance.now())
    response.end()
  })
  return { ...server, times }
}

/** @param {string} url @param {number} count */
const calls = (url, count) => Array.from({ length: count }, (_, n) => ({ url, data: { n } }))

test('a burst goes at once, the rest evenly, and other hosts do not wait', async (t) => {
  const [limited, free] = [await timed(t), await timed(t)]
  const rate = { perHost: { count: 3, perMs: 600 }, hosts: {} }
  const engine = await openEngine(t, { http: { rate } })
  const execution = record(engine, [...calls(limited.url, 6), ...calls(free.url, 1)])
  const deliveries = await finish(execution)
  assert.ok(deliveries.every(({ status, attempts }) => status === 'delivered' && attempts === 1))
  const [first] = limited.times
  const gaps = limited.times.map((time) => time - first)
  // The receiver's clock runs a little behind the moment of sending.
  for (const [place, least] of [0, 0, 0, 200, 400, 600].entries())
    assert.ok(gaps[place] >= least - 100, `${gaps}`)
  const waited = deliveries.filter(({ warnings }) => warnings.length > 0)
  assert.equal(waited.length, 3)
  for (const { warnings } of waited)
    assert.match(warnings.join(), /^it waits until 20\S+Z, because of http\.rate\.perHost$/)
})

test('a workflow has its own limit, and the most specific one counts', async (t) => {
  const server = await timed(t)
  const day = 86_400_000
  const rate = {
    perWorkflow: { count: 100, perMs: day },
    workflows: { 'p_slow*': { count: 2, perMs: day }, p_slow_not: { count: 50, perMs: day } },
    hosts: { 'other.example.com': { count: 1, perMs: day } },
  }
  const engine = await openEngine(t, { http: { rate } })
  const held = record(engine, calls(server.url, 5), 'p_slow_1')
  await held.complete()
  await finish(record(engine, calls(server.url, 5), 'p_slow_not'))
  await finish(record(engine, calls(server.url, 5), 'p_other'))
  const waiting = await until(async () => {
    const found = await engine.deliveries({ workflowId: 'p_slow_1', status: 'pending' })
    return found.length === 3 && found.every((one) => one.nextAttemptAt) ? found : undefined
  })
  assert.equal(server.requests.length, 12)
  for (const { warnings, attempts, lastError } of waiting) {
    assert.match(warnings.join(), /because of http\.rate\.workflows\["p_slow\*"\]/)
    assert.deepEqual([attempts, lastError], [0, undefined])
  }
  const { pending, retrying, failed } = engine.stats()
  assert.deepEqual([pending, retrying, failed], [3, 3, 0])
})

test('what waits outlives the process, and is sent once', async (t) => {
  const server = await timed(t)
  const dataDir = dataDirectory(t)
  const options = (/** @type {number} */ perMs) => ({
    dataDir,
    egress: LOCAL,
    http: { rate: { perHost: { count: 1, perMs } } },
  })
  const first = await Engine.open(options(3_600_000))
  await record(first, calls(server.url, 3)).complete()
  await until(() => {
    const { retrying, delivered } = first.stats()
    return retrying === 2 && delivered === 1 ? true : undefined
  })
  const { pending } = await first.close({ timeoutMs: 0 })
  assert.equal(pending, 2)
  const second = await openEngine(t, options(100))
  await second.flush(PATIENT)
  const bodies = server.requests.map(({ text }) => JSON.parse(text).n).sort()
  assert.deepEqual(bodies, [0, 1, 2])
})

test('retries count, and a rate is no reason to fail', async (t) => {
  let failures = 2
  const server = await receiver(t, (_request, response) => {
    response.statusCode = failures-- > 0 ? 503 : 200
    response.end()
  })
  const engine = await openEngine(t, {
    http: {
      rate: { perHost: { count: 1, perMs: 150 } },
      retry: { initialMs: 1, maxMs: 1, attempts: 3, jitter: 0 },
    },
  })
  const begun = performance.now()
  const [delivery] = await finish(record(engine, calls(server.url, 1)))
  assert.deepEqual([delivery.status, delivery.attempts], ['delivered', 3])
  assert.ok(performance.now() - begun >= 300)
})

test('wrong rates are refused with their path', async () => {
  for (const [rate, message] of /** @type {Array<[any, RegExp]>} */ ([
    [{ perHost: { count: 0, perMs: 1 } }, /http\.rate\.perHost\.count: 0 is not/],
    [{ perHost: { count: 1 } }, /http\.rate\.perHost/],
    [
      { perHots: { count: 1, perMs: 1 } },
      /http\.rate\.perHots\. Did you mean http\.rate\.perHost\?/,
    ],
    [{ hosts: { 'a b': { count: 1, perMs: 1 } } }, /http\.rate\.hosts: "a b" is neither/],
    [{ hosts: { a: { count: 1, perms: 1 } } }, /http\.rate\.hosts\.a\.perms/],
    [[], /http\.rate: must be an object, not a list/],
  ])) {
    await assert.rejects(Engine.open({ http: { rate } }), {
      code: 'ERR_SEND_INVALID_OPTION',
      message,
    })
  }
})
