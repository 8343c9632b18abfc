// One round of what one writes without us: a prepared INSERT for each row, through the same package,
// all in one transaction, which is the fastest such loop.

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { DuckDBInstance } from '@duckdb/node-api'

import { DISTINCT, event } from '../examples.mjs'
import { metered } from './meter.mjs'

const { rows, warmUp } = JSON.parse(process.argv[2])

const folder = mkdtempSync(join(tmpdir(), 'dollar-send-bench-'))
const instance = await DuckDBInstance.create(join(folder, 'warehouse.duckdb'))
const connection = await instance.connect()
const made = Array.from({ length: DISTINCT }, (_, number) => event(number))

const columns = Object.entries(made[0])
const typeOf = { string: 'VARCHAR', number: 'DOUBLE', boolean: 'BOOLEAN', object: 'VARCHAR' }
const definitions = columns.map(([name, value]) => `"${name}" ${typeOf[typeof value]}`)
await connection.run(`CREATE TABLE events (${definitions.join(', ')})`)
const places = columns.map((_, place) => `$${place + 1}`)
const insert = await connection.prepare(`INSERT INTO events VALUES (${places.join(', ')})`)

const bind = {
  string: (place, value) => insert.bindVarchar(place, value),
  number: (place, value) => insert.bindDouble(place, value),
  boolean: (place, value) => insert.bindBoolean(place, value),
  object: (place, value) => insert.bindVarchar(place, JSON.stringify(value)),
}

async function load(count) {
  await connection.run('BEGIN')
  for (let row = 0; row < count; row++) {
    const values = Object.values(made[row % DISTINCT])
    for (let place = 0; place < values.length; place++)
      bind[typeof values[place]](place + 1, values[place])
    await insert.run()
  }
  await connection.run('COMMIT')
}

await load(warmUp)
const cost = await metered(() => load(rows))
const found = await connection.runAndReadAll('SELECT count(*) FROM events')
rmSync(folder, { recursive: true, force: true })
if (Number(found.getRows()[0][0]) !== rows + warmUp) throw new Error('not loaded')
console.log(JSON.stringify({ requests: rows, ...cost }))
process.exit(0)
