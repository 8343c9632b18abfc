// `$send.sql` into a real PostgreSQL server: tables, types and values.

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'

import { openLoader } from '../support/loader.mjs'
import { postgresServer, tooWide } from '../support/postgres.mjs'
import { randomOf } from '../support/random.mjs'

/** One server for all tests, each of which has its own tables. */
let server
const ends = []
before(async () => {
  server = await postgresServer({ after: (end) => ends.push(end) })
})
after(() => Promise.all(ends.map((end) => end())))

const into = (/** @type {string} */ url) => ({ postgres: { url } })

/** The types of a table's columns. @param {string} table */
async function types(table) {
  const columns = await server.rows(
    `SELECT column_name AS name, data_type AS type FROM information_schema.columns
     WHERE table_schema = 'public' AND table_name = '${table}' ORDER BY ordinal_position`,
  )
  return Object.fromEntries(columns.map(({ name, type }) => [name, type]))
}

const ARRIVED = { _arrived_at: 'timestamp with time zone' }

test("the documents' own example", async (t) => {
  const { load } = await openLoader(t, into(server.url))
  await load('my_test_table', [
    { event_type: 'page_view', ts: 1, username: 'luke' },
    { event_type: 'page_view', ts: 2.5, username: 'leia' },
  ])
  const before = { event_type: 'text', ts: 'double precision', username: 'text' }
  assert.deepEqual(await types('my_test_table'), { ...before, ...ARRIVED })
  const [delivery] = await load('my_test_table', [
    { event_type: 'click', ts: 'now', username: 'x' },
  ])
  assert.deepEqual(await types('my_test_table'), { ...before, ts: 'text', ...ARRIVED })
  assert.deepEqual(await server.rows('SELECT ts, username FROM my_test_table ORDER BY ts'), [
    { ts: '1', username: 'luke' },
    { ts: '2.5', username: 'leia' },
    { ts: 'now', username: 'x' },
  ])
  assert.equal(delivery.status, 'delivered')
  const { warehouse, table, batchId, line, durationMs } = delivery.response
  assert.deepEqual([warehouse, table, line], ['postgresql', 'my_test_table', 1])
  assert.match(batchId, /^my_test_table\//)
  assert.ok(durationMs >= 0)
})

test('values have the types of their columns, and nested ones are jsonb', async (t) => {
  const { load } = await openLoader(t, into(server.url))
  const row = {
    yes: true,
    day: '2024-02-29',
    at: '2021-03-04 05:06:07.891',
    list: [1, 'x', null],
    object: { a: { b: [1.5] }, 'odd key': '\u0000' },
    empty: {},
    none: [],
    nothing: null,
    text: 'tab\t line\n back\\slash \\N \\. "quoted" \u0000 😀',
    lone: '\ud800',
  }
  await load('types', [row, {}, { yes: null }])
  assert.deepEqual(await types('types'), {
    yes: 'boolean',
    day: 'date',
    at: 'timestamp without time zone',
    list: 'jsonb',
    object: 'jsonb',
    empty: 'jsonb',
    none: 'jsonb',
    nothing: 'text',
    text: 'text',
    lone: 'text',
    ...ARRIVED,
  })
  const found = await server.rows('SELECT * FROM types WHERE yes')
  assert.deepEqual(found, [
    {
      ...row,
      at: '2021-03-04T05:06:07.891',
      object: { a: { b: [1.5] }, 'odd key': '\ufffd' },
      text: row.text.replace('\u0000', '\ufffd'),
      lone: '\ufffd',
      _arrived_at: found[0]._arrived_at,
    },
  ])
  assert.ok(Math.abs(Date.parse(found[0]._arrived_at) - Date.now()) < 60_000)
  assert.equal(await server.psql('SELECT count(*) FROM types WHERE yes IS NULL'), '2')
})

test('numbers become the texts that JavaScript writes', async (t) => {
  const { load } = await openLoader(t, into(server.url))
  const numbers = [
    0, 1, -1, 0.1, 1.5, 100, 1e15, 123456789012345680000, 1e21, 1.5e300, 1e-5, 1e-6, 1e-7,
    -2.5e-10, 5e-324, 1.7976931348623157e308, 9007199254740991, 0.30000000000000004,
  ] // prettier-ignore
  await load('numbers', numbers.map((n, place) => ({ place, n }))) // prettier-ignore
  await load('numbers', [{ place: -1, n: 'text' }])
  const found = await server.rows('SELECT n FROM numbers WHERE place >= 0 ORDER BY place')
  assert.deepEqual(
    found.map(({ n }) => n),
    numbers.map(String),
  )
})

test('everything else becomes a text too, and what was null becomes anything', async (t) => {
  const { load } = await openLoader(t, into(server.url))
  const first = { b: true, d: '2021-01-02', t: '2021-01-02 03:04:05', o: { a: 1 }, l: [1], n: null }
  await load('widened', [first])
  await load('widened', [{ b: 1, d: 'x', t: 'x', o: 'x', l: { a: 1 }, n: [1] }])
  await load('widened', [{ l: 5 }])
  assert.deepEqual(await types('widened'), {
    ...ARRIVED,
    b: 'text',
    d: 'text',
    t: 'text',
    o: 'text',
    l: 'text',
    n: 'jsonb',
  })
  assert.deepEqual(await server.rows('SELECT b, d, t, o, l, n FROM widened ORDER BY _arrived_at'), [
    { ...first, b: 'true', o: '{"a": 1}', l: '[1]', n: null },
    { b: '1', d: 'x', t: 'x', o: 'x', l: '{"a":1}', n: [1] },
    { b: null, d: null, t: null, o: null, l: '5', n: null },
  ])
})

test('keys that are no names, or that differ by case, have columns', async (t) => {
  const { load } = await openLoader(t, into(server.url))
  const long = 'k'.repeat(100)
  const row = {
    'a"b': 1,
    'a b': 2,
    Name: 3,
    name: 4,
    '': 5,
    xmin: 6,
    _arrived_at: 7,
    [long]: 8,
    ü: 9,
  }
  await load('names', [row])
  await load('names', [{ NAME: 10, [`${long}x`]: 11 }])
  const [first, second] = await server.rows('SELECT * FROM names ORDER BY _arrived_at')
  const k = 'k'.repeat(63)
  for (const [column, value] of Object.entries({
    'a"b': 1, 'a b': 2, Name: 3, name_2: 4, _: 5, xmin_2: 6, _arrived_at_2: 7, [k]: 8, ü: 9,
  })) assert.equal(first[column], value, column) // prettier-ignore
  assert.deepEqual([second.NAME_3, second[`${'k'.repeat(61)}_2`]], [10, 11])
})

test('a row that PostgreSQL cannot hold fails, and the others are loaded', async (t) => {
  const { load } = await openLoader(t, into(server.url))
  const wide = (/** @type {number} */ columns, /** @type {unknown} */ value) =>
    Object.fromEntries(Array.from({ length: columns }, (_, n) => [`c${n}`, value]))
  const delivered = await load('hostile', [
    { id: 1 },
    tooWide({ id: 2 }),
    { id: 3, deep: JSON.parse('['.repeat(2000) + ']'.repeat(2000)) },
    { id: 4, ...wide(900, 'x') },
    { id: 5, ...wide(1100, 1) },
    { id: 6 },
  ])
  assert.deepEqual(
    delivered.map(({ status, error }) => [status, error?.code]),
    [
      ['delivered', undefined],
      ['failed', 'ERR_SEND_REFUSED'],
      ['delivered', undefined],
      ['delivered', undefined],
      ['failed', 'ERR_SEND_INVALID_ARGUMENT'],
      ['delivered', undefined],
    ],
  )
  assert.match(delivered[1].error?.message ?? '', /refused the row with 54000: row is too big/)
  assert.match(delivered[4].error?.message ?? '', /may have 1000/)
  assert.equal(await server.psql('SELECT string_agg(id::text, \',\' ORDER BY id) FROM hostile'), '1,3,4,6') // prettier-ignore
  assert.equal(
    typeof (await server.rows('SELECT deep FROM hostile WHERE id = 3'))[0].deep,
    'string',
  )
})

test('however many rows are refused, the others are loaded', async (t) => {
  const { load } = await openLoader(t, into(server.url))
  const fine = new Set([3, 4, 9, 19, 20])
  const rows = Array.from({ length: 21 }, (_, id) => (fine.has(id) ? { id } : tooWide({ id })))
  const log = await load('refused', rows)
  const delivered = log.filter(({ status }) => status === 'delivered')
  assert.deepEqual(
    delivered.map(({ index }) => index),
    [...fine],
  )
  const stored = await server.rows('SELECT id FROM refused ORDER BY id')
  assert.deepEqual(
    stored.map(({ id }) => id),
    [...fine],
  )
})

test('engines that load into one table wait for each other', async (t) => {
  const engines = await Promise.all([1, 2, 3].map(() => openLoader(t, into(server.url))))
  const values = [1, 'text', { a: 1 }, [1], true]
  await Promise.all(
    engines.map(async ({ load }, engine) => {
      for (const [n, value] of values.entries()) {
        await load('shared', [{ engine, n, value, [`only${engine}`]: n }])
      }
    }),
  )
  const rows = await server.rows('SELECT engine, n, value FROM shared ORDER BY engine, n')
  assert.equal(rows.length, engines.length * values.length)
  assert.deepEqual(new Set(rows.map(({ value }) => value.replace(' ', ''))), new Set(['1', 'text', '{"a":1}', '[1]', 'true'])) // prettier-ignore
})

test('random rows in random batches are stored as they were sent', async (t) => {
  const seed = Math.floor(Math.random() * 2 ** 32)
  t.diagnostic(`seed ${seed}`)
  const random = randomOf(seed)
  const pick = (/** @type {any[]} */ from) => from[Math.floor(random() * from.length)]
  const leaf = () => pick([null, true, 1, -2.5, 'x', '2021-01-01', '2021-01-01 10:00:00', '\\', ''])
  /** @param {number} depth @returns {any} */
  const value = (depth) => {
    if (depth > 2 || random() < 0.5) return leaf()
    const length = random() * 3
    if (random() < 0.5) return Array.from({ length }, () => value(depth + 1))
    return Object.fromEntries(Array.from({ length }, () => [pick(['a', 'b']), value(depth + 1)]))
  }
  const { load } = await openLoader(t, into(server.url))
  for (let round = 0; round < 6; round++) {
    const all = Array.from({ length: 15 }, (_, id) => ({ id, a: value(0), b: value(0) }))
    for (let rest = [...all]; rest.length > 0;) {
      await load(`random${round}`, rest.splice(0, 1 + Math.floor(random() * 4)))
    }
    const found = await server.rows(`SELECT * FROM random${round} ORDER BY id`)
    assert.equal(found.length, all.length)
    for (const [place, row] of all.entries()) {
      for (const key of /** @type {const} */ (['a', 'b'])) {
        assert.deepEqual(read(found[place][key], row[key]), row[key], `${round} ${key} of ${place}`)
      }
    }
  }
})

/**
 * What a stored value was sent as: a column of texts has other values as their JSON.
 *
 * @param {any} stored
 * @param {any} sent
 */
function read(stored, sent) {
  if (typeof sent === 'string') return stored.replace?.('T', ' ') ?? stored
  return typeof stored === 'string' ? JSON.parse(stored) : stored
}
