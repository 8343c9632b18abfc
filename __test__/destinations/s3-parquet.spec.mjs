// `$send.s3` with `format: 'parquet'`: a batch is one object, whose rows another reader finds.

import assert from 'node:assert/strict'
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'

import { Engine } from '../../js/index.mjs'
import { dataDirectory } from '../support/data-dir.mjs'
import { LOCAL, nextEvent } from '../support/engine.mjs'
import { readParquet } from '../support/parquet.mjs'
import { PATIENT } from '../support/patience.mjs'
import { at, faulty, filesIn, s3Server, s3Step, storeNow } from '../support/s3.mjs'

const FORMAT = /** @type {const} */ ({ format: 'parquet' })
const NAME = /^p\/\d{4}\/\d\d\/\d\d\/\d\d\/\d{4}-\d\d-\d\d-\d\d-\d\d-\d\d-[0-9a-f]{64}\.parquet$/

/** @param {string} folder of `s3.file` */
async function onlyObject(folder) {
  const [name, ...others] = filesIn(folder)
  assert.deepEqual(others, [])
  return readParquet(readFileSync(join(folder, name)))
}

test('records are rows, whose columns have the types of the warehouse', async (t) => {
  const server = await s3Server(t)
  const step = await s3Step(t, at(server.endpoint, FORMAT))
  const payloads = [
    { n: 1, name: 'Luke', is: true, day: '2026-11-28', nested: { a: 1.5, list: [1, 2] } },
    { n: -0.25, name: 'Leia \u{1f600}', more: null, day: '2026-11-29', nested: { b: 'x' } },
    { N: 'another column', n: 3, '': 'no name' },
    {},
  ]
  for (const payload of payloads) step.$send.s3({ bucket: 'bucket', prefix: 'p/', payload })
  const log = await storeNow(step)
  const [object, ...others] = await server.objects()
  assert.deepEqual(others, [])
  assert.match(object.key, NAME)
  assert.equal(object.type, 'application/vnd.apache.parquet')
  const { rows } = await readParquet(object.bytes)
  const none = { n: null, name: null, is: null, day: null, nested: null }
  const rest = { more: null, N_2: null, _: null }
  const day = (/** @type {string} */ text) => new Date(`${text}T00:00:00Z`)
  assert.deepEqual(rows, [
    { ...payloads[0], ...rest, day: day('2026-11-28'), nested: { a: 1.5, list: [1, 2], b: null } },
    {
      ...none,
      ...rest,
      n: -0.25,
      name: 'Leia \u{1f600}',
      day: day('2026-11-29'),
      nested: { a: null, list: null, b: 'x' },
    },
    { ...none, ...rest, n: 3, N_2: 'another column', _: 'no name' },
    { ...none, ...rest },
  ])
  const { key, objectBytes, line } = /** @type {any} */ (log[2].response)
  assert.deepEqual([key, objectBytes, line], [object.key, object.bytes.length, 3])
})

test('what is no object, or has too many keys, fails alone', async (t) => {
  const file = dataDirectory(t)
  const step = await s3Step(t, { file, ...FORMAT })
  const wide = Object.fromEntries(Array.from({ length: 2001 }, (_, n) => [`k${n}`, n]))
  for (const payload of [{ a: 1 }, 'a text', [1], wide, { a: 2 }])
    step.$send.s3({ bucket: 'b', payload: /** @type {any} */ (payload) })
  const log = await storeNow(step)
  assert.deepEqual(
    log.map(({ status }) => status),
    ['delivered', 'failed', 'failed', 'failed', 'delivered'],
  )
  for (const { error } of log.filter(({ status }) => status === 'failed'))
    assert.equal(error?.code, 'ERR_SEND_INVALID_ARGUMENT')
  assert.match(String(log[1].error?.message), /^payload: with s3\.format 'parquet' a record is an/)
  assert.match(String(log[3].error?.message), /2002 columns/)
  assert.deepEqual((await onlyObject(file)).rows, [{ a: 1 }, { a: 2 }])
})

test('rows without a key are rows', async (t) => {
  const file = dataDirectory(t)
  const step = await s3Step(t, { file, ...FORMAT })
  for (let row = 0; row < 3; row++) step.$send.s3({ bucket: 'b', payload: {} })
  await storeNow(step)
  assert.deepEqual((await onlyObject(file)).rows, [{ _: null }, { _: null }, { _: null }])
})

