// Damaged files: a directory with flipped bits or missing tails opens with what it says, or is refused
// with a code.

import assert from 'node:assert/strict'
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { Engine } from '../../js/index.mjs'
import { randomOf } from '../support/random.mjs'
import { optionsOf } from './crash-workload.mjs'
import { receiver } from './crash.mjs'

const FILES = ['journal.sqlite', 'journal.sqlite', 'journal.sqlite-wal', 'journal.key', 'lock']

/**
 * Damages `count` copies of a directory. Returns the violations, and how many copies were refused.
 *
 * @param {{ count: number, seed: number }} settings
 */
export async function damageFiles({ count, seed }) {
  const random = randomOf(seed)
  const parent = mkdtempSync(join(tmpdir(), 'dollar-send-damage-'))
  const server = await receiver(() => {})
  const violations = []
  let refused = 0
  try {
    const whole = await makeDirectories(parent, server.url)
    for (let run = 0; run < count; run++) {
      const copy = join(parent, `${run}`)
      const name = FILES[run % FILES.length]
      const isClosed = name === 'journal.sqlite'
      cpSync(isClosed ? whole.closed : whole.killed, copy, { recursive: true })
      const damage = damageOne(copy, name, random)
      try {
        const damaged = { folder: copy, texts: whole.texts, isClosed }
        if (await opens(damaged, server)) refused++
      } catch (error) {
        violations.push(`${damage}: ${/** @type {Error} */ (error).message}`)
      }
      rmSync(copy, { recursive: true })
    }
  } finally {
    server.close()
    rmSync(parent, { recursive: true, force: true })
  }
  return { violations, refused }
}

/**
 * A directory as a killed process leaves it, with its write-ahead log, and as a closed engine does.
 *
 * @param {string} parent
 * @param {string} url
 */
async function makeDirectories(parent, url) {
  const [closed, killed] = [join(parent, 'closed'), join(parent, 'killed')]
  const engine = await Engine.open(optionsOf('mixed', closed))
  const texts = new Set()
  for (let n = 0; n < 40; n++) {
    const execution = engine.execution({ workflowId: 'p', executionId: `${n}` })
    const { $send } = execution.step('step')
    $send.http({ method: 'POST', url: `${url}/hook`, data: { id: `${n}`, call: 0 } })
    texts.add(`${n}/0`)
    await execution.complete()
  }
  cpSync(closed, killed, { recursive: true })
  await engine.close({ timeoutMs: 5_000 })
  return { closed, killed, texts }
}

/**
 * @param {string} folder
 * @param {string} name
 * @param {() => number} random
 */
function damageOne(folder, name, random) {
  const path = join(folder, name)
  if (!existsSync(path)) return `${name} is not there`
  const bytes = readFileSync(path)
  const at = Math.floor(random() * bytes.length)
  if (random() < 0.3) {
    writeFileSync(path, bytes.subarray(0, at))
    return `${name} ends at ${at}`
  }
  const bit = Math.floor(random() * 8)
  if (bytes.length > 0) bytes[at] ^= 1 << bit
  writeFileSync(path, bytes)
  return `${name}: bit ${bit} of byte ${at}`
}

/**
 * Opens a damaged directory. Returns `true` if it was refused with a code; fails if something
 * arrives or is in the log that was never sent, or if a call is missing without a word. Damage to a
 * write-ahead log ends it there, as SQLite cannot tell it from a write that was torn.
 *
 * @param {{ folder: string, texts: Set<string>, isClosed: boolean }} damaged
 * @param {Awaited<ReturnType<typeof receiver>>} server
 */
async function opens({ folder, texts, isClosed }, server) {
  server.arrived.clear()
  let engine
  try {
    engine = await Engine.open(optionsOf('mixed', folder))
  } catch (error) {
    assert.match(/** @type {any} */ (error).code, /^ERR_SEND_JOURNAL/)
    return true
  }
  let reported = false
  engine.on('warning', () => (reported = true))
  try {
    await engine.flush({ timeoutMs: 1_000 }).catch(() => (reported = true))
    const deliveries = await engine.deliveries({ limit: 1_000 }).catch((error) => {
      assert.match(error.code, /^ERR_SEND_JOURNAL/)
      reported = true
      return []
    })
    for (const name of server.arrived) assert.ok(texts.has(name), `${name} was never sent`)
    for (const { executionId } of deliveries)
      assert.ok(texts.has(`${executionId}/0`) || reported, `${executionId} is in the log`)
    if (isClosed && !reported) assert.equal(deliveries.length, texts.size, 'calls are missing')
    return reported
  } finally {
    await engine.close({ timeoutMs: 0 })
  }
}
