// `npm test` leaves out what needs large programs; .ci/run runs everything.

import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { it } from 'node:test'

import { extrasOf } from '../../scripts/extras.mjs'
import { ROOT } from '../support/copy.mjs'

const read = (path) => readFileSync(join(ROOT, path), 'utf8')
const SPECS = readdirSync(join(ROOT, '__test__'), { recursive: true }).filter((name) =>
  String(name).endsWith('.spec.mjs'),
)

it('finds what a spec needs, through its support files too', () => {
  assert.deepEqual(extrasOf('__test__/destinations/sse-browser.spec.mjs'), ['Chromium'])
  assert.deepEqual(extrasOf('__test__/destinations/sql-clickhouse.spec.mjs'), [
    "ClickHouse's engine",
  ])
  assert.deepEqual(extrasOf('__test__/destinations/sql-postgres.spec.mjs'), ['PostgreSQL'])
  assert.match(extrasOf('__test__/lifecycle/programs.spec.mjs')[0], /other versions of Node/)
  assert.deepEqual(extrasOf('__test__/delivery/retry.spec.mjs'), [])
})

it('most specs need nothing large', () => {
  const large = SPECS.filter((name) => extrasOf(`__test__/${name}`).length > 0)
  assert.ok(large.length > 5 && large.length < SPECS.length / 5, large.join())
})

it('.ci/run runs all stages, and with them every spec', () => {
  assert.match(read('.ci/run'), /^npm test all$/m)
  const script = read('scripts/test.mjs')
  assert.match(script, /GROUPS = \{ all: Object\.keys\(STAGES\)/)
  const [, node] = /\n {2}node\(\) \{([^]*?)\n {2}\},/.exec(script)
  assert.match(node, /installExtras\(\)/)
  assert.match(node, /specs\(process\.execPath\)$/m)
})
