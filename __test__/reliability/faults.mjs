// Disks that fail at the nth operation, once or from then on: what was promised in spite of it
// survives a loss of power, and what was not is refused with a code.

import assert from 'node:assert/strict'
import { appendFileSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { randomOf } from '../support/random.mjs'
import { CrashDisk, markOf, readTrace } from './crash-disk.mjs'
import { check, receiver } from './crash.mjs'
import { runOnDisk } from './disk.mjs'

const KINDS = ['fsync:EIO', 'write:EIO', 'write:ENOSPC', 'write:short', 'fsync:ENOSPC']
/** Operations that may fail in a run of this many executions. */
const EXECUTIONS = 12
const OPERATIONS = { fsync: 60, write: 260 }

/**
 * Runs `count` processes, each on a disk that fails in its own way. Returns the violations.
 *
 * @param {{ count: number, seed: number }} settings
 */
export async function failDisks({ count, seed }) {
  const random = randomOf(seed)
  const violations = []
  for (let run = 0; run < count; run++) {
    const [operation, error] = KINDS[run % KINDS.length].split(':')
    const most = OPERATIONS[/** @type {'fsync' | 'write'} */ (operation)]
    const times = random() < 0.7 ? 'once' : 'always'
    const fault = `${operation}:${1 + Math.floor(random() * most)}:${error}:${times}`
    try {
      await failOne(fault, random)
    } catch (error) {
      violations.push(`${fault}: ${/** @type {Error} */ (error).message}`)
    }
  }
  return violations
}

/**
 * @param {string} fault
 * @param {() => number} random
 */
async function failOne(fault, random) {
  const parent = mkdtempSync(join(tmpdir(), 'dollar-send-fault-'))
  const paths = ['watched', 'initial', 'lost'].map((name) => join(parent, name))
  for (const path of paths) mkdirSync(path)
  const [watched, initial, lost] = paths
  const trace = join(parent, 'trace')
  const server = await receiver((name) => appendFileSync(trace, markOf(`arrived ${name}`)))
  try {
    const settings = { dataDir: join(watched, 'data'), url: server.url, executions: EXECUTIONS }
    const ended = await runOnDisk('fault-workload.mjs', settings, { watched, trace, fault })
    assert.deepEqual([ended.code, ended.stderr], [0, ''], 'the process ended by itself')
    for (const code of ended.stdout.split('\n').filter(Boolean))
      assert.match(code, /^ERR_SEND_JOURNAL/)
    const disk = new CrashDisk(initial)
    const operations = readTrace(trace)
    for (const operation of operations) disk.follow(operation)
    const marks = operations
      .filter(({ type }) => type === 'mark')
      .map(({ data }) => data.toString())
    disk.loseTo(lost, random() < 0.5 ? () => 0 : random)
    await check('mixed', join(lost, 'data'), marks, server)
    // The process alone ended: what it wrote is there, synced or not.
    await check('mixed', join(watched, 'data'), marks, server)
  } finally {
    server.close()
    rmSync(parent, { recursive: true, force: true })
  }
}
