// `$send.sql`: rows become tables of DuckDB, whose schemas follow the rows.

import assert from 'node:assert/strict'
import { cpSync, mkdirSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

import { dataDirectory } from '../support/data-dir.mjs'
import { codeOf, finish, nextEvent, openEngine, openStep } from '../support/engine.mjs'
import { runNode } from '../support/child.mjs'
import { PATIENT } from '../support/patience.mjs'
import { openWarehouse } from '../support/sql.mjs'

test('the example of the documents: a column that held numbers becomes text, and keeps them', async (t) => {
  const { load, rows, types } = await openWarehouse(t)
  const event = (/** @type {unknown} */ ts, /** @type {string} */ username) => ({
    event_type: 'page_view',
    ts,
    username,
  })
  await load('my_test_table', [event(1_624_000_000, 'luke'), event(1_624_000_001.5, 'leia')])
  assert.deepEqual(await types('my_test_table'), {
    event_type: 'VARCHAR',
    ts: 'DOUBLE',
    username: 'VARCHAR',
  })
  await load('my_test_table', [event('2021-06-18T07:06:42Z', 'han')])
  assert.deepEqual(await types('my_test_table'), {
    event_type: 'VARCHAR',
    ts: 'VARCHAR',
    username: 'VARCHAR',
  })
  assert.deepEqual(await rows('SELECT * FROM my_test_table ORDER BY username DESC'), [
    event('1624000000', 'luke'),
    event('1624000001.5', 'leia'),
    event('2021-06-18T07:06:42Z', 'han'),
  ])
})

test('every kind of value has its column, and null is for what is missing', async (t) => {
  const { load, rows, types } = await openWarehouse(t)
  const first = {
    text: 'x',
    number: 12,
    yes: true,
    nothing: null,
    day: '2021-06-18',
    time: '2021-06-18 07:06:42.123456',
    list: [1, 2.5],
    empty: [],
    none: {},
    person: { first_name: 'Luke', home: { planet: 'Tatooine' }, droids: [{ name: 'R2' }] },
  }
  await load('kinds', [first, { more: 'y' }, {}])
  assert.deepEqual(await types('kinds'), {
    text: 'VARCHAR',
    number: 'DOUBLE',
    yes: 'BOOLEAN',
    nothing: 'VARCHAR',
    day: 'DATE',
    time: 'TIMESTAMP',
    list: 'DOUBLE[]',
    empty: 'VARCHAR[]',
    none: 'VARCHAR',
    person:
      'STRUCT(first_name VARCHAR, home STRUCT(planet VARCHAR), droids STRUCT("name" VARCHAR)[])',
    more: 'VARCHAR',
  })
  const [full, other, bare] = await rows('SELECT * FROM kinds')
  assert.deepEqual(full, { ...first, none: '{}', more: null })
  assert.deepEqual(
    [other.more, ...Object.values(bare)],
    ['y', ...Object.values(bare).map(() => null)],
  )
  assert.deepEqual(
    await rows(
      `SELECT person.first_name AS name, person.droids[1].name AS droid, day + 1 AS next, year(time) AS year
       FROM kinds WHERE person IS NOT NULL`,
    ),
    [{ name: 'Luke', droid: 'R2', next: '2021-06-19', year: 2021 }],
  )
})

test('columns and fields widen, wherever they are, and every row stays', async (t) => {
  const { load, rows, types } = await openWarehouse(t)
  const steps = [
    { n: null, s: { a: 1 }, l: [{ x: 1 }], d: '2021-01-02', b: true, e: {}, m: [[1]] },
    {
      n: 7,
      s: { a: 'one', b: [1] },
      l: [{ y: '2021-01-01' }],
      d: 'soon',
      b: 1,
      e: { f: 1 },
      m: [[]],
    },
    {
      n: 'x',
      s: { b: ['z'] },
      l: [null, { x: { deep: 1 } }],
      d: 5,
      b: 'no',
      e: { g: 2 },
      m: [['k']],
    },
    { n: [1], s: 'all', l: 'flat', d: null, b: { c: 1 }, e: 1, m: {} },
  ]
  for (const step of steps) await load('wide', [step])
  assert.deepEqual(new Set(Object.values(await types('wide'))), new Set(['VARCHAR']))
  const found = await rows('SELECT * FROM wide')
  assert.deepEqual(found, [
    {
      n: null,
      s: '{"a":"1","b":null}',
      l: '[{"x":"1","y":null}]',
      d: '2021-01-02',
      b: 'true',
      e: '{"f":null,"g":null}',
      m: '[["1"]]',
    },
    {
      n: '7',
      s: '{"a":"one","b":["1"]}',
      l: '[{"x":null,"y":"2021-01-01"}]',
      d: 'soon',
      b: '1',
      e: '{"f":1,"g":null}',
      m: '[[]]',
    },
    {
      n: 'x',
      s: '{"a":null,"b":["z"]}',
      l: '[null,{"x":"{\\"deep\\":1}","y":null}]',
      d: '5',
      b: 'no',
      e: '{"f":null,"g":2}',
      m: '[["k"]]',
    },
    { n: '[1]', s: 'all', l: 'flat', d: null, b: '{"c":1}', e: '1', m: '{}' },
  ])
})

test('keys that no column can be called have columns all the same', async (t) => {
  const { load, rows } = await openWarehouse(t)
  const row = {
    'a b': 1,
    'x"y': 2,
    "q'": 3,
    select: 4,
    Name: 5,
    name: 6,
    '': 7,
    'ü€😀': 8,
    _arrived_at: 9,
    rowid: 10,
    nested: { k: 1, K: 2, 'e"': [{ '': 1, _: 2 }] },
    ['long'.repeat(100)]: 11,
  }
  await load('odd', [row])
  await load('odd', [{ NAME: 12, name: 13, 'a b': 14 }])
  const [first, second] = await rows('SELECT * FROM odd')
  assert.deepEqual(
    { ...first, ['long'.repeat(50)]: 11 },
    {
      'a b': 1,
      'x"y': 2,
      "q'": 3,
      select: 4,
      Name: 5,
      name_2: 6,
      _: 7,
      'ü€😀': 8,
      _arrived_at_2: 9,
      rowid_2: 10,
      nested: { k: 1, K_2: 2, 'e"': [{ _: 1, __2: 2 }] },
      ['long'.repeat(50)]: 11,
      NAME_3: null,
    },
  )
  assert.deepEqual([second.NAME_3, second.name_2, second['a b'], second.Name], [12, 13, 14, null])
})

test('odd texts come back as they were, and lone surrogates as U+FFFD', async (t) => {
  const { load, rows } = await openWarehouse(t)
  const texts = [
    '',
    'a\nb',
    'NUL\0NUL',
    '\\ud800',
    `it's "q"`,
    '\u2028',
    '😀',
    '\ud800x',
    '😀'.slice(1),
  ]
  await load(
    'texts',
    texts.map((text, n) => ({ n, text })),
  )
  const found = await rows('SELECT text FROM texts ORDER BY n')
  assert.deepEqual(
    found.map(({ text }) => text),
    [...texts.slice(0, 7), '\ufffdx', '\ufffd'],
  )
})

test('what is no row fails alone, and says why', async (t) => {
  const { load, rows, engine } = await openWarehouse(t)
  const wide = (/** @type {number} */ from, /** @type {number} */ count) =>
    Object.fromEntries(Array.from({ length: count }, (_, n) => [`c${from + n}`, n]))
  const log = await load('t', [{ fine: 1 }, 'text', [1, 2], wide(0, 2001), wide(0, 1999)])
  assert.deepEqual(
    log.map(({ status, error }) => [status, error?.code]),
    [
      ['delivered', undefined],
      ['failed', 'ERR_SEND_INVALID_ARGUMENT'],
      ['failed', 'ERR_SEND_INVALID_ARGUMENT'],
      ['failed', 'ERR_SEND_INVALID_ARGUMENT'],
      ['delivered', undefined],
    ],
  )
  assert.match(log[1].error?.message ?? '', /a row is an object/)
  assert.match(log[3].error?.message ?? '', /would have 2002 columns .* may have 2000/)
  // The table is full now: what fits is loaded, whatever came with it.
  const [more, fits] = await load('t', [{ another: 1 }, { c5: 5 }])
  assert.deepEqual([more.status, fits.status], ['failed', 'delivered'])
  assert.match(more.error?.message ?? '', /2001 columns/)
  assert.equal((await rows('SELECT count(*) AS n FROM t'))[0].n, 3)

  for (const table of ['_private', 'a-b', 'a"b', '', 'x'.repeat(256)]) {
    const [failed] = await load(table, [{ a: 1 }])
    assert.equal(failed.error?.code, 'ERR_SEND_INVALID_ARGUMENT', table)
    assert.match(failed.error?.message ?? '', /^table: /)
  }
  assert.deepEqual(await rows('SHOW TABLES'), [{ name: 't' }])
  assert.equal(engine.stats().pending, 0)
})

test('nesting beyond the limit stays as text', async (t) => {
  const { load, rows } = await openWarehouse(t)
  const nest = (/** @type {number} */ depth) => {
    let value = /** @type {any} */ (1)
    for (let level = 0; level < depth; level++) value = { v: value }
    return value
  }
  const log = await load('deep', [nest(3000), { other: 1 }])
  assert.ok(log.every(({ status }) => status === 'delivered'))
  const path = Array.from({ length: 16 }, () => 'v').join('.')
  const found = await rows(`SELECT length(${path}) AS length FROM deep WHERE v IS NOT NULL`)
  assert.deepEqual(found, [{ length: (3000 - 16) * 6 + 1 }])
})

test('tables with upper case are the same table; each has its own batch, and says what became of it', async (t) => {
  const { load, engine } = await openWarehouse(t, { sql: { batch: { maxCount: 2 } } })
  // Two batches are under way at once: whichever is there first.
  const stored = nextEvent(
    engine,
    'batch',
    (event) => event.status === 'stored' && event.records === 2,
  )
  const log = await load('Events', [{ a: 1 }, { a: 2 }, { a: 3 }])
  const [first, second, third] = log.map(({ response }) => /** @type {any} */ (response))
  assert.equal(first.table, 'events')
  assert.deepEqual(
    [first.warehouse, first.batch, first.line, second.line],
    ['duckdb', { reason: 'maxCount', records: 2 }, 1, 2],
  )
  assert.equal(first.batchId, `events/${log[0].id}`)
  assert.equal(third.batchId, `events/${log[2].id}`)
  const { destination, name, records } = await stored
  assert.deepEqual([destination, name, records], ['sql', first.batchId, 2])
  await load('EVENTS', [{ A: 4 }])
  assert.equal((await engine.sql('SELECT * FROM eVents')).rows.length, 4)
})

test('the warehouse is the same after a restart, and what waited is loaded', async (t) => {
  const dataDir = dataDirectory(t)
  const first = await openWarehouse(t, { dataDir })
  await first.load('t', [{ a: 1 }])
  const execution = first.engine.execution({ workflowId: 'p_test' })
  execution.step('s').$send.sql({ table: 't', payload: { a: 'two' } })
  await execution.complete()
  await first.engine.close({ timeoutMs: 0 })
  const { engine, rows, load } = await openWarehouse(t, { dataDir })
  await engine.flush(PATIENT)
  await load('t', [{ a: 3 }])
  const found = (await rows('SELECT a FROM t')).map(({ a }) => a)
  assert.deepEqual(found.sort(), ['1', '3', 'two'])
})

test('without a directory there is no warehouse, unless a file is named', async (t) => {
  const { engine, execution, $send } = await openStep(t)
  $send.sql({ table: 't', payload: { a: 1 } })
  const [{ error }] = await finish(execution)
  // reaches ERR_SEND_NOT_CONFIGURED
  assert.equal(error?.code, 'ERR_SEND_NOT_CONFIGURED')
  assert.match(error?.message ?? '', /`dataDir`/)
  const [code] = await codeOf(engine.sql('SELECT 1'))
  assert.equal(code, 'ERR_SEND_NOT_CONFIGURED')

  const folder = dataDirectory(t)
  const file = join(folder, 'own.duckdb')
  const named = await openEngine(t, { sql: { duckdb: { file } } })
  const run = named.execution({ workflowId: 'p_test' })
  run.step('s').$send.sql({ table: 't', payload: { a: 1 } })
  await run.complete()
  await named.flush()
  assert.deepEqual((await named.sql('SELECT a FROM t')).rows, [{ a: 1 }])
  await named.close()
  assert.ok(readdirSync(folder).includes('own.duckdb'))
})

test('without the package of DuckDB a batch fails and says how to install it', async (t) => {
  const folder = dataDirectory(t)
  mkdirSync(folder, { recursive: true })
  const root = fileURLToPath(new URL('../..', import.meta.url))
  for (const name of readdirSync(root)) {
    if (name === 'js' || name === 'package.json' || /^binding\.cjs$|\.node$/.test(name))
      cpSync(join(root, name), join(folder, name), { recursive: true })
  }
  const code = `
    process.chdir(${JSON.stringify(folder)})
    const { Engine } = await import(${JSON.stringify(join(folder, 'js/index.mjs'))})
    const engine = await Engine.open({ dataDir: './data' })
    const execution = engine.execution({ workflowId: 'p_test' })
    execution.step('s').$send.sql({ table: 't', payload: { a: 1 } })
    await execution.complete()
    await engine.flush()
    const [{ error }] = await engine.deliveries()
    const refused = await engine.sql('SELECT 1').catch((error) => error)
    console.log(JSON.stringify([error.code, error.message, refused.code]))
    await engine.close()`
  const { stdout, stderr } = await runNode(['--input-type=module', '--eval', code])
  const [failed, message, refused] = JSON.parse(stdout || `["${stderr}"]`)
  assert.equal(failed, 'ERR_SEND_NOT_CONFIGURED')
  assert.match(message, /npm install @duckdb\/node-api/)
  assert.equal(refused, 'ERR_SEND_NOT_CONFIGURED')
})
