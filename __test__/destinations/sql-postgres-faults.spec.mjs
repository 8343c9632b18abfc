// `$send.sql` into PostgreSQL when the server, the way to it or the process fails.

import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { connect, createServer } from 'node:net'
import { after, before, test } from 'node:test'
import { promisify } from 'node:util'

import { Engine } from '../../js/index.mjs'
import { certificates } from '../support/servers/certificates.mjs'
import { listen } from '../support/servers/listen.mjs'
import { codeOf, nextEvent } from '../support/engine.mjs'
import { openLoader } from '../support/loader.mjs'
import { PATIENT } from '../support/patience.mjs'
import { postgresServer, tooWide } from '../support/postgres.mjs'
import { assertOnce, killWhileLoading, LONG_LOG } from '../support/sql-kills.mjs'

/** One server for the tests that do not stop it. */
let server
const ends = []
before(async () => {
  server = await postgresServer({ after: (end) => ends.push(end) })
})
after(() => Promise.all(ends.map((end) => end())))

const into = (/** @type {string} */ url) => ({ postgres: { url } })

test('what PostgreSQL refuses for good fails with its own words', async (t) => {
  await server.psql('CREATE TABLE theirs (a int); INSERT INTO theirs VALUES (1)')
  await server.psql("CREATE ROLE guest LOGIN PASSWORD 'secret-of-the-tests'")
  const { url } = server
  for (const [url_, table, code, message] of [
    [url.replace(':secret', ':wrong'), 't', 'ERR_SEND_REFUSED', /28P01: password authentication/],
    [`${url}x`, 't', 'ERR_SEND_REFUSED', /3D000: database "eventsx" does not exist/],
    [url.replace('loader', 'guest'), 't', 'ERR_SEND_REFUSED', /42501: .*The user needs CREATE/],
    [url, 'theirs', 'ERR_SEND_REFUSED', /was not made by \$send\.sql, and it stays as it is/],
    [url, 'x'.repeat(64), 'ERR_SEND_INVALID_ARGUMENT', /names of up to 63 bytes/],
    [`${url}?sslmode=require`, 't', 'ERR_SEND_INVALID_RESPONSE', /server does not support TLS/],
  ]) {
    const { load } = await openLoader(t, into(url_))
    const [{ status, error }] = await load(table, [{ a: 2 }])
    assert.deepEqual([status, error?.code], ['failed', code], error?.message)
    assert.match(error?.message ?? '', message)
    assert.doesNotMatch(error?.message ?? '', /secret|wrong/)
  }
  assert.deepEqual(await server.rows('SELECT * FROM theirs'), [{ a: 1 }])
})

test('the egress policy holds for the server too', async (t) => {
  const { load } = await openLoader(t, into(server.url), { egress: {} })
  const [{ status, error }] = await load('t', [{ a: 1 }])
  assert.deepEqual([status, error?.code], ['failed', 'ERR_SEND_EGRESS_DENIED'])
})

test('queries are for the server', async (t) => {
  const { engine } = await openLoader(t, into(server.url))
  const [code, message] = await codeOf(engine.sql('SELECT 1'))
  assert.equal(code, 'ERR_SEND_NOT_CONFIGURED')
  assert.match(message, /query it there/)
})

test('options that cannot be right are refused without repeating the password', async () => {
  for (const [sql, expected] of [
    [{ postgres: {} }, /sql\.postgres\.url: is needed/],
    [{ postgres: { url: 'mysql://u:secret@h' } }, /sql\.postgres\.url: must begin with postgres/],
    [
      { postgres: { url: 'postgres://u@h', schema: '' } },
      /sql\.postgres\.schema: must have 1 to 63/,
    ],
    [{ postgres: { url: 'postgres://u@h', schema: 'pg_x' } }, /schema: pg_x has another use/],
    [{ postgres: { url: 'postgres://u@h' }, retentionDays: 3 }, /retentionDays: is for DuckDB/],
    [{ postgres: { url: 'postgres://u@h' }, duckdb: {} }, /choose one/],
  ]) {
    const [code, message] = await codeOf(Engine.open({ sql }))
    assert.equal(code, 'ERR_SEND_INVALID_OPTION')
    assert.match(message, expected)
    assert.doesNotMatch(message, /secret/)
  }
})

