// The destinations that are built in: whatever lists them lists all of them, in their order.

import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { it } from 'node:test'

import { LOG_HELP, PAUSE_HELP } from '../../js/cli/help.mjs'
import { membersOf } from '../../scripts/docs/declarations.mjs'
import { outdatedFiles } from '../../scripts/docs/destinations.mjs'
import { ROOT } from '../../scripts/docs/pages.mjs'
import { openStep } from '../support/engine.mjs'

const require = createRequire(import.meta.url)
const { NAMES, load } = require('../../js/destinations/built-in.cjs')

/** @param {string} path */
const read = (path) => readFileSync(join(ROOT, path), 'utf8')

it('the generated lists are that of the addon', async () => {
  assert.deepEqual(NAMES, require('../../js/native.cjs').destinations())
  const paths = (await outdatedFiles()).map(({ path }) => path)
  assert.deepEqual(paths, [], 'run: npm run docs')
})

it('each has its file, which has its name', () => {
  assert.deepEqual(
    load().map(({ name }) => name),
    NAMES,
  )
})

it('each has its function of $send', async (t) => {
  const { $send } = await openStep(t)
  assert.deepEqual(Object.keys($send), NAMES)
})

it('each has its types', () => {
  const [send] = /export interface Send \{[^]*?^\}/m.exec(read('js/send.d.ts')) ?? []
  const methods = [...String(send).matchAll(/^ {2}(\w+)\(/gm)].map(([, name]) => name)
  assert.deepEqual([...new Set(methods)], NAMES)
  for (const table of ['BuiltinDeliveries', 'BuiltinSends']) {
    const names = membersOf(table).map(({ name }) => name)
    assert.deepEqual(names, NAMES, table)
  }
})

it('each is in the help, in the tables and has its page', () => {
  const listed = `: ${NAMES.join(', ')}, or one of your own\n`
  for (const help of [LOG_HELP, PAUSE_HELP]) assert.ok(help.includes(listed))
  const [overview, guarantees] = [read('README.md'), read('docs/guarantees.md')]
  for (const name of NAMES) {
    assert.match(overview, new RegExp(`^\\| \`\\$send\\.${name}\\(`, 'm'), name)
    assert.match(guarantees, new RegExp(`^\\|[^|]*\`${name}\``, 'm'), name)
    assert.ok(existsSync(join(ROOT, `docs/destinations/${name}.md`)), name)
  }
})
