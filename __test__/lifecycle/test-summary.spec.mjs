// What `npm test` ends with: the time of each stage, and what did not run.

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { it } from 'node:test'

import { summaryOf } from '../../scripts/test-summary.mjs'
import { folderFor, ROOT } from '../support/copy.mjs'

const ALL = { all: ['format', 'rust', 'consumer', 'versions'], named: ['doc', 'msrv'] }

it('says how long each stage took, and what was left out', () => {
  const summary = summaryOf({
    ...ALL,
    stages: [
      { name: 'format', ms: 1_600 },
      { name: 'rust', ms: 754_000 },
    ],
    wanted: ['format', 'rust'],
    leftOut: { files: 3, of: 200, extras: ['Chromium', 'PostgreSQL'] },
    skipped: ['nginx is missing', 'only on Windows', 'nginx is missing'],
  })
  assert.equal(
    summary,
    `== Summary
format        2 s
rust   12 min 34 s
total  12 min 36 s

Not run: 3 of 200 spec files, which need Chromium; PostgreSQL.
Not run: the stages consumer, versions. npm test all
Only by name: doc, msrv. npm test NAME
Skipped: 3 tests of the specs.
  2 × nginx is missing
  1 × only on Windows`,
  )
})

it('says which stage failed, and which did not run after it', () => {
  const stages = [
    { name: 'format', ms: 1000 },
    { name: 'rust', ms: 61_000, hasFailed: true },
  ]
  const wanted = [...ALL.all, ...ALL.named]
  const summary = summaryOf({ ...ALL, stages, wanted, skipped: [] })
  assert.match(summary, /^rust +1 min 1 s {2}failed$/m)
  assert.match(summary, /^Not run, after the failure: consumer, versions, doc, msrv\.$/m)
  assert.doesNotMatch(summary, /Skipped|Only by name|npm test all/)
})

it('the reasons of skipped tests are counted, the most frequent first', () => {
  const skipped = Array.from({ length: 15 }, (_, n) => `reason ${n}`)
  const run = { ...ALL, stages: [], wanted: [], skipped: [...skipped, 'reason 14'] }
  const summary = summaryOf(run)
  assert.match(summary, /^Skipped: 16 tests of the specs\.\n {2}2 × reason 14\n {2}1 × reason 0$/m)
  assert.match(summary, /^ {2}and 5 other reasons$/m)
})

it('the reporter writes the reason of each skipped test', (t) => {
  const folder = folderFor(t)
  const spec = join(folder, 'a.test.mjs')
  writeFileSync(
    spec,
    `import { test } from 'node:test'
test('runs', () => {})
test('with a reason', { skip: 'no server' }, () => {})
test('without', { skip: true }, () => {})
test('in the middle', (t) => t.skip('two\\nlines'))
test('has parts', async (t) => { await t.test('a part', { skip: 'no part' }, () => {}) })
`,
  )
  const out = join(folder, 'skipped')
  const reporter = pathToFileURL(join(ROOT, 'scripts/skipped-tests.mjs'))
  const { status } = spawnSync(
    process.execPath,
    ['--test', `--test-reporter=${reporter}`, `--test-reporter-destination=${out}`, spec],
    { env: { ...process.env, NODE_TEST_CONTEXT: undefined } },
  )
  assert.equal(status, 0)
  const lines = readFileSync(out, 'utf8').split('\n').filter(Boolean)
  assert.deepEqual(lines.sort(), ['no part', 'no server', 'two lines', 'without'])
})

it('an unknown stage is refused before anything runs', () => {
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [join(ROOT, 'scripts/test.mjs'), 'types', 'nothing'],
    { encoding: 'utf8' },
  )
  assert.equal(status, 1)
  assert.equal(stdout, '')
  assert.match(stderr, /there is no stage nothing; there are format, /)
})
