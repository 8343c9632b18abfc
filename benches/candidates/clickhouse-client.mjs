// One round of `@clickhouse/client`: INSERTs of `rowsEach` rows as JSONEachRow, each awaited.

import { createClient } from '@clickhouse/client'

import { event } from '../examples.mjs'
import { metered } from './meter.mjs'

const { url, table: name, rows, warmUp, rowsEach, distinct } = JSON.parse(process.argv[2])
const table = `events.${name}`

const client = createClient({ url })
// Its parser of times takes no ISO text without a setting of the server.
const made = Array.from({ length: distinct }, (_, number) => {
  const { at, ...row } = event(number)
  return { ...row, at: at.replace('T', ' ').replace('Z', '') }
})

// The columns and types that `$send.sql` creates.
const TYPES = { string: 'String', number: 'Float64', object: 'String' }
const columns = Object.entries(made[0]).map(([name, value]) => {
  const type = name === 'at' ? "DateTime64(6, 'UTC')" : TYPES[typeof value]
  return `\`${name}\` Nullable(${type})`
})
await client.command({
  query: `CREATE TABLE ${table} (${columns.join(', ')}, _arrived_at DateTime64(3, 'UTC') DEFAULT now64(3))
    ENGINE = MergeTree ORDER BY _arrived_at`,
})

async function load(count) {
  for (let row = 0; row < count; row += rowsEach) {
    const length = Math.min(rowsEach, count - row)
    const values = Array.from({ length }, (_, each) => made[(row + each) % distinct])
    await client.insert({ table, values, format: 'JSONEachRow' })
  }
}

await load(warmUp)
const cost = await metered(() => load(rows))
await client.close()
console.log(JSON.stringify({ requests: rows, ...cost }))
