// `$send.sql` into ClickHouse.

import assert from 'node:assert/strict'
import { connect, createServer } from 'node:net'
import { after, before, test } from 'node:test'

import { Engine } from '../../js/index.mjs'
import { listen } from '../support/servers/listen.mjs'
import { clickhouseServer } from '../support/clickhouse.mjs'
import { codeOf } from '../support/engine.mjs'
import { openLoader } from '../support/loader.mjs'
import { PATIENT } from '../support/patience.mjs'
import { assertOnce, killWhileLoading, LONG_LOG } from '../support/sql-kills.mjs'

/** One server for all tests, each of which has its own tables. */
let server
const ends = []
before(async () => {
  server = await clickhouseServer({ after: (end) => ends.push(end) })
})
after(() => Promise.all(ends.map((end) => end())))

const into = (/** @type {string} */ url) => ({ clickhouse: { url } })

/** The types of a table's columns. @param {string} table */
async function types(table) {
  const columns = await server.rows(
    `SELECT name, type FROM system.columns WHERE database = 'events' AND table = '${table}' ORDER BY position`,
  )
  return Object.fromEntries(columns.map(({ name, type }) => [name, type]))
}

const ARRIVED = { _arrived_at: "DateTime64(3, 'UTC')" }

test("the documents' own example", async (t) => {
  const { load } = await openLoader(t, into(server.url))
  await load('my_test_table', [
    { event_type: 'page_view', ts: 1, username: 'luke' },
    { event_type: 'page_view', ts: 2.5, username: 'leia' },
  ])
  const before = { event_type: 'Nullable(String)', username: 'Nullable(String)', ...ARRIVED }
  assert.deepEqual(await types('my_test_table'), { ...before, ts: 'Nullable(Float64)' })
  const [delivery] = await load('my_test_table', [
    { event_type: 'click', ts: 'now', username: 'x' },
  ])
  assert.deepEqual(await types('my_test_table'), { ...before, ts: 'Nullable(String)' })
  assert.deepEqual(await server.rows('SELECT ts, username FROM events.my_test_table ORDER BY ts'), [
    { ts: '1', username: 'luke' },
    { ts: '2.5', username: 'leia' },
    { ts: 'now', username: 'x' },
  ])
  assert.equal(delivery.status, 'delivered')
  const { warehouse, table, batchId, line } = delivery.response
  assert.deepEqual([warehouse, table, line], ['clickhouse', 'my_test_table', 1])
  assert.match(batchId, /^my_test_table\//)
})

test('values have the types of their columns, and nested ones are JSON texts', async (t) => {
  const { load } = await openLoader(t, into(server.url))
  const row = {
    yes: true,
    day: '2024-02-29',
    past: '0800-12-25',
    at: '2021-03-04 05:06:07.891',
    number: 0.30000000000000004,
    list: [1, 'x', null],
    object: { a: { b: [1.5] }, 'odd key': '\u0000' },
    empty: {},
    nothing: null,
    text: 'tab\t line\n back\\slash \\N "quoted" \' ` \u0000 😀',
    lone: '\ud800',
    'dotted.key': 1,
  }
  await load('types', [row, {}, { yes: null }])
  assert.deepEqual(await types('types'), {
    yes: 'Nullable(Bool)',
    day: 'Nullable(Date32)',
    past: 'Nullable(String)',
    at: "Nullable(DateTime64(6, 'UTC'))",
    number: 'Nullable(Float64)',
    ...Object.fromEntries(
      ['list', 'object', 'empty', 'nothing', 'text', 'lone'].map((key) => [
        key,
        'Nullable(String)',
      ]),
    ),
    dotted_key: 'Nullable(Float64)',
    ...ARRIVED,
  })
  const [found] = await server.rows('SELECT * FROM events.types WHERE yes')
  const { 'dotted.key': dotted, ...same } = row
  assert.deepEqual(found, {
    ...same,
    dotted_key: dotted,
    at: '2021-03-04 05:06:07.891000',
    list: JSON.stringify(row.list),
    object: JSON.stringify(row.object),
    empty: '{}',
    lone: '\ufffd',
    _arrived_at: found._arrived_at,
  })
  assert.ok(Math.abs(Date.parse(`${found._arrived_at}Z`) - Date.now()) < 60_000)
  const [{ n }] = await server.rows('SELECT count() AS n FROM events.types WHERE yes IS NULL')
  assert.equal(Number(n), 2)
})

test('everything becomes a text, and what was null becomes anything', async (t) => {
  const { load } = await openLoader(t, into(server.url))
  await load('widened', [{ b: true, d: '2021-01-02', o: { a: 1 }, l: [1], n: null, m: 5 }])
  await load('widened', [{ b: 1, d: 'x', o: 'x', l: { a: 1 }, n: 7, m: [1] }])
  await load('widened', [{ d: '2021-01-02', more: 'x' }])
  const found = await server.rows(
    'SELECT b, d, o, l, n, m FROM events.widened ORDER BY _arrived_at',
  )
  const none = { b: null, o: null, l: null, n: null, m: null }
  assert.deepEqual(found, [
    { b: 'true', d: '2021-01-02', o: '{"a":1}', l: '[1]', n: null, m: '5' },
    { b: '1', d: 'x', o: 'x', l: '{"a":1}', n: 7, m: '[1]' },
    { ...none, d: '2021-01-02' },
  ])
})

test('numbers become the texts that JavaScript writes', async (t) => {
  const { load } = await openLoader(t, into(server.url))
  const numbers = [
    0, -1, 0.1, 100, 123456789012345680000, 1e21, -1.5e22, 1.7976931348623157e308, 1e-5, 1e-6, 1e-7,
    5e-324, 9007199254740991, 1234567890123456800,
  ] // prettier-ignore
  const rows = numbers.map((n, place) => ({ place, n }))
  const text = [{ place: -1, n: 'text' }]
  for (const [table, batches] of /** @type {Array<[string, any[][]]>} */ ([
    ['numbers_later', [rows, text]],
    ['numbers_together', [[...rows, ...text]]],
  ])) {
    for (const batch of batches) await load(table, batch)
    const query = `SELECT n FROM events.${table} WHERE place >= 0 ORDER BY place`
    assert.deepEqual(
      (await server.rows(query)).map(({ n }) => n),
      numbers.map(String),
    )
  }
})

test('a row that a constraint refuses fails alone', async (t) => {
  const { load } = await openLoader(t, into(server.url))
  await load('guarded', [{ a: 0 }])
  await server.ask('ALTER TABLE events.guarded ADD CONSTRAINT no_sevens CHECK a != 7')
  const rows = Array.from({ length: 20 }, (_, a) => ({ a: a + 1 }))
  const log = await load('guarded', rows)
  const failed = log.flatMap(({ status }, place) => (status === 'failed' ? [place] : []))
  assert.deepEqual(failed, [6], log[0].error?.message)
  assert.equal(log[6].error?.code, 'ERR_SEND_REFUSED')
  assert.match(log[6].error?.message ?? '', /ClickHouse refused the row: .*no_sevens/)
  const [{ n }] = await server.rows('SELECT toString(count()) AS n FROM events.guarded')
  assert.equal(n, '20')
})

test('engines that load into one table at once agree on it', async (t) => {
  const engines = await Promise.all([1, 2, 3].map(() => openLoader(t, into(server.url))))
  const values = [1, 'text', { a: 1 }, [1], true]
  await Promise.all(
    engines.map(async ({ load }, engine) => {
      for (const [n, value] of values.entries()) {
        await load('shared', [{ engine, n, value, [`only${engine}`]: n }])
      }
    }),
  )
  const rows = await server.rows('SELECT DISTINCT engine, n FROM events.shared')
  assert.equal(rows.length, engines.length * values.length)
  const stored = await server.rows('SELECT DISTINCT value FROM events.shared')
  const texts = values.map((value) => (typeof value === 'string' ? value : JSON.stringify(value)))
  assert.deepEqual(new Set(stored.map(({ value }) => value)), new Set(texts))
})

test('what ClickHouse refuses for good fails with its own words', async (t) => {
  await server.ask('CREATE TABLE events.theirs (a Int32) ENGINE = MergeTree ORDER BY a')
  const { url } = server
  for (const [url_, table, code, message] of [
    [
      url.replace(':secret', ':wrong'),
      't',
      'ERR_SEND_REFUSED',
      /403: Code: 516.*User and password/,
    ],
    [`${url}x`, 't', 'ERR_SEND_REFUSED', /Code: 81.*Create the database first/],
    [url, 'theirs', 'ERR_SEND_REFUSED', /was not made by \$send\.sql, and it stays as it is/],
  ]) {
    const { load } = await openLoader(t, into(url_))
    const [{ status, error }] = await load(table, [{ a: 2 }])
    assert.deepEqual([status, error?.code], ['failed', code], error?.message)
    assert.match(error?.message ?? '', message)
    assert.doesNotMatch(error?.message ?? '', /secret|wrong/)
  }
  const { load } = await openLoader(t, into(url), { egress: {} })
  const [{ error }] = await load('t', [{ a: 1 }])
  assert.equal(error?.code, 'ERR_SEND_EGRESS_DENIED')
})

test('options that cannot be right are refused without repeating the password', async () => {
  for (const [sql, expected] of [
    [{ clickhouse: {} }, /sql\.clickhouse\.url: is needed/],
    [into('tcp://u:secret@h'), /sql\.clickhouse\.url: must begin with http/],
    [{ ...into('http://h'), postgres: { url: 'postgres://u@h' } }, /choose one/],
    [{ ...into('http://h'), retentionDays: 1 }, /retentionDays: is for DuckDB/],
  ]) {
    const [code, message] = await codeOf(Engine.open({ sql }))
    assert.equal(code, 'ERR_SEND_INVALID_OPTION')
    assert.match(message, expected)
    assert.doesNotMatch(message, /secret/)
  }
})

test('a batch whose insertion was never answered is not loaded again', async (t) => {
  let losing = true
  const { port } = await listen(
    t,
    createServer((near) => {
      const far = connect(server.port, '127.0.0.1')
      let inserting = false
      near.on('data', (bytes) => {
        inserting ||= losing && bytes.includes('INSERT INTO')
        far.write(bytes)
      })
      far.on('data', (bytes) => {
        if (!inserting) return void near.write(bytes)
        losing = false
        near.destroy()
      })
      for (const socket of [near, far]) socket.on('error', () => {})
      near.on('close', () => far.destroy())
    }),
  )
  const { load } = await openLoader(t, into(server.url.replace(`:${server.port}`, `:${port}`)))
  const [{ status, attempts }] = await load('once', [{ n: 1 }])
  assert.deepEqual([status, attempts, losing], ['delivered', 2, false])
  assert.deepEqual(await server.rows('SELECT n FROM events.once'), [{ n: 1 }])
})

test('20 kills: every promised row is in its table once', async (t) => {
  const sql = into(server.url)
  const { dataDir, promised } = await killWhileLoading(t, { kills: 20, milliseconds: 200, sql })
  const { engine } = await openLoader(t, sql, { dataDir, log: LONG_LOG })
  await engine.flush(PATIENT)
  const found = await server.rows(
    'SELECT id, call, count() AS times FROM (SELECT id, call FROM events.a UNION ALL SELECT id, call FROM events.b) GROUP BY id, call',
  )
  assertOnce(promised, found)
  assert.deepEqual(await engine.deliveries({ status: 'failed' }), [])
})
