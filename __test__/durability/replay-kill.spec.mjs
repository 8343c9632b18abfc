// A process that plans, replays and settles is killed at random moments: each call is delivered once,
// and says so.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

import { deadLetters } from '../support/killed-letters.mjs'
import { openEngine } from '../support/engine.mjs'
import { seededRandom } from '../support/kill.mjs'
import { PATIENT } from '../support/patience.mjs'

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
  const letters = await deadLetters(t, CALLS, random)
  const { dataDir } = letters

  letters.failing = 0.9
  for (let kill = 0; kill < KILLS; kill++)
    await replayAndKill(dataDir, Math.floor(random() * MOST_MILLISECONDS))
  letters.failing = 0
  const last = await openEngine(t, { dataDir })
  await last.flush(PATIENT)
  const left = await last.replay({ status: 'failed' })
  await last.flush(PATIENT)
  t.diagnostic(`${letters.requests()} requests; ${left.replayed.length} calls were left`)
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
  const again = letters.again()
  assert.ok(again <= KILLS * CONCURRENCY, `${again} were delivered again, in flight at a kill`)
})
