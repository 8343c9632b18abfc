// The queries of the documents, over objects as `$send.s3` writes them.

import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { it } from 'node:test'

import { DuckDBInstance } from '@duckdb/node-api'

import { openStep } from '../support/engine.mjs'
import { folderFor } from '../support/copy.mjs'
import { blocksIn } from '../support/documents.mjs'

const [duckdb, athena, ...others] = blocksIn('sql')

/** Stores records as files; returns the folder of the bucket and the key of the object. */
async function stored(t) {
  const folder = folderFor(t)
  const { execution, $send, engine } = await openStep(t, { s3: { file: folder } })
  for (const type of ['page_view', 'page_view', 'click']) {
    $send.s3({ bucket: 'my-bucket', prefix: 'test/', payload: { id: '1', type, at: 'now' } })
  }
  await execution.complete()
  await engine.flush()
  const [{ response }] = await execution.settled()
  return { bucket: join(folder, 'my-bucket'), key: response.key }
}

it('there are no other queries', () => {
  assert.deepEqual(others, [])
})

it('DuckDB reads the objects', async (t) => {
  const { bucket, key } = await stored(t)
  const [year, month, day] = key.split('/').slice(1)
  const query = duckdb.code
    .replace('s3://my-bucket/', `${bucket}/`)
    .replace('2026/11/20', `${year}/${month}/${day}`)
  assert.notEqual(query, duckdb.code)
  const connection = await (await DuckDBInstance.create()).connect()
  const rows = (await connection.runAndReadAll(query)).getRowsJS()
  assert.deepEqual(
    new Map(rows),
    new Map([
      ['page_view', 2n],
      ['click', 1n],
    ]),
  )
  connection.closeSync()
})

it('the partitions of the table in Athena are the folders of the keys', async (t) => {
  const { bucket, key } = await stored(t)
  const property = (name) => new RegExp(`'${name}' = '([^']*)'`).exec(athena.code)?.[1] ?? ''
  const [, year, month, day] = /^test\/(\d{4})\/(\d{2})\/(\d{2})\//.exec(key) ?? []
  const partition = property('projection.day.format')
    .replace('yyyy', year)
    .replace('MM', month)
    .replace('dd', day)
  const place = property('storage.location.template').replace('${day}', partition)
  assert.equal(place, `s3://my-bucket/test/${year}/${month}/${day}/`)
  assert.match(athena.code, new RegExp(`LOCATION '${place.slice(0, -11)}'`))
  assert.deepEqual(readdirSync(join(bucket, 'test')), [year])
})
