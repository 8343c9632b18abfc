// `$send.sql` into PostgreSQL tables that people read, change and guard at the same time.

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'

import pg from 'pg'

import { nextEvent } from '../support/engine.mjs'
import { openLoader } from '../support/loader.mjs'
import { postgresServer } from '../support/postgres.mjs'

/** One server for all tests, each of which has its own tables. */
let server
const ends = []
before(async () => {
  server = await postgresServer({ after: (end) => ends.push(end) })
})
after(() => Promise.all(ends.map((end) => end())))

const loader = (/** @type {any} */ t, url = server.url) => openLoader(t, { postgres: { url } })

/** Statuses and codes of deliveries. @param {any[]} log */
const ends_ = (log) => log.map(({ status, error }) => (error ? error.code : status))

test('while a long query runs, other readers do not wait for a new column', async (t) => {
  const { engine, load } = await loader(t)
  await load('busy', [{ a: 1 }])
  const hold = server
    .psql('BEGIN; SELECT count(*) FROM busy; SELECT pg_sleep(20); COMMIT')
    .catch(() => {})
  await until("SELECT count(*) FROM pg_locks WHERE relation = 'busy'::regclass AND granted")
  const delayed = nextEvent(engine, 'warning', ({ code }) => code === 'BATCH_DELAYED')
  const loading = load('busy', [{ a: 2, b: 'new' }])
  const reader = new pg.Client({ connectionString: server.url })
  await reader.connect()
  let longest = 0
  let ended = false
  const reading = (async () => {
    while (!ended) {
      const begun = performance.now()
      await reader.query('SELECT count(*) FROM busy')
      longest = Math.max(longest, performance.now() - begun)
      await pause(20)
    }
    await reader.end()
  })()
  assert.match((await delayed).message, /55P03/)
  await server.psql(
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(20)%' AND pid <> pg_backend_pid()",
  )
  await hold
  assert.deepEqual(ends_(await loading), ['delivered'])
  ended = true
  await reading
  // A lock is waited for no longer than a second, and a reader no longer than that.
  t.diagnostic(`the longest wait: ${longest.toFixed(0)} ms`)
  assert.ok(longest < 3000, `${longest} ms`)
  assert.deepEqual(await server.rows('SELECT a, b FROM busy ORDER BY a'), [
    { a: 1, b: null },
    { a: 2, b: 'new' },
  ])
})

for (const [name, change, rows, expected] of /** @type {Array<[string, string, any[], any[]]>} */ ([
  [
    'added',
    'ALTER TABLE added ADD c text, ADD n numeric(8,2), ADD j jsonb, ADD "C" uuid',
    [
      { a: 2, c: 'web', n: 1.5, j: { x: [1] } },
      { a: 3, c: 5, n: '2.25', j: 'text' },
    ],
    [
      { a: 2, b: null, c: 'web', n: 1.5, j: { x: [1] }, C: null },
      { a: 3, b: null, c: '5', n: 2.25, j: 'text', C: null },
    ],
  ],
  [
    'dropped',
    'ALTER TABLE dropped DROP b',
    [{ a: 2 }, { a: 3, b: 'y' }],
    [
      { a: 2, b: null },
      { a: 3, b: 'y' },
    ],
  ],
  ['renamed', 'ALTER TABLE renamed RENAME b TO c', [{ a: 2, b: 'y' }], [{ a: 2, b: 'y', c: null }]],
  [
    'retyped',
    'ALTER TABLE retyped ALTER a TYPE bigint, ALTER b TYPE varchar(3)',
    [{ a: 2, b: 'y' }],
    [{ a: 2, b: 'y' }],
  ],
  [
    'generated',
    'ALTER TABLE generated ADD twice double precision GENERATED ALWAYS AS (a * 2) STORED',
    [{ a: 2, twice: 5 }, { a: 3 }],
    [
      { a: 2, b: null, twice: 4 },
      { a: 3, b: null, twice: 6 },
    ],
  ],
])) {
  test(`a column that is ${name} by people is respected`, async (t) => {
    const { load } = await loader(t)
    await load(name, [{ a: 1, b: 'x' }])
    await server.psql(change)
    for (const delivery of await load(name, rows)) {
      assert.equal(delivery.status, 'delivered', delivery.error?.message)
    }
    const query = `SELECT to_jsonb(t) - '_arrived_at' AS row FROM ${name} t WHERE a > 1 ORDER BY a`
    assert.deepEqual(
      (await server.rows(query)).map(({ row }) => row),
      expected,
    )
  })
}

