// Warehouses that close while they work, and engines that want the same file.

import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'

import { dataDirectory } from '../support/data-dir.mjs'
import { nextEvent, openEngine } from '../support/engine.mjs'
import { PATIENT } from '../support/patience.mjs'
import { openWarehouse } from '../support/sql.mjs'

test('two engines of a process take turns at one file, and lose nothing', async (t) => {
  const file = join(dataDirectory(t), 'shared.duckdb')
  const sql = { duckdb: { file } }
  const [one, two] = [await openEngine(t, { sql }), await openEngine(t, { sql })]
  const add = async (
    /** @type {import('../../index.d.ts').Engine} */ engine,
    /** @type {number} */ n,
  ) => {
    const execution = engine.execution({ workflowId: 'p_test' })
    execution.step('s').$send.sql({ table: 't', payload: { n } })
    await execution.complete()
  }
  await add(one, 1)
  await one.flush(PATIENT)
  const delayed = nextEvent(two, 'warning', ({ code }) => code === 'BATCH_DELAYED')
  await add(two, 2)
  const flushed = two.flush(PATIENT)
  assert.match((await delayed).message, /another engine of this process has the warehouse open/)
  await add(one, 3)
  await one.flush(PATIENT)
  await one.close()
  await flushed
  assert.deepEqual(
    (await two.sql('FROM t ORDER BY n')).rows,
    [{ n: 1 }, { n: 3 }, { n: 2 }].sort((a, b) => a.n - b.n),
  )
})

test('an engine closes whatever its warehouse does, and what it left is loaded once', async (t) => {
  const dataDir = dataDirectory(t)
  const first = await openEngine(t, { dataDir })
  const execution = first.execution({ workflowId: 'p_test' })
  const { $send } = execution.step('s')
  for (let n = 0; n < 50_000; n++) $send.sql({ table: 't', payload: { n, text: 'x'.repeat(50) } })
  await execution.complete()
  await first.sql('SELECT 1')
  const sealed = nextEvent(first, 'batch', ({ status }) => status === 'sealed')
  const flushed = first.flush().catch(() => {})
  await sealed
  await first.close({ timeoutMs: 0 })
  await flushed

  // Another engine has the file, so this one never comes to open it.
  const file = join(dataDir, 'warehouse', 'warehouse.duckdb')
  const holder = await openEngine(t, { sql: { duckdb: { file } } })
  await holder.sql('SELECT 1')
  const second = await openEngine(t, { dataDir })
  const delayed = nextEvent(second, 'warning', ({ code }) => code === 'BATCH_DELAYED')
  const last = second.execution({ workflowId: 'p_test' })
  last.step('s').$send.sql({ table: 't', payload: { n: 50_000 } })
  await last.complete()
  second.flush().catch(() => {})
  await delayed
  await second.close({ timeoutMs: 0 })
  await holder.close()

  const third = await openWarehouse(t, { dataDir })
  await third.engine.flush(PATIENT)
  assert.deepEqual(await third.rows('SELECT count(*) AS n, count(DISTINCT n) AS m FROM t'), [
    { n: 50_001, m: 50_001 },
  ])
})

test('a thread that closes its handle leaves the warehouse to the next one', async (t) => {
  const dataDir = dataDirectory(t)
  const one = await openWarehouse(t, { dataDir })
  const two = await openWarehouse(t, { dataDir })
  await one.load('t', [{ n: 1 }])
  await one.engine.close()
  await two.load('t', [{ n: 2 }])
  assert.deepEqual(await two.rows('FROM t ORDER BY n'), [{ n: 1 }, { n: 2 }])
})
