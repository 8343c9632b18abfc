// A process that loads batches is killed at random moments, again and again, over one data directory:
// every row that was promised is in its table exactly once.

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

import { dataDirectory } from '../support/data-dir.mjs'
import { PATIENT } from '../support/patience.mjs'
import { assertOnce, killWhileLoading, LONG_LOG } from '../support/sql-kills.mjs'
import { openWarehouse } from '../support/sql.mjs'

/** Rounds over one directory, and directories. */
const KILLS = 50
const DIRECTORIES = 2
/** DuckDB needs some to open, and then loads. */
const LIFE_MS = 300

for (let directory = 1; directory <= DIRECTORIES; directory++) {
  test(
    `${KILLS} kills, ${directory} of ${DIRECTORIES}: every promised row is in its table once`,
    killed,
  )
}

test('what a killed process had converted is read by the next', async (t) => {
  const dataDir = dataDirectory(t)
  const path = fileURLToPath(new URL('../support/sql-widened.mjs', import.meta.url))
  const { signal } = spawnSync(process.execPath, [path, JSON.stringify({ dataDir })], {
    stdio: 'inherit',
  })
  assert.equal(signal, 'SIGKILL')
  const { rows } = await openWarehouse(t, { dataDir })
  assert.deepEqual(await rows('SELECT text, list, object, json FROM widened ORDER BY text, c0'), [
    { text: '1.5', list: ['1'], object: { a: '1', b: null }, json: '{"a":[1]}' },
    { text: 'x', list: ['x'], object: { a: 'x', b: 1 }, json: 'x' },
    { text: null, list: null, object: null, json: null },
  ])
})

/** @param {import('node:test').TestContext} t */
async function killed(t) {
  const { dataDir, promised } = await killWhileLoading(t, { kills: KILLS, milliseconds: LIFE_MS })
  const { engine, rows } = await openWarehouse(t, { dataDir, log: LONG_LOG })
  await engine.flush(PATIENT)
  const found = await rows(
    'SELECT id, call, count(*) AS times FROM (SELECT id, call FROM a UNION ALL SELECT id, call FROM b) GROUP BY ALL',
  )
  assertOnce(promised, found)
  const [{ batches }] = await rows('SELECT count(*) AS batches FROM dollar_send.batches')
  assert.ok(batches > KILLS / 2, `${batches} batches were loaded`)
  const failed = await engine.deliveries({ status: 'failed' })
  assert.deepEqual(failed, [])
  t.diagnostic(`${promised.size} executions, ${found.length} rows, ${batches} batches`)
}
