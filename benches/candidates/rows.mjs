// One round of ours: rows recorded in executions of `callsEach`, until all can be queried. `most`:
// the largest resident set on the way. `perSecond`: no more rows than that.

import { mkdtempSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { event } from '../examples.mjs'
import { metered } from './meter.mjs'

const FLUSH_TIMEOUT_MS = 90_000

const { entry, rows, warmUp, callsEach, perSecond, distinct } = JSON.parse(process.argv[2])
const { Engine } = createRequire(import.meta.url)(entry)

const folder = mkdtempSync(join(tmpdir(), 'dollar-send-bench-'))
const engine = await Engine.open({ sql: { duckdb: { file: join(folder, 'warehouse.duckdb') } } })
const made = Array.from({ length: distinct }, (_, number) => event(number))

async function load(count) {
  const begun = performance.now()
  for (let recorded = 0; recorded < count;) {
    const execution = engine.execution({ workflowId: 'p_bench' })
    const { $send } = execution.step('track')
    for (let calls = 0; calls < callsEach && recorded < count; calls++, recorded++)
      $send.sql({ table: 'events', payload: made[recorded % distinct] })
    await execution.complete()
    const ahead = (recorded / perSecond) * 1000 - (performance.now() - begun)
    if (ahead > 1) await new Promise((resolve) => setTimeout(resolve, ahead))
  }
  await engine.flush({ timeoutMs: FLUSH_TIMEOUT_MS })
}

await load(warmUp)
const cost = await metered(() => load(rows))
const most = process.resourceUsage().maxRSS / 1024
const found = await engine.sql('SELECT count(*) AS n FROM events')
await engine.close({ timeoutMs: 10_000 })
rmSync(folder, { recursive: true, force: true })
if (found.rows[0].n !== rows + warmUp) throw new Error(`not loaded: ${found.rows[0].n}`)
console.log(JSON.stringify({ requests: rows, most, ...cost }))
process.exit(0)
