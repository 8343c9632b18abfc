// Questions to the warehouse: `engine.sql`, `POST /sql` and `dollar-send sql`.

import assert from 'node:assert/strict'
import { existsSync, readdirSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

import { runNode } from '../support/child.mjs'
import { dataDirectory } from '../support/data-dir.mjs'
import { codeOf } from '../support/engine.mjs'
import { client } from '../support/serving.mjs'
import { openWarehouse } from '../support/sql.mjs'

const CLI = fileURLToPath(new URL('../../js/cli/main.mjs', import.meta.url))

/** Each is refused, by DuckDB's parser or by what a query can call. */
const REFUSED = [
  "INSERT INTO t VALUES ('x')",
  'UPDATE t SET a = 1',
  'DELETE FROM t',
  'TRUNCATE t',
  'DROP TABLE t',
  'DROP VIEW t',
  'ALTER TABLE data.t ADD COLUMN b INTEGER',
  'CREATE TABLE u AS SELECT 1',
  'CREATE OR REPLACE VIEW t AS SELECT 1',
  "CREATE SECRET s (TYPE S3, KEY_ID 'k')",
  "COPY t TO '/tmp/stolen.csv'",
  "COPY t FROM '/etc/passwd'",
  "COPY (SELECT 1) TO '/tmp/stolen.csv'",
  "EXPORT DATABASE '/tmp/stolen'",
  "IMPORT DATABASE '/tmp/stolen'",
  "ATTACH '/tmp/other.duckdb' AS other",
  'DETACH warehouse',
  'INSTALL httpfs',
  'LOAD httpfs',
  'PRAGMA database_list',
  "PRAGMA table_info('t')",
  'PRAGMA enable_profiling',
  'SET enable_external_access = true',
  'SET memory_limit = 1',
  'RESET memory_limit',
  'CALL pragma_version()',
  'CALL enable_logging()',
  'CHECKPOINT',
  'FORCE CHECKPOINT',
  'VACUUM',
  'BEGIN',
  'COMMIT',
  'USE data',
  'PREPARE p AS SELECT 1',
  'EXECUTE p',
  'DEALLOCATE p',
  'SELECT 1; SELECT 2',
  'SELECT 1; DROP TABLE data.t',
  'SELECT 1 /* ; */; -- DROP\nDROP TABLE data.t',
  '',
  ' -- nothing\n',
  '/* SELECT */ DROP TABLE data.t',
  `${'/**/ '.repeat(200)}DROP TABLE data.t`,
  `${'/* a */-- b\n'.repeat(200)}EXPLAIN ${'/**/'.repeat(200)}DROP TABLE data.t`,
  'EXPLAIN DROP TABLE data.t',
  "EXPLAIN ANALYZE COPY t TO '/tmp/stolen.csv'",
  'EXPLAIN /* SELECT */ ANALYZE -- SELECT\n DELETE FROM data.t',
  'EXPLAIN (FORMAT JSON) DELETE FROM data.t',
  'EXPLAIN (ANALYZE) DELETE FROM data.t',
  'EXPLAIN (ANALYZE, FORMAT JSON) DELETE FROM data.t',
  "EXPLAIN ANALYZE PRAGMA table_info('t')",
  // A line ends with a carriage return, and comments nest.
  'EXPLAIN --\r SELECT 1; COMMIT; DELETE FROM data.t; SELECT 1 /*\nSELECT 1 -- */',
  'EXPLAIN /* /* */ SELECT 1 -- */ SELECT 1; COMMIT; DROP TABLE data.t',
  'EXPLAIN /* /* */ */ ANALYZE DELETE FROM data.t',
  'SELECT 1 --\r; DROP TABLE data.t',
  'SELECT 1 -- \0; DROP TABLE data.t',
  "SELECT * FROM read_csv('/etc/passwd')",
  "SELECT * FROM READ_CSV_AUTO('/etc/passwd')",
  "SELECT * FROM read_text('/etc/passwd')",
  "SELECT * FROM read_blob('/etc/passwd')",
  "SELECT * FROM read_json('/etc/passwd')",
  "SELECT * FROM read_parquet('/etc/passwd')",
  "SELECT * FROM glob('/etc/*')",
  "SELECT * FROM sniff_csv('/etc/passwd')",
  "SELECT * FROM '/etc/passwd.csv'",
  'SELECT * FROM "/etc/passwd.parquet"',
  "SELECT (SELECT content FROM read_text('/etc/passwd'))",
  "WITH x AS (SELECT * FROM read_text('/etc/passwd')) SELECT * FROM x",
  "WITH x AS MATERIALIZED (SELECT 1) SELECT * FROM x, read_text('/etc/passwd')",
  "SELECT 1 WHERE EXISTS (FROM read_text('/etc/passwd'))",
  "EXPLAIN ANALYZE SELECT * FROM read_text('/etc/passwd')",
  "DESCRIBE SELECT * FROM read_csv('/etc/passwd')",
  "SUMMARIZE SELECT * FROM read_csv('/etc/passwd')",
  "SELECT * FROM query('SELECT 1')",
  "SELECT * FROM query_table('t')",
  'SELECT * FROM enable_logging()',
  "SELECT * FROM enable_profiling(format := 'json')",
  "SELECT * FROM force_checkpoint('warehouse')",
  'SELECT * FROM arrow_scan(1, 2, 3)',
  "SELECT * FROM json_execute_serialized_sql('{}')",
  'SELECT * FROM duckdb_secrets()',
]

test('only what reads the tables is answered', async (t) => {
  const { engine, load, rows } = await openWarehouse(t)
  await load('t', [{ a: 1 }])
  for (const query of REFUSED) {
    const [code, message] = await codeOf(engine.sql(query))
    // reaches ERR_SEND_QUERY_NOT_ALLOWED
    assert.equal(code, 'ERR_SEND_QUERY_NOT_ALLOWED', `${query}: ${message}`)
    assert.match(message, /^query not allowed: /)
  }
  assert.deepEqual(await rows('SELECT * FROM t'), [{ a: 1 }], 'and it did nothing')
  assert.equal(existsSync('/tmp/stolen.csv'), false)

  for (const [query, expected] of /** @type {Array<[string, object[]]>} */ ([
    ['SELECT a + 1 AS b FROM t;', [{ b: 2 }]],
    ['/* why */ with x as (select a from t) select * from x -- so', [{ a: 1 }]],
    ['FROM t', [{ a: 1 }]],
    ['VALUES (1), (2)', [{ col0: 1 }, { col0: 2 }]],
    ['SHOW TABLES', [{ name: 't' }]],
    ["SELECT '; DROP TABLE t' AS s", [{ s: '; DROP TABLE t' }]],
    ['SELECT range FROM range(2)', [{ range: 0 }, { range: 1 }]],
    ['SELECT unnest([1, 2]) AS n', [{ n: 1 }, { n: 2 }]],
    ['SELECT 1 AS a, 2 AS a', [{ a: 1, 'a:1': 2 }]],
    ['SELECT * FROM t WHERE false', []],
  ])) {
    assert.deepEqual(await rows(query), expected, query)
  }
  assert.equal((await rows('DESCRIBE t'))[0].column_type, 'DOUBLE')
  for (const query of [
    'EXPLAIN SELECT 1',
    '-- x\nexplain analyze from t',
    'EXPLAIN (FORMAT JSON) FROM t',
    'EXPLAIN (ANALYZE, FORMAT JSON) FROM t;',
    'explain /* /* nested */ */ analyze --\r select a from t -- ; DROP',
    'EXPLAIN (SELECT 1)',
  ])
    assert.ok((await rows(query))[0].explain_value, query)
})

test('a wrong query says what is wrong, and so do wrong arguments', async (t) => {
  const { engine, load } = await openWarehouse(t)
  await load('t', [{ a: 1 }])
  for (const [query, message] of /** @type {Array<[string, RegExp]>} */ ([
    ['SELEC 1', /syntax error at or near "SELEC"/],
    ['SELECT * FROM nowhere', /nowhere does not exist/],
    ['SELECT b FROM t', /"b" not found/],
    ["SELECT * FROM '/etc/passwd'", /passwd does not exist/],
    ["SELECT CAST('x' AS INTEGER)", /Could not convert string 'x'/],
    ["SELECT error('own')", /own/],
    ["SELECT 'unterminated", /unterminated quoted string/],
    ['SELECT \ud800', /./],
    [`SELECT ${'('.repeat(100_000)}1${')'.repeat(100_000)}`, /./],
  ])) {
    const [code, said] = await codeOf(engine.sql(query))
    // reaches ERR_SEND_QUERY_FAILED
    assert.equal(code, 'ERR_SEND_QUERY_FAILED', `${query.slice(0, 50)}: ${said}`)
    assert.match(said, message)
  }
  for (const [query, options] of /** @type {any[]} */ ([
    [5, undefined],
    ['SELECT 1', { format: 'xml' }],
    ['SELECT 1', { timeout: 5 }],
    ['SELECT 1', { timeoutMs: '5' }],
    ['SELECT 1', { timeoutMs: 0 }],
    ['SELECT 1', { maxBytes: -1 }],
    ['SELECT 1', 5],
  ])) {
    const [code, message] = await codeOf(engine.sql(query, options))
    assert.equal(code, 'ERR_SEND_INVALID_ARGUMENT', message)
    assert.match(message, /engine\.sql\(\)/)
  }
})

test('a query ends at its limits, and the next one is answered', async (t) => {
  const { engine, load, rows, dataDir } = await openWarehouse(t)
  await load('t', [{ a: 1 }])
  const endless =
    'SELECT count(*) FROM range(1000000) a, range(1000000) b WHERE a.range * b.range = 7'
  const many = 'SELECT a.range, b.range FROM range(1000000) a, range(1000000) b'
  for (const query of [endless, many, `${endless} UNION ALL ${endless}`]) {
    const begun = performance.now()
    const [code, message] = await codeOf(engine.sql(query, { timeoutMs: 300 }))
    // reaches ERR_SEND_QUERY_TIMEOUT
    assert.equal(code, 'ERR_SEND_QUERY_TIMEOUT', message)
    assert.ok(performance.now() - begun < 5000)
  }
  for (const format of /** @type {const} */ (['rows', 'csv', 'json'])) {
    const [code] = await codeOf(
      engine.sql(many, { format: /** @type {any} */ (format), maxBytes: 100_000 }),
    )
    // reaches ERR_SEND_QUERY_TOO_LARGE
    assert.equal(code, 'ERR_SEND_QUERY_TOO_LARGE')
  }
  const [code, message] = await codeOf(
    engine.sql("SELECT list(repeat('x', 1000) || range) FROM range(10000000)"),
  )
  assert.deepEqual([code, /Out of Memory/.test(message)], ['ERR_SEND_QUERY_FAILED', true])
  assert.deepEqual(await rows('FROM t'), [{ a: 1 }])
  assert.deepEqual(readdirSync(join(dataDir, 'warehouse', 'results')), [], 'nothing is left behind')

  const slow = [endless, endless, endless].map((query) => codeOf(engine.sql(query)))
  await Promise.resolve()
  await engine.close()
  for (const [refused] of await Promise.all(slow)) {
    // Either had begun, or had not.
    assert.ok(['ERR_SEND_QUERY_FAILED', 'ERR_SEND_CLOSED'].includes(refused), refused)
  }
  assert.equal((await codeOf(engine.sql('SELECT 1')))[0], 'ERR_SEND_CLOSED')
})

test('results are rows, JSON or CSV, of every type', async (t) => {
  const { engine } = await openWarehouse(t)
  const query = `SELECT 1.5::DOUBLE AS d, 7::BIGINT AS small, 9007199254740993::BIGINT AS big,
    DATE '2021-01-02' AS day, TIMESTAMP '2021-01-02 03:04:05' AS time, 12.50::DECIMAL(9,2) AS money,
    {'k': [1, NULL]} AS s, NULL AS none, '' AS empty, 'a "b", c' AS q, E'x\\ny' AS lines, true AS yes`
  const { columns, rows } = await engine.sql(query)
  assert.deepEqual(columns.slice(0, 3), [
    { name: 'd', type: 'DOUBLE' },
    { name: 'small', type: 'BIGINT' },
    { name: 'big', type: 'BIGINT' },
  ])
  const expected = {
    d: 1.5,
    small: 7,
    big: '9007199254740993',
    day: '2021-01-02',
    time: '2021-01-02 03:04:05',
    money: '12.50',
    s: { k: [1, null] },
    none: null,
    empty: '',
    q: 'a "b", c',
    lines: 'x\ny',
    yes: true,
  }
  assert.deepEqual(rows, [expected])
  assert.deepEqual(JSON.parse(await engine.sql(query, { format: 'json' })), [expected])
  assert.equal(
    await engine.sql(query, { format: 'csv' }),
    'd,small,big,day,time,money,s,none,empty,q,lines,yes\n' +
      '1.5,7,9007199254740993,2021-01-02,2021-01-02 03:04:05,12.50,"{""k"":[1,null]}",,"","a ""b"", c","x\ny",true\n',
  )
  const many = await engine.sql('SELECT range AS n FROM range(100000)')
  assert.equal(many.rows.length, 100_000)
  assert.deepEqual(many.rows.at(-1), { n: 99_999 })
  assert.deepEqual((await engine.sql('SELECT 1 AS a WHERE false')).rows, [])
})

test('POST /sql answers in the form of Pipedream, and the file has all rows', async (t) => {
  const { engine, load, dataDir } = await openWarehouse(t, { server: { port: 0 } })
  const { ask, post } = client(/** @type {any} */ (engine.address()).url)
  await load('t', [
    { id: 1, name: 'Luke' },
    { id: 2, name: null },
  ])
  const { status, body } = await post('/sql', { query: 'SELECT * FROM t ORDER BY id' })
  assert.equal(status, 200)
  assert.match(body.queryExecutionId, /^[0-9a-f-]{36}$/)
  assert.deepEqual(
    body.resultSet.ResultSetMetadata.ColumnInfo.map((/** @type {any} */ { Name, Type }) => [
      Name,
      Type,
    ]),
    [
      ['id', 'double'],
      ['name', 'varchar'],
    ],
  )
  assert.deepEqual(body.resultSet.Rows, [
    { Data: [{ VarCharValue: 'id' }, { VarCharValue: 'name' }] },
    { Data: [{ VarCharValue: '1' }, { VarCharValue: 'Luke' }] },
    { Data: [{ VarCharValue: '2' }, {}] },
  ])
  const file = await ask(`/sql/csv/${body.resultsFilename}`)
  assert.deepEqual([file.status, file.text], [200, 'id,name\n1,Luke\n2,\n'])
  assert.equal(file.headers.get('content-type'), 'text/csv; charset=utf-8')
  const part = await ask(`/sql/csv/${body.resultsFilename}`, { headers: { range: 'bytes=0-6' } })
  assert.deepEqual([part.status, part.text], [206, 'id,name'])

  const large = await post('/sql', { query: 'SELECT range FROM range(5000)' })
  assert.equal(large.body.resultSet.Rows.length, 1001)
  const all = await ask(`/sql/csv/${large.body.resultsFilename}`)
  assert.equal(all.text.split('\n').length, 5002)

  const refused = await post('/sql', { query: 'DROP TABLE t' })
  assert.equal(refused.status, 200)
  assert.match(refused.body.error.toDisplay, /^query not allowed/)
  assert.equal(refused.body.error.code, 'ERR_SEND_QUERY_NOT_ALLOWED')
  assert.equal(refused.body.resultSet, undefined)
  assert.equal((await post('/sql', {})).status, 400)

  writeFileSync(join(dataDir, 'warehouse', 'results', 'secret.csv'), 'x')
  for (const name of ['secret.csv', '..%2fwarehouse.duckdb', '%2e%2e', `${'0'.repeat(36)}.csv`]) {
    assert.equal((await ask(`/sql/csv/${name}`)).status, 404, name)
  }
})

test('an engine without a warehouse says so by REST', async (t) => {
  const { serve } = await import('../support/serving.mjs')
  const { post } = await serve(t)
  const { status, body } = await post('/sql', { query: 'SELECT 1' })
  assert.deepEqual([status, body.error.code], [501, 'ERR_SEND_NOT_CONFIGURED'])
})

test('rows that arrived long ago are deleted, and results of yesterday', async (t) => {
  const { engine, load, dataDir } = await openWarehouse(t)
  await load('t', [{ a: 'old' }, { a: 'new' }])
  await load('other', [{ b: 1 }])
  await engine.close()
  const folder = join(dataDir, 'warehouse')
  const { DuckDBInstance } = createRequire(import.meta.url)('@duckdb/node-api')
  const instance = await DuckDBInstance.create(join(folder, 'warehouse.duckdb'))
  const connection = await instance.connect()
  await connection.run(
    "UPDATE data.t SET _arrived_at = _arrived_at - INTERVAL 31 DAY WHERE a = 'old'",
  )
  await connection.run('UPDATE data.other SET _arrived_at = _arrived_at - INTERVAL 29 DAY')
  connection.disconnectSync()
  instance.closeSync()

  const kept = await openWarehouse(t, { dataDir, sql: { retentionDays: 0 } })
  assert.equal((await kept.rows('FROM t')).length, 2)
  await kept.engine.close()
  const { rows } = await openWarehouse(t, { dataDir })
  assert.deepEqual(await rows('FROM t'), [{ a: 'new' }])
  assert.deepEqual(await rows('FROM other'), [{ b: 1 }])
})

/** @param {string[]} args */
const cli = (args) => runNode([CLI, 'sql', ...args])

test('dollar-send sql prints a table, or CSV, of a directory or a server', async (t) => {
  const dataDir = dataDirectory(t)
  const { engine, load } = await openWarehouse(t, { dataDir, server: { port: 0 } })
  const { url } = /** @type {any} */ (engine.address())
  await load('t', [
    { id: 1, name: 'Luke\n\u001b[31m' },
    { id: 22, name: null },
  ])
  const table = 'id  name\n--  --------------\n 1  Luke\\n\\x1b[31m\n22  NULL\n\n2 rows\n'
  const query = 'SELECT * FROM t ORDER BY id'
  const asked = await cli([query, '--url', url])
  assert.deepEqual([asked.stdout, asked.stderr, asked.code], [table, '', 0])
  const csv = await cli(['SELECT id FROM t ORDER BY id', '--url', url, '--csv'])
  assert.deepEqual([csv.stdout, csv.code], ['id\n1\n22\n', 0])
  const refused = await cli(['DROP TABLE t', '--url', url])
  assert.equal(refused.code, 3)
  assert.match(refused.stderr, /^query not allowed/)
  const busy = await cli([query, '--data-dir', dataDir])
  assert.equal(busy.code, 3)
  assert.match(busy.stderr, /another process has the warehouse open[^]*--url/)
  await engine.close()

  const own = await cli([query, '--data-dir', dataDir])
  assert.deepEqual([own.stdout, own.stderr, own.code], [table, '', 0])
  const all = await cli(['SELECT range FROM range(3000)', '--data-dir', dataDir, '--csv'])
  assert.equal(all.stdout.split('\n').length, 3002)
  const cut = await cli(['SELECT range FROM range(3000)', '--data-dir', dataDir])
  assert.match(cut.stdout, /The first 1000 of 3000 rows; --csv prints all\n$/)
  const late = await cli([
    'SELECT count(*) FROM range(1000000) a, range(1000000) b WHERE a.range * b.range = 7',
    '--data-dir',
    dataDir,
    '--timeout',
    '200',
  ])
  assert.equal(late.code, 3)
  assert.match(late.stderr, /took longer than 200 ms/)
  const gone = await cli([query, '--url', url])
  assert.equal(gone.code, 3)
  assert.match(gone.stderr, /cannot be reached/)
  for (const [args, message] of /** @type {Array<[string[], RegExp]>} */ ([
    [[], /needs one query/],
    [['SELECT 1'], /no warehouse in .*\.dollar-send yet/],
    [['SELECT 1', '--url', url, '--data-dir', dataDir], /either --data-dir or --url/],
    [['SELECT 1', '--data-dir', join(dataDir, 'none')], /no warehouse/],
    [['SELECT 1', '--url', 'ftp://x'], /http/],
    [['SELECT 1', '--url', url, '--timeout', '5'], /--timeout has no meaning/],
  ])) {
    const bad = await cli(args)
    assert.equal(bad.code, 2)
    assert.match(bad.stderr, message)
  }
})

test('a process that ends while the warehouse works ends as it would without it', async (t) => {
  const dataDir = dataDirectory(t)
  const code = `
    const { Engine } = await import(${JSON.stringify(new URL('../../js/index.mjs', import.meta.url).href)})
    const engine = await Engine.open({ dataDir: ${JSON.stringify(dataDir)} })
    await engine.sql('SELECT 1')
    engine.sql('SELECT count(*) FROM range(1000000) a, range(1000000) b WHERE a.range * b.range = 7').catch(() => {})
    const { $send } = engine.execution({ workflowId: 'p' }).step('s')
    setTimeout(() => process.exit(7), 100)`
  const { code: status, signal, stderr } = await runNode(['--input-type=module', '--eval', code])
  assert.deepEqual([status, signal, stderr], [7, null, ''])
})