test('tables go into the schema of the options, which is made once', async (t) => {
  const sql = { postgres: { url: server.url, schema: 'My "schema"' } }
  const { load } = await openLoader(t, sql)
  const tables = ['t', 'u', 'v', 'w']
  // All at once, into a schema that is not there.
  const loaded = await Promise.all(tables.map((table) => load(table, [{ a: 1 }])))
  assert.deepEqual(new Set(loaded.flat().map(({ status }) => status)), new Set(['delivered']))
  for (const table of tables) {
    assert.deepEqual(await server.rows(`SELECT a FROM "My ""schema""".${table}`), [{ a: 1 }])
  }
})

test('a table that somebody dropped is made again', async (t) => {
  const { load } = await openLoader(t, into(server.url))
  await load('dropped', [{ a: 'x', b: 1 }])
  await server.psql('DROP TABLE dropped')
  await load('dropped', [{ a: 1 }])
  assert.deepEqual(await server.rows('SELECT a FROM dropped'), [{ a: 1 }])
})

test('a server that is away is waited for', async (t) => {
  const own = await postgresServer(t)
  const { engine, load } = await openLoader(t, into(own.url))
  await load('t', [{ n: 1 }])
  await own.stop()
  const delayed = nextEvent(engine, 'warning', ({ code }) => code === 'BATCH_DELAYED')
  const loaded = load('t', [{ n: 2 }])
  assert.match((await delayed).message, /no connection to 127\.0\.0\.1/)
  await own.start()
  const [{ status, attempts }] = await loaded
  assert.equal(status, 'delivered')
  assert.ok(attempts > 1)
  assert.deepEqual(await own.rows('SELECT n FROM t ORDER BY n'), [{ n: 1 }, { n: 2 }])
})

test('a batch whose commit was never answered is not loaded again', async (t) => {
  const cut = await proxy(t, server.port)
  const { load } = await openLoader(t, into(server.url.replace(`:${server.port}`, `:${cut.port}`)))
  // The table is as wide as it has to be, so that the next commit is that of the rows.
  await load('once', [tooWide({ n: 0 })])
  cut.loseNextCommit()
  const [first, second] = await load('once', [{ n: 1 }, tooWide({ n: 2 })])
  assert.deepEqual([first.status, first.response.repeated], ['delivered', true])
  assert.equal(cut.lost(), 1)
  // What was refused then is refused still.
  assert.deepEqual([second.status, second.error?.code], ['failed', 'ERR_SEND_REFUSED'])
  assert.deepEqual(await server.rows('SELECT n FROM once'), [{ n: 1 }])
})

test('a change of a table whose commit was never answered is made once', async (t) => {
  const cut = await proxy(t, server.port)
  const { load } = await openLoader(t, into(server.url.replace(`:${server.port}`, `:${cut.port}`)))
  await load('changed', [{ n: 1 }])
  cut.loseNextCommit()
  const [{ status, response }] = await load('changed', [{ n: 2, more: 'x' }])
  assert.deepEqual([status, response.repeated, cut.lost()], ['delivered', undefined, 1])
  assert.deepEqual(await server.rows('SELECT n, more FROM changed ORDER BY n'), [
    { n: 1, more: null },
    { n: 2, more: 'x' },
  ])
})

test('a table that is locked is waited for, no longer than an attempt may take', async (t) => {
  const { engine, load } = await openLoader(t, { ...into(server.url), timeoutMs: 700 })
  await load('locked', [{ n: 1 }])
  const delayed = nextEvent(engine, 'warning', ({ code }) => code === 'BATCH_DELAYED')
  const holder = server.psql('BEGIN; LOCK TABLE locked; SELECT pg_sleep(1.5); COMMIT')
  await waitForLock()
  const loaded = load('locked', [{ n: 2, more: 1 }])
  assert.match((await delayed).message, /within 700 ms|57014|statement timeout/)
  await holder
  const [{ status }] = await loaded
  assert.equal(status, 'delivered')
  assert.equal(await server.psql('SELECT count(*) FROM locked'), '2')
})

