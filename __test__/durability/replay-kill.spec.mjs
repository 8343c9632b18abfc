// A process that plans, replays and settles is killed at random moments: each call is delivered once,
// and says so.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

import { dataDirectory } from '../support/data-dir.mjs'
import { openEngine, record } from '../support/engine.mjs'
import { seededRandom } from '../support/kill.mjs'
import { PATIENT } from '../support/patience.mjs'
import { receiver } from '../support/receiver.mjs'

const CALLS = 200
const KILLS = 12
const CONCURRENCY = 4
/** Milliseconds that a process lives on after it has opened the directory, at most. */
const MOST_MILLISECONDS = 400
const SCRIPT = fileURLToPath(new URL('../support/replay-killed.mjs', import.meta.url))

/**
 * @param {string} dataDir
 * @param {number} milliseconds
 */
async function replayAndKill(dataDir, milliseconds) {
  const stdio = /** @type {const} */ (['ignore', 'pipe', 'inherit'])
  const child = spawn(process.execPath, [SCRIPT, JSON.stringify({ dataDir })], { stdio })
  const closed = once(child, 'close')
  await once(child.stdout, 'data')
  await new Promise((resolve) => setTimeout(resolve, milliseconds))
  child.kill('SIGKILL')
  await closed
}

test('a replay that is killed loses nothing, and sends nothing that was delivered', async (t) => {
  const random = seededRandom(t)
  let failing = 1
  /** @type {Map<number, { keys: Set<unknown>, delivered: number }>} */
  const arrivals = new Map()
  const server = await receiver(t, ({ text, headers }, response) => {
    const { n } = JSON.parse(text)
    const arrival = arrivals.get(n) ?? { keys: new Set(), delivered: 0 }
    arrivals.set(n, arrival)
    arrival.keys.add(headers['idempotency-key'])
    response.statusCode = random() < failing ? 500 : 200
    if (response.statusCode === 200) arrival.delivered++
    response.end()
  })
  const dataDir = dataDirectory(t)
  const first = await openEngine(t, { dataDir })
  const calls = Array.from({ length: CALLS }, (_, n) => ({ url: server.url, data: { n } }))
  await record(first, calls).complete()
  assert.deepEqual(await first.close(PATIENT), { delivered: 0, failed: CALLS, pending: 0, open: 0 })

  failing = 0.9
  for (let kill = 0; kill < KILLS; kill++)
    await replayAndKill(dataDir, Math.floor(random() * MOST_MILLISECONDS))
  failing = 0
  const last = await openEngine(t, { dataDir })
  await last.flush(PATIENT)
  const left = await last.replay({ status: 'failed' })
  await last.flush(PATIENT)
  t.diagnostic(`${server.requests.length} requests; ${left.replayed.length} calls were left`)
  assert.deepEqual((await last.replay({ status: 'failed' })).replayed, [])

  const deliveries = await last.deliveries({ limit: 1_000_000 })
  const delivered = deliveries.filter(({ status }) => status === 'delivered')
  assert.equal(delivered.length, CALLS, 'each call once')
  const ids = new Set(delivered.map(({ id }) => id))
  const originals = deliveries.filter(({ replayOf }) => !replayOf)
  assert.equal(originals.length, CALLS)
  assert.deepEqual(
    originals.filter(({ resolvedBy }) => !ids.delete(String(resolvedBy))),
    [],
    'each of them by a replay of its own',
  )
  const [execution] = await last.executions()
  assert.deepEqual([execution.delivered, execution.failed, execution.total], [CALLS, 0, CALLS])
  assert.deepEqual(
    [...arrivals.values()].filter(({ keys }) => keys.size !== 1),
    [],
  )
  const again = [...arrivals.values()].reduce((sum, { delivered: times }) => sum + times - 1, 0)
  assert.ok(again <= KILLS * CONCURRENCY, `${again} were delivered again, in flight at a kill`)
})
