// Queries and rows that end, fill or hang DuckDB: each costs its process, and nothing else.

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { test } from 'node:test'

import { startChild } from '../support/child.mjs'
import { dataDirectory } from '../support/data-dir.mjs'
import { randomOf } from '../support/random.mjs'
import { openWarehouse } from '../support/sql.mjs'

const NESTED = "repeat('[', 200000) || repeat(']', 200000)"

test('a query that ends the process fails alone', async (t) => {
  const { engine, load, rows } = await openWarehouse(t)
  await load('orders', [{ a: 1 }])
  for (let round = 0; round < 3; round++) {
    await assert.rejects(engine.sql(`SELECT json_structure(${NESTED})`), {
      code: 'ERR_SEND_QUERY_FAILED',
      message: /process/,
    })
    assert.deepEqual(await rows('SELECT a FROM orders'), [{ a: 1 }])
  }
  const [{ status }] = await load('orders', [{ a: 2 }])
  assert.equal(status, 'delivered')
})

test('a query that fills the memory is ended, and the runner has not more', async (t) => {
  const sql = { duckdb: { memoryBytes: 128 << 20 } }
  const { engine, load, rows } = await openWarehouse(t, { sql })
  await load('orders', [{ a: 1 }])
  const before = process.memoryUsage().rss
  await assert.rejects(engine.sql("SELECT repeat('x', 4000000000)::VARCHAR"), {
    code: 'ERR_SEND_QUERY_FAILED',
    message: /memory/i,
  })
  assert.ok(process.memoryUsage().rss - before < 100e6)
  assert.deepEqual(await rows('SELECT a FROM orders'), [{ a: 1 }])
})

test('a query that hears no interrupt is ended at its limit, and close() does not wait', async (t) => {
  const { engine, load, rows } = await openWarehouse(t)
  await load('orders', [{ a: 1 }])
  const endless = "SELECT levenshtein(repeat('a', 200000), repeat('b', 200000))"
  await assert.rejects(engine.sql(endless, { timeoutMs: 500 }), {
    code: 'ERR_SEND_QUERY_TIMEOUT',
  })
  assert.deepEqual(await rows('SELECT a FROM orders'), [{ a: 1 }])
  const running = assert.rejects(engine.sql(endless), ({ code }) => /^ERR_SEND_/.test(code))
  await rows('SELECT a FROM orders')
  await engine.close({ timeoutMs: 1000 })
  await running
})

test('a row of 80,000 brackets is loaded, or fails alone', async (t) => {
  const { load, rows } = await openWarehouse(t)
  await load('orders', [{ a: 1 }])
  const text = '['.repeat(80_000) + ']'.repeat(80_000)
  const [{ status }] = await load('other', [{ text }])
  assert.ok(['delivered', 'failed'].includes(status), status)
  await load('orders', [{ a: 2 }])
  assert.deepEqual(await rows('SELECT count(*)::INTEGER AS n FROM orders'), [{ n: 2 }])
})

test('the processes of DuckDB end with a runner that is killed', async (t) => {
  if (process.platform !== 'linux') return t.skip('processes are looked for in /proc')
  const dataDir = dataDirectory(t)
  const code = `
    const execution = engine.execution({ workflowId: 'p' })
    execution.step('s').$send.sql({ table: 't', payload: { a: 1 } })
    await execution.complete()
    await engine.flush()
    await engine.sql('SELECT * FROM t')
    console.log('loaded')
    setInterval(() => {}, 2 ** 30)`
  const child = startChild('', code, { dataDir })
  await child.line('loaded')
  assert.ok(processesOf(dataDir).length > 0)
  await child.kill()
  // They notice that the pipe to the runner is closed.
  while (processesOf(dataDir).length > 0) await new Promise(setImmediate)
})

/** The processes whose command names a directory, but for the one that asks. */
function processesOf(directory) {
  const all = execFileSync('ps', ['-eo', 'pid,args', '-ww'], { encoding: 'utf8' }).split('\n')
  return all.filter((line) => line.includes(directory) && line.includes('process/main.cjs'))
}

/** What a query must never do. */
const FORBIDDEN = [
  'DELETE FROM data.orders',
  'DROP TABLE data.orders',
  'UPDATE data.orders SET a = 2',
  'INSERT INTO data.orders VALUES (2)',
  'CREATE TABLE x AS SELECT 1',
  "SET memory_limit = '10GB'",
  'RESET memory_limit',
  'PRAGMA database_size',
  "ATTACH 'x.db'",
  "COPY (SELECT 1) TO 'pwn.csv'",
  'INSTALL httpfs',
  'LOAD httpfs',
  'CALL pragma_version()',
  'CHECKPOINT',
  'BEGIN TRANSACTION',
  'COMMIT',
  "EXPORT DATABASE 'pwn'",
  'EXPLAIN ANALYZE DELETE FROM data.orders',
  'PREPARE p AS SELECT 1',
  'ALTER TABLE data.orders ADD COLUMN b INTEGER',
]
/** Text around a statement that another reader of SQL may take for something else. */
const BEFORE = [
  '',
  ' ',
  '--\r',
  '--\n',
  '/* x */',
  '/* /* */',
  'SELECT 1;',
  'EXPLAIN --\r',
  "SELECT ';';",
  ';',
  '\ufeff',
  '\u00a0',
  'EXPLAIN ',
  'WITH x AS (SELECT 1) ',
  '$$;$$;',
  'SELECT 1 --\r;',
]
const AFTER = [
  '',
  ';',
  ' -- x',
  '; SELECT 1',
  '/*\nSELECT 1 -- */',
  '; --\r',
  " ; SELECT ';'",
  '\0',
  '; COMMIT; SELECT 1',
]

/** Tricks that are tried; the long form tries 100,000. */
const TRICKS = Number(process.env.DOLLAR_SEND_TRICKS ?? 600)

test(`${TRICKS} tricks around statements that are not allowed change nothing`, async (t) => {
  const { engine, load, rows } = await openWarehouse(t)
  await load('orders', [{ a: 1 }])
  const seed = Number(process.env.TRICKS_SEED ?? Math.floor(Math.random() * 2 ** 32))
  t.diagnostic(`TRICKS_SEED=${seed}`)
  const random = randomOf(seed)
  const one = (/** @type {string[]} */ from) => from[Math.floor(random() * from.length)]
  const answered = []
  for (let n = 0; n < TRICKS; n++) {
    const query = one(BEFORE) + one(BEFORE) + one(FORBIDDEN) + one(AFTER)
    const outcome = await engine.sql(query).then(
      (result) => JSON.stringify(result),
      (error) => error.code,
    )
    if (!['ERR_SEND_QUERY_NOT_ALLOWED', 'ERR_SEND_QUERY_FAILED'].includes(outcome)) {
      answered.push([query, outcome])
    }
  }
  // A forbidden statement may stand in a comment, or be explained without being run.
  const ran = answered.filter(([, outcome]) => !outcome.includes('columns'))
  assert.deepEqual(ran, [])
  assert.deepEqual(await rows('SELECT a FROM orders'), [{ a: 1 }])
  assert.deepEqual(await rows('SHOW TABLES'), [{ name: 'orders' }])
})