test('certificates are checked', async (t) => {
  const authority = await certificates(t)
  const secure = await postgresServer(t, { certificate: authority.valid })
  const trusting = { SSL_CERT_FILE: authority.ca }
  const host = secure.url.replace('127.0.0.1', 'localhost')
  for (const url of [secure.url, `${host}?sslmode=require`]) {
    const { status, error } = await loadInChild(url, trusting)
    assert.equal(status, 'delivered', error?.message)
  }
  const used = await secure.rows('SELECT count(*) AS n FROM t')
  assert.deepEqual(used, [{ n: 2 }])
  const { status, warning } = await loadInChild(secure.url, {})
  assert.equal(status, 'batched', 'it is tried again')
  assert.match(warning, /TLS handshake with PostgreSQL failed: .*certificate/)
})

test('20 kills: every promised row is in its table once', async (t) => {
  const sql = { postgres: { url: server.url, schema: 'killed' } }
  const { dataDir, promised } = await killWhileLoading(t, { kills: 20, milliseconds: 200, sql })
  const { engine } = await openLoader(t, sql, { dataDir, log: LONG_LOG })
  await engine.flush(PATIENT)
  const found = await server.rows(
    'SELECT id, call, count(*) AS times FROM (SELECT id, call FROM killed.a UNION ALL SELECT id, call FROM killed.b) r GROUP BY id, call',
  )
  assertOnce(promised, found)
  assert.deepEqual(await engine.deliveries({ status: 'failed' }), [])
})

/** Until somebody has the table. */
async function waitForLock() {
  for (;;) {
    const [{ n }] = await server.rows(
      "SELECT count(*) AS n FROM pg_locks WHERE relation = 'locked'::regclass AND mode = 'AccessExclusiveLock' AND granted",
    )
    if (n > 0) return
  }
}

/**
 * A network that can lose what the server answers to a commit.
 *
 * @param {{ after(fn: () => unknown): void }} t
 * @param {number} port
 */
async function proxy(t, port) {
  let losing = false
  let lost = 0
  const { port: own } = await listen(
    t,
    createServer((near) => {
      const far = connect(port, '127.0.0.1')
      let committed = false
      near.on('data', (bytes) => {
        committed ||= losing && bytes.includes('COMMIT')
        far.write(bytes)
      })
      far.on('data', (bytes) => {
        if (!committed) return void near.write(bytes)
        losing = false
        lost++
        near.destroy()
        far.destroy()
      })
      for (const [one, other] of [
        [near, far],
        [far, near],
      ]) {
        one.on('error', () => {})
        one.on('close', () => other.destroy())
      }
    }),
  )
  return {
    port: own,
    loseNextCommit: () => void (losing = true),
    lost: () => lost,
  }
}

/**
 * Loads one row in a process with such an environment; answers the log once there is an end, or a
 * first failed attempt.
 *
 * @param {string} url
 * @param {Record<string, string>} environment
 */
async function loadInChild(url, environment) {
  const root = JSON.stringify(new URL('../../js/index.mjs', import.meta.url).href)
  const options = { egress: { allow: ['127.0.0.0/8', 'localhost'] }, sql: { postgres: { url } } }
  const code = `
    const { Engine } = await import(${root})
    const engine = await Engine.open(${JSON.stringify(options)})
    const execution = engine.execution({ workflowId: 'p' })
    execution.step('s').$send.sql({ table: 't', payload: { n: 1 } })
    let warning = ''
    const delayed = new Promise((resolve) => engine.on('warning', (event) => resolve((warning = event.message))))
    await execution.complete()
    const alive = setInterval(() => {}, 1000)
    await Promise.race([engine.flush().catch(() => {}), delayed])
    clearInterval(alive)
    const [delivery] = await engine.deliveries({})
    console.log(JSON.stringify({ ...delivery, warning }))
    await engine.close({ timeoutMs: 0 })`
  const child = promisify(execFile)(process.execPath, ['--input-type=module', '--eval', code], {
    env: { ...process.env, ...environment },
  })
  return JSON.parse((await child).stdout)
}
