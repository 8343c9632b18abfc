// The configuration of a data directory: a call waits for the service that it was recorded for.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { after, test } from 'node:test'

import { Engine } from '../../js/index.mjs'
import { dataDirectory } from '../support/data-dir.mjs'
import { LOCAL } from '../support/engine.mjs'
import { smtpServer } from '../support/smtp.mjs'
import { run } from '../support/serving.mjs'

// An engine that waits for nothing but events keeps no process alive.
const alive = setInterval(() => {}, 2 ** 30)
after(() => clearInterval(alive))

const PEOPLE = { from: 'a@example.com', to: 'b@example.com' }
const CLOSED = '127.0.0.1:1'
const RETRY = { retry: { attempts: 9, initialMs: 300 } }
const SERVICES = {
  email: { smtp: `smtp://${CLOSED}`, ...PEOPLE, ...RETRY },
  s3: {
    endpoint: `http://${CLOSED}`,
    allowHttp: true,
    accessKeyId: 'x',
    secretAccessKey: 'y',
    batch: { intervalMs: 1 },
  },
  sql: { postgres: { url: `postgres://u:p@${CLOSED}/db` }, batch: { intervalMs: 1 } },
}

/** @param {(name: any) => any} $send */
function send($send) {
  $send.email({ subject: 'invoice', text: 'pay' })
  $send.s3({ bucket: 'archive', payload: { a: 1 } })
  $send.sql({ table: 'orders', payload: { a: 1 } })
}

/** @param {any} engine @param {(send: any) => void} step */
async function complete(engine, step) {
  const execution = engine.execution({ workflowId: 'p' })
  step(execution.step('code').$send)
  await execution.complete()
  return execution
}

/**
 * A data directory whose mail server, bucket and database are down.
 *
 * @param {import('node:test').TestContext} t
 */
async function withServices(t) {
  const dataDir = dataDirectory(t)
  const engine = await Engine.open({ dataDir, ...SERVICES, egress: LOCAL })
  const sealed = new Promise((resolve) => {
    const destinations = new Set()
    engine.on('batch', ({ destination, status }) => {
      if (status === 'delayed') destinations.add(destination)
      if (destinations.size === 2) resolve(undefined)
    })
  })
  engine.on('warning', () => {})
  await complete(engine, send)
  await sealed
  await engine.close({ timeoutMs: 0 })
  return dataDir
}

/** @param {any} engine @returns {Promise<Record<string, any>>} the deliveries by destination */
async function byDestination(engine) {
  const deliveries = await engine.deliveries()
  return Object.fromEntries(deliveries.map((/** @type {any} */ one) => [one.destination, one]))
}

/** @param {any} engine @param {number} count of NOT_CONFIGURED warnings */
function warned(engine, count) {
  /** @type {string[]} */
  const messages = []
  return new Promise((resolve) => {
    engine.on('warning', ({ code, message }) => {
      if (code === 'NOT_CONFIGURED') messages.push(message)
      if (messages.length === count) resolve(messages.sort())
    })
  })
}

test('without their services, deliveries wait instead of becoming files', async (t) => {
  const dataDir = await withServices(t)
  const engine = await Engine.open({ dataDir })
  const messages = await warned(engine, 3)
  assert.match(messages[0], /^email had a mail server .* email\.smtp, or email\.file/)
  assert.match(messages[1], /^s3 had a bucket .* s3\.file/)
  assert.match(messages[2], /^sql had a database server .* sql\.postgres/)
  await complete(engine, send)
  const { pending, delivered, failed } = await engine.close()
  assert.deepEqual({ pending, delivered, failed }, { pending: 6, delivered: 0, failed: 0 })
  const again = await Engine.open({ dataDir, deliver: false })
  for (const { destination, status } of await again.deliveries())
    assert.match(status, /^(pending|batched)$/, destination)
  await again.close()
  for (const folder of ['mail', 's3']) assert.ok(!existsSync(join(dataDir, folder)), folder)
})