test('a row that does not fit the type of people fails alone', async (t) => {
  const { load } = await loader(t)
  await load('typed', [{ a: 1 }])
  await server.psql('ALTER TABLE typed ALTER a TYPE integer, ADD u uuid, ADD CHECK (a < 100)')
  const log = await load('typed', [{ a: 2 }, { a: 2.5 }, { a: 'x' }, { a: 3, u: 1 }, { a: 100 }])
  const refused = 'ERR_SEND_REFUSED'
  assert.deepEqual(ends_(log), ['delivered', refused, refused, refused, refused])
  assert.match(log[1].error.message, /refused the row with 22P02/)
  assert.match(log[4].error.message, /refused the row with 23514/)
  assert.deepEqual(await server.rows('SELECT a FROM typed ORDER BY a'), [{ a: 1 }, { a: 2 }])
})

for (const [when, guard] of /** @type {Array<[string, string]>} */ ([
  [
    'before each row',
    'CREATE TRIGGER g BEFORE INSERT ON TABLE_ FOR EACH ROW EXECUTE FUNCTION no_sevens()',
  ],
  [
    'after each row',
    'CREATE TRIGGER g AFTER INSERT ON TABLE_ FOR EACH ROW EXECUTE FUNCTION no_sevens()',
  ],
  [
    'at the commit',
    'CREATE CONSTRAINT TRIGGER g AFTER INSERT ON TABLE_ DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION no_sevens()',
  ],
  [
    'a foreign key',
    'ALTER TABLE TABLE_ ADD FOREIGN KEY (a) REFERENCES allowed DEFERRABLE INITIALLY DEFERRED',
  ],
  ['a unique key', 'CREATE UNIQUE INDEX ON TABLE_ (k)'],
])) {
  test(`what is refused ${when} is one row, not the batch`, async (t) => {
    const table = `guarded_${when.replaceAll(' ', '_')}`
    const { load } = await loader(t)
    await load(table, [{ a: 0, k: 0 }])
    await server.psql(
      `CREATE OR REPLACE FUNCTION no_sevens() RETURNS trigger LANGUAGE plpgsql AS
         $$ BEGIN IF NEW.a = 7 THEN RAISE EXCEPTION 'no sevens'; END IF; RETURN NEW; END $$;
       CREATE TABLE IF NOT EXISTS allowed (a double precision PRIMARY KEY);
       INSERT INTO allowed SELECT n FROM generate_series(0, 49) n WHERE n <> 7 ON CONFLICT DO NOTHING;
       ${guard.replace('TABLE_', table)}`,
    )
    const rows = Array.from({ length: 50 }, (_, a) => ({ a, k: a === 7 ? 0.5 : a + 1 }))
    if (when === 'a unique key') rows[7].k = 3
    const log = await load(table, rows)
    assert.deepEqual(
      log.flatMap(({ status }, place) => (status === 'delivered' ? [] : [place])),
      [7],
      log[7].error?.message,
    )
    assert.match(log[7].error.message, /refused the row with (P0001: no sevens|23503|23505)/)
    assert.equal(await server.psql(`SELECT count(*) FROM ${table}`), '50')
  })
}

test('a column that a view depends on keeps its type, and rows that fit are loaded', async (t) => {
  const { load } = await loader(t)
  await load('viewed', [{ a: 1 }])
  await server.psql('CREATE VIEW of_viewed AS SELECT a FROM viewed')
  const log = await load('viewed', [{ a: 2 }, { a: 'x' }, { a: 3, more: true }])
  assert.deepEqual(ends_(log), ['delivered', 'ERR_SEND_REFUSED', 'delivered'])
  assert.match(log[1].error.message, /keeps its type: 0A000: .*view/)
  assert.deepEqual(await server.rows('SELECT a, more FROM viewed ORDER BY a'), [
    { a: 1, more: null },
    { a: 2, more: null },
    { a: 3, more: true },
  ])
})

test('what the encoding of a database lacks is a row, and never a batch', async (t) => {
  await server.psql(
    "CREATE DATABASE latin OWNER loader ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0",
    'postgres',
  )
  await server.psql('GRANT ALL ON SCHEMA public TO loader', 'latin')
  const { load } = await loader(t, server.url.replace(/events$/, 'latin'))
  const log = await load('words', [
    { é: 'é' },
    { é: '😀' },
    { 'é😀': 1 },
    { j: ['😀'] },
    { é: 'z' },
  ])
  const refused = 'ERR_SEND_REFUSED'
  assert.deepEqual(ends_(log), ['delivered', refused, 'delivered', refused, 'delivered'])
  assert.match(log[1].error.message, /22P05/)
  assert.equal(await server.psql('SELECT count(*) FROM words', 'latin'), '3')
  const columns =
    "SELECT count(*) FROM pg_attribute WHERE attrelid = 'words'::regclass AND attnum > 0"
  assert.equal(await server.psql(columns, 'latin'), '4')
})

/** Waits until a query of the owner counts something. @param {string} query */
async function until(query) {
  while ((await server.psql(query)) === '0');
}
