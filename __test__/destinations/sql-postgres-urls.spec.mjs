// `sql.postgres.url` as providers print it, and servers that are reached with it.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { after, before, test } from 'node:test'

import { certificates } from '../support/servers/certificates.mjs'
import { closedPort } from '../support/servers/listen.mjs'
import { codeOf } from '../support/engine.mjs'
import { openLoader } from '../support/loader.mjs'
import { postgresServer } from '../support/postgres.mjs'
import { Engine } from '../../js/index.mjs'

/** A server with a certificate, for all tests. */
let server
let authority
const ends = []
before(async () => {
  const context = { after: (end) => ends.push(end) }
  authority = await certificates(/** @type {any} */ (context))
  server = await postgresServer(context, { certificate: authority.valid })
})
after(() => Promise.all(ends.map((end) => end())))

/** Loads a row. @param {any} t @param {string} table @param {object} postgres */
async function loaded(t, table, postgres) {
  const { load } = await openLoader(t, { postgres: /** @type {any} */ (postgres) })
  const [delivery] = await load(table, [{ a: 1 }])
  return delivery
}

test('the parameters of a URL reach the server', async (t) => {
  const root = encodeURIComponent(authority.ca)
  const url = `${server.url}?sslmode=verify-full&sslrootcert=${root}&channel_binding=require&application_name=my%20app&options=-c%20work_mem%3D5MB&connect_timeout=10&pgbouncer=true`
  await server.psql(
    `CREATE TABLE IF NOT EXISTS settings (name text);
     GRANT ALL ON settings TO loader;
     CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
       INSERT INTO public.settings SELECT format('%s %s %s', current_setting('application_name'), current_setting('work_mem'),
         (SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()));
       RETURN NEW; END $$`,
  )
  assert.equal((await loaded(t, 'noted', { url })).status, 'delivered')
  await server.psql('CREATE TRIGGER n BEFORE INSERT ON noted FOR EACH ROW EXECUTE FUNCTION note()')
  const { status, error } = await loaded(t, 'noted', { url })
  assert.equal(status, 'delivered', error?.message)
  assert.deepEqual(await server.rows('SELECT name FROM settings'), [{ name: 'my app 5MB t' }])
})

test('authorities of one’s own are those of the options, and no others', async (t) => {
  const ca = readFileSync(authority.ca, 'utf8')
  const elsewhere = server.url.replace('127.0.0.1', '127.0.0.2')
  const url = `${server.url}?sslmode=require`
  assert.equal((await loaded(t, 'own', { url, ca })).status, 'delivered')
  const [code, message] = await codeOf(Engine.open({ sql: { postgres: { url, ca: 'x' } } }))
  assert.equal(code, 'ERR_SEND_INVALID_OPTION')
  assert.match(message, /sql\.postgres\.ca: holds no certificate in PEM/)
  const missing = `${elsewhere}?sslrootcert=/nowhere/ca.pem`
  const [, reason] = await codeOf(Engine.open({ sql: { postgres: { url: missing } } }))
  assert.match(reason, /sslrootcert: \/nowhere\/ca\.pem cannot be read/)
})

test('hosts are tried in turn until one can be written to', async (t) => {
  const closed = await closedPort()
  const reading = await postgresServer(t)
  await reading.psql('ALTER ROLE loader SET default_transaction_read_only = on')
  const hosts = `127.0.0.1:${closed},127.0.0.1:${reading.port},127.0.0.1:${server.port}`
  const url = server.url.replace(/127\.0\.0\.1:\d+/, hosts)
  const ca = readFileSync(authority.ca, 'utf8')
  const { status, error } = await loaded(t, 'turns', { url, ca })
  assert.equal(status, 'delivered', error?.message)
  assert.equal(await server.psql('SELECT count(*) FROM turns'), '1')
  assert.equal(await reading.psql("SELECT to_regclass('turns') IS NULL"), 't')
})

test('what is not supported is refused by its name, and without the password', async () => {
  for (const [query, expected] of [
    ['?sslcert=x', /is not supported: sslcert/],
    ['?host=/var/run/postgresql', /Unix socket/],
    ['?target_session_attrs=standby', /rows are written/],
    ['?sslmode=no-verify', /always checked/],
  ]) {
    const url = `postgres://u:hush@127.0.0.1/db${query}`
    const [code, message] = await codeOf(Engine.open({ sql: { postgres: { url } } }))
    assert.equal(code, 'ERR_SEND_INVALID_OPTION')
    assert.match(message, expected)
    assert.doesNotMatch(message, /hush/)
  }
})
