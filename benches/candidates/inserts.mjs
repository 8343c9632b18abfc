// One round of what one writes without us: INSERTs of `rowsEach` rows through `pg`, each awaited. If `isPrepared`,
// they are prepared and all in one transaction, which is the fastest such loop.

import pg from 'pg'

import { event } from '../examples.mjs'
import { metered } from './meter.mjs'

const { url, table, rows, warmUp, rowsEach, isPrepared, distinct } = JSON.parse(process.argv[2])

const client = new pg.Client({ connectionString: url })
await client.connect()
const made = Array.from({ length: distinct }, (_, number) => event(number))

// The columns and types that `$send.sql` creates.
const names = Object.keys(made[0])
const typeOf = { string: 'text', number: 'double precision', boolean: 'boolean', object: 'jsonb' }
const columns = Object.entries(made[0]).map(([name, value]) => `"${name}" ${typeOf[typeof value]}`)
await client.query(
  `CREATE TABLE ${table} (${columns.join(', ')}, _arrived_at timestamptz DEFAULT now())`,
)

/** A statement of this many rows. */
function insertOf(count) {
  const places = Array.from({ length: count }, (_, row) => {
    const numbers = names.map((_, column) => `$${row * names.length + column + 1}`)
    return `(${numbers.join(', ')})`
  })
  const quoted = names.map((name) => `"${name}"`).join(', ')
  return {
    name: isPrepared ? `of ${count}` : undefined,
    text: `INSERT INTO ${table} (${quoted}) VALUES ${places.join(', ')}`,
  }
}
const insert = insertOf(rowsEach)

async function load(count) {
  if (isPrepared) await client.query('BEGIN')
  for (let row = 0; row < count; row += rowsEach) {
    const values = []
    for (let each = 0; each < rowsEach; each++)
      values.push(...Object.values(made[(row + each) % distinct]))
    await client.query({ ...insert, values })
  }
  if (isPrepared) await client.query('COMMIT')
}

await load(warmUp)
const cost = await metered(() => load(rows))
await client.end()
console.log(JSON.stringify({ requests: rows, ...cost }))