test('the log says what a delivery waits for', async (t) => {
  const dataDir = await withServices(t)
  const engine = await Engine.open({ dataDir })
  await warned(engine, 3)
  await engine.close()
  const { email, s3, sql } = await byDestination(engine)
  for (const { warnings } of [email, s3, sql])
    assert.ok(
      warnings.some((/** @type {string} */ one) => one.startsWith('ERR_SEND_NOT_CONFIGURED: ')),
    )
})

test('an opening with the service delivers what waited', async (t) => {
  const dataDir = await withServices(t)
  const without = await Engine.open({ dataDir })
  await warned(without, 3)
  await without.close()
  const { url, received } = await smtpServer(t)
  const engine = await Engine.open({ dataDir, email: { smtp: url, ...PEOPLE }, egress: LOCAL })
  engine.on('warning', () => {})
  await once(/** @type {any} */ (asEmitter(engine)), 'delivery')
  assert.equal(received.length, 1)
  assert.equal(received[0].mail.subject, 'invoice')
  const { pending } = await engine.close()
  assert.equal(pending, 2)
})

/** @param {any} engine */
function asEmitter(engine) {
  const target = new EventTarget()
  engine.on('delivery', () => target.dispatchEvent(new Event('delivery')))
  return target
}

test('files serve where the options ask for them', async (t) => {
  const dataDir = await withServices(t)
  const [email, s3] = ['mails', 'objects'].map((name) => ({ file: join(dataDir, name) }))
  const engine = await Engine.open({ dataDir, email, s3, sql: { duckdb: {} } })
  engine.on('warning', () => {})
  await engine.flush()
  const log = await byDestination(engine)
  assert.equal(log.email.response.transport, 'file')
  assert.equal(log.s3.response.transport, 'file')
  assert.equal(log.sql.status, 'delivered')
  assert.equal(readdirSync(email.file).length, 1)
  await engine.close()
})

test('files serve where a directory never had a service, with one warning each', async (t) => {
  const dataDir = dataDirectory(t)
  const engine = await Engine.open({ dataDir, s3: { batch: { intervalMs: 1 } } })
  /** @type {any[]} */
  const warnings = []
  engine.on('warning', (warning) => warnings.push(warning))
  for (const subject of ['first', 'second']) {
    await run(engine, 'p', (/** @type {any} */ $send) => {
      $send.email({ subject, text: 'hello' })
      $send.s3({ bucket: 'archive', payload: { a: 1 } })
    })
  }
  await engine.flush()
  await engine.close()
  const messages = warnings.map(({ code, message }) => `${code} ${message}`).sort()
  assert.equal(messages.length, 2, messages.join('\n'))
  assert.match(messages[0], /^FILE_TRANSPORT no mail server is configured \(email\.smtp\)/)
  assert.match(messages[1], /^FILE_TRANSPORT no service is configured \(s3\.region/)
})

test('without a listener, a warning is a process warning', async (t) => {
  const dataDir = dataDirectory(t)
  const engine = await Engine.open({ dataDir })
  const warned = once(process, 'warning')
  await run(engine, 'p', (/** @type {any} */ $send) => $send.email({ subject: 'a', text: 'b' }))
  const [warning] = await warned
  assert.equal(warning.name, 'DollarSendWarning')
  assert.equal(warning.code, 'FILE_TRANSPORT')
  await engine.close()
})

test('deliver: false delivers nothing, and the next opening does', async (t) => {
  const dataDir = dataDirectory(t)
  const looking = await Engine.open({ dataDir, deliver: false })
  await complete(looking, ($send) => $send.email({ subject: 'a', text: 'b' }))
  const { pending } = await looking.close()
  assert.equal(pending, 1)
  assert.ok(!existsSync(join(dataDir, 'mail')))
  const engine = await Engine.open({ dataDir })
  engine.on('warning', () => {})
  await engine.flush()
  assert.equal((await byDestination(engine)).email.status, 'delivered')
  await engine.close()
  await assert.rejects(Engine.open({ deliver: false }), /deliver: false needs dataDir/)
})
