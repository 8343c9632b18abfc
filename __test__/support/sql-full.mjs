// A process whose files cannot grow beyond so many bytes, until its warehouse has felt that. It says
// what it was told, and whether all is there in the end.
//
//   node sql-full.mjs '{ "file", "bytes", "batches", "rows", "text" }'

import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'

import { Engine } from '../../js/index.mjs'
import { PATIENT } from './patience.mjs'

const { file, bytes, batches, rows, text } = JSON.parse(process.argv[2])
const limit = (/** @type {string} */ most) =>
  execFileSync('prlimit', ['--pid', String(process.pid), `--fsize=${most}:`])

const engine = await Engine.open({ sql: { duckdb: { file } } })
const full = new Promise((resolve) => engine.on('warning', ({ message }) => resolve(message)))

limit(bytes)
let n = 0
for (let batch = 0; batch < batches; batch++) {
  const execution = engine.execution({ workflowId: 'p_test' })
  const { $send } = execution.step('step')
  for (let row = 0; row < rows; row++) {
    $send.sql({ table: 't', payload: { n: n++, text: randomBytes(text).toString('base64') } })
  }
  await execution.complete()
  await Promise.race([engine.flush(PATIENT), full])
}
const told = await full
limit('unlimited')
await engine.flush(PATIENT)
const [found] = (await engine.sql('SELECT count(*) AS n, count(DISTINCT n) AS m FROM t')).rows
console.log(JSON.stringify({ told, found }))
await engine.close()
