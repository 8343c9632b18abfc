// What keeps a release from being made, and a workflow from being what it should be.

import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { it } from 'node:test'

import { obstacles } from '../../scripts/check-release.mjs'
import { faultsOf } from '../../scripts/check-workflows.mjs'
import { targets } from '../../scripts/targets.mjs'
import { ROOT } from '../support/copy.mjs'

const READY = {
  tag: 'v1.2.3',
  version: '1.2.3',
  cargo: '[package]\nversion = "1.2.3"\n',
  changelog: '# Changelog\n\n## [Unreleased]\n\n## [1.2.3] - 2026-01-02\n\n- Add a thing.\n',
}

it('a version that is the same everywhere, with a dated section, is released', () => {
  assert.deepEqual(obstacles(READY), [])
})

/** @type {[change: object, wanted: RegExp][]} */
const OBSTACLES = [
  [{ cargo: 'version = "1.2.2"' }, /^Cargo\.toml has version 1\.2\.2, package\.json has 1\.2\.3$/],
  [{ tag: 'v1.2.4' }, /^the tag is v1\.2\.4, package\.json has version 1\.2\.3$/],
  [{ changelog: '## [1.2.3] - unreleased\n\n- Add a thing.\n' }, /has no date$/],
  [
    { changelog: `${READY.changelog}\n`.replace('[Unreleased]\n', '[Unreleased]\n\n- Fix it.\n') },
    /^CHANGELOG\.md has unreleased entries$/,
  ],
]

for (const [change, wanted] of OBSTACLES) {
  it(`not released: ${wanted.source}`, () => {
    const found = obstacles({ ...READY, ...change })
    assert.equal(found.length, 1, found.join('\n'))
    assert.match(found[0], wanted)
  })
}

it('a version without a section is not released, and one without a tag needs no date', () => {
  assert.ok(
    obstacles({ ...READY, changelog: '' }).includes('CHANGELOG.md has no section for 1.2.3'),
  )
  const changelog = '## [1.2.3] - unreleased\n\n- Add a thing.\n'
  assert.deepEqual(obstacles({ ...READY, tag: '', changelog }), [])
})

const WORKFLOW = `permissions:
  contents: read
jobs:
  a:
    runs-on: x
    timeout-minutes: 1
    steps:
      - uses: actions/checkout@v6
      - run: npm ci
      - run: npm run lint
      - run: node scripts/test.mjs core
`

/** @type {[from: string, to: string, wanted: RegExp][]} */
const FAULTS = [
  ['npm run lint', 'npm run nothing', /^npm has no script nothing$/],
  ['scripts/test.mjs', 'scripts/nothing.mjs', /^there is no scripts\/nothing\.mjs$/],
  ['npm ci', 'curl https://example.com | sh', /is no script of the repository$/],
  ['checkout@v6', 'checkout@main', /^actions\/checkout@main has no version$/],
  ['permissions:', 'other:', /^it does not limit the permissions of its token$/],
  ['    timeout-minutes: 1\n', '', /^a job has no timeout-minutes$/],
]

it('a workflow of scripts of the repository is right', () => {
  assert.deepEqual(faultsOf(WORKFLOW), [])
})

for (const [from, to, wanted] of FAULTS) {
  it(`a workflow with a fault: ${wanted.source}`, () => {
    const found = faultsOf(WORKFLOW.replace(from, to))
    assert.equal(found.length, 1, found.join('\n'))
    assert.match(found[0], wanted)
  })
}

it('the workflows of the repository are right, and the release builds every target', () => {
  const folder = join(ROOT, '.github/workflows')
  for (const name of readdirSync(folder)) {
    assert.deepEqual(faultsOf(readFileSync(join(folder, name), 'utf8')), [], name)
  }
  const release = readFileSync(join(folder, 'release.yml'), 'utf8')
  for (const { triple } of targets()) assert.ok(release.includes(`target: ${triple} }`), triple)
})
