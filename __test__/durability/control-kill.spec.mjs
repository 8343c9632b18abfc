// A process that pauses, resumes, dismisses and replays is killed at random moments: what it had promised
// holds in the next process, what it had not begun has not happened, and no call is lost.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

import { Engine } from '../../js/index.mjs'
import { deadLetters } from '../support/killed-letters.mjs'
import { LOCAL, openEngine } from '../support/engine.mjs'
import { seededRandom } from '../support/kill.mjs'
import { PATIENT } from '../support/patience.mjs'

const CALLS = 400
const KILLS = Number(process.env.CONTROL_KILLS ?? 20)
const CONCURRENCY = 4
/** Acts after which a process is killed at the latest, and milliseconds that it lives on. */
const MOST_ACTS = 8
const MOST_MILLISECONDS = 6
const SCRIPT = fileURLToPath(new URL('../support/control-killed.mjs', import.meta.url))

/** @typedef {{ word: 'open' | 'begun' | 'kept', act: string, ids: string[] }} Said */

/**
 * Returns what the process said.
 *
 * @param {string} dataDir
 * @param {() => number} random
 * @returns {Promise<Said[]>}
 */
async function actAndKill(dataDir, random) {
  const seed = Math.floor(random() * 2 ** 32)
  const child = spawn(process.execPath, [SCRIPT, JSON.stringify({ dataDir, seed })], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const closed = once(child, 'close')
  let left = Math.floor(random() * MOST_ACTS)
  const longer = random() * MOST_MILLISECONDS
  /** @type {Said[]} */
  const said = []
  for await (const line of createInterface(child.stdout)) {
    said.push(JSON.parse(line))
    if (said[said.length - 1].word !== 'begun' && left-- === 0)
      setTimeout(() => child.kill('SIGKILL'), longer)
  }
  const [code, signal] = await closed
  assert.equal(signal, 'SIGKILL', `the process ended by itself with ${code}`)
  return said
}

/** What the processes promised so far, and what they may have done. */
class Ledger {
  /** Whether the host may be paused. */
  paused = new Set([false])
  /** @type {Record<string, Set<string>>} */
  kept = { dismiss: new Set(), replay: new Set() }
  /** @type {Record<string, Set<string>>} */
  begun = { dismiss: new Set(), replay: new Set() }

  /** @param {Said[]} said */
  add(said) {
    for (const { word, act, ids } of said) {
      if (word === 'open') continue
      if (act === 'pause' || act === 'resume') {
        if (word === 'kept') this.paused.clear()
        this.paused.add(act === 'pause')
      } else for (const id of ids) this[word][act].add(id)
    }
  }
}

/**
 * @param {Ledger} ledger
 * @param {Engine} engine
 */
async function check(ledger, engine) {
  const isPaused = engine.stats().pauses.length > 0
  assert.ok(ledger.paused.has(isPaused), isPaused ? 'nothing paused it' : 'a pause holds')
  ledger.paused = new Set([isPaused])
  const deliveries = await engine.deliveries({ limit: 1_000_000 })
  const byId = new Map(deliveries.map((delivery) => [delivery.id, delivery]))
  for (const [act, member] of /** @type {const} */ ([
    ['dismiss', 'dismissedAt'],
    ['replay', 'replayedBy'],
  ])) {
    for (const id of ledger.kept[act]) assert.ok(byId.get(id)?.[member], `${act} ${id}`)
    for (const delivery of deliveries)
      if (delivery[member]) assert.ok(ledger.begun[act].has(delivery.id), `not ${act}`)
  }
}

test(`${KILLS} kills of pauses, dismissals and replays`, async (t) => {
  const random = seededRandom(t)
  const letters = await deadLetters(t, CALLS, random)
  const { dataDir } = letters

  letters.failing = 0.5
  const ledger = new Ledger()
  for (let kill = 0; kill < KILLS; kill++) {
    ledger.add(await actAndKill(dataDir, random))
    const engine = await Engine.open({ dataDir, egress: LOCAL, deliver: false })
    await check(ledger, engine)
    await engine.close({ timeoutMs: 0 })
  }
  letters.failing = 0
  const last = await openEngine(t, { dataDir })
  await last.resume({ host: '127.0.0.1' })
  await last.flush(PATIENT)
  await last.replay({ status: 'failed' })
  await last.flush(PATIENT)

  const deliveries = await last.deliveries({ limit: 1_000_000 })
  const originals = deliveries.filter(({ replayOf }) => !replayOf)
  assert.equal(originals.length, CALLS)
  const dismissed = deliveries.filter(({ dismissedAt }) => dismissedAt)
  const delivered = deliveries.filter(({ status }) => status === 'delivered')
  assert.equal(delivered.length + dismissed.length, CALLS, 'each call is delivered or dismissed')
  const [execution] = await last.executions()
  const { failed, total } = execution
  assert.deepEqual([execution.delivered, failed, total], [delivered.length, 0, CALLS])
  assert.equal(execution.dismissed, dismissed.length)
  const again = letters.again()
  assert.ok(again <= KILLS * CONCURRENCY, `${again} were delivered again`)
  t.diagnostic(
    `${delivered.length} delivered, ${dismissed.length} dismissed, ${letters.requests()} requests`,
  )
})