test('many rows are in the order of their calls, in as many objects as maxCount says', async (t) => {
  const file = dataDirectory(t)
  const step = await s3Step(t, { file, ...FORMAT, batch: { maxCount: 15_000 } })
  for (let n = 0; n < 30_000; n++)
    step.$send.s3({ bucket: 'b', payload: { n, text: `row ${n} `.repeat(20) } })
  await storeNow(step)
  const files = filesIn(file)
  assert.equal(files.length, 2)
  const objects = await Promise.all(
    files.map(async (name) => (await readParquet(readFileSync(join(file, name)))).rows),
  )
  objects.sort(([a], [b]) => a.n - b.n)
  assert.deepEqual(
    objects.flat().map(({ n }) => n),
    Array.from({ length: 30_000 }, (_, n) => n),
  )
})

test('a batch that was cut is one object under its name, whatever the format is then', async (t) => {
  const server = await s3Server(t)
  let isFaulty = true
  const front = await faulty(t, server.port, ({ method }) =>
    method === 'PUT' && isFaulty ? 'keep' : undefined,
  )
  const dataDir = dataDirectory(t)
  const s3 = at(front.endpoint, FORMAT)
  const engine = await Engine.open({ dataDir, egress: LOCAL, s3 })
  const execution = engine.execution({ workflowId: 'p_cut' })
  execution.step('step').$send.s3({ bucket: 'bucket', payload: { a: 1 } })
  await execution.complete()
  const flushing = engine.flush({ timeoutMs: 60_000 }).catch(() => {})
  while ((await server.objects()).length === 0);
  await engine.close({ timeoutMs: 0 })
  await flushing
  // What a process that was killed may leave.
  mkdirSync(join(dataDir, 'parquet'), { recursive: true })
  writeFileSync(join(dataDir, 'parquet', 'object.rows-left'), '{}')
  isFaulty = false

  // It waits while nothing writes Parquet, and says so.
  const lines = await Engine.open({ dataDir, egress: LOCAL, s3: at(front.endpoint) })
  const delayed = await nextEvent(lines, 'warning')
  assert.match(delayed.message, /the batch was begun with s3\.format 'parquet'/)
  await lines.close({ timeoutMs: 0 })

  const second = await Engine.open({ dataDir, egress: LOCAL, s3 })
  await second.flush(PATIENT)
  const objects = await server.objects()
  assert.equal(objects.length, 1)
  assert.deepEqual((await readParquet(objects[0].bytes)).rows, [{ a: 1 }])
  assert.equal((await second.deliveries({ status: 'delivered' })).length, 1)
  assert.deepEqual(readdirSync(join(dataDir, 'parquet')), [])
  await second.close()
})

test('an engine that is opened anew writes while the last one goes', async (t) => {
  const dataDir = dataDirectory(t)
  for (let turn = 0; turn < 5; turn++) {
    const engine = await Engine.open({ dataDir, egress: LOCAL, s3: FORMAT })
    const execution = engine.execution({ workflowId: 'p_again' })
    execution.step('step').$send.s3({ bucket: 'b', prefix: `${turn}/`, payload: { turn } })
    await execution.complete()
    await engine.flush(PATIENT)
    const [delivery] = await execution.settled(PATIENT)
    assert.deepEqual([delivery.status, delivery.attempts], ['delivered', 1])
    await engine.close()
    globalThis.gc?.()
  }
  assert.equal(filesIn(join(dataDir, 's3')).length, 5)
  assert.deepEqual(readdirSync(join(dataDir, 'parquet')), [])
})

test('options that exclude each other are refused', async () => {
  for (const [s3, expected] of /** @type {Array<[any, RegExp]>} */ ([
    [{ format: 'csv' }, /s3\.format: "csv" is not 'ndjson' or 'parquet'/],
    [{ format: 'parquet', compression: 'gzip' }, /s3\.compression: objects with s3\.format/],
  ]))
    await assert.rejects(Engine.open({ s3 }), expected)
  const engine = await Engine.open({ s3: { format: 'parquet', compression: 'zstd' } })
  await engine.close()
})
