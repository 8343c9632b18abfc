// The check of types: `any` is found in whatever form it is written, and the package has none of it.

import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'

import { faultsOf } from '../../scripts/check-types.mjs'
import { runNode } from '../support/child.mjs'
import { ROOT } from '../support/copy.mjs'

const DEFINITION = 'export type Untyped = any\n'

/** @type {Array<[file: string, text: string, place: string]>} */
const REFUSED = [
  ['js/a.cjs', '/** @type {any} */\nlet a', '1:12'],
  ['js/a.cjs', '/** @param {Record<string, any>} a */\nfunction f(a) {}', '1:28'],
  ['js/a.cjs', '/**\n * @typedef {object} A\n * @property {any[]} [a]\n */', '3:15'],
  ['js/a.mjs', 'const b = /** @type {any} */ (a).b', '1:22'],
  ['js/a.mjs', 'f((/** @type {any} */ a) => a)', '1:15'],
  ['js/a.mjs', 'class A {\n  /** @type {any} */ #a\n}', '2:14'],
  ['js/a.mjs', '/** @type {*} */\nlet a', '1:12'],
  ['js/a.mjs', '/** @type {?} */\nlet a', '1:12'],
  ['js/a.mjs', '/** @type {(a: any) => void} */\nlet a', '1:16'],
  ['js/a.d.ts', 'export interface A { a(...all: any[]): void }', '1:32'],
  ['js/a.d.ts', DEFINITION, '1:23'],
  ['js/steps.d.ts', `${DEFINITION}export type Other = any`, '2:21'],
  ['js/a.cjs', "/** @type {import('./steps').Untyped} */\nlet a", '1:30'],
  ['js/a.cjs', "/** @param {import('./steps').UntypedRecord} a */\nfunction f(a) {}", '1:31'],
]

for (const [file, text, place] of REFUSED) {
  test(`any is refused: ${file}: ${text.replaceAll('\n', ' ')}`, () => {
    const faults = faultsOf(file, text)
    assert.equal(faults.length, 1, faults.join('\n'))
    assert.ok(faults[0].startsWith(`${file}:${place}: `), faults[0])
  })
}

test('the one name for it, its uses in declarations, and the English word are let through', () => {
  assert.deepEqual(faultsOf('js/steps.d.ts', `${DEFINITION}export type A = Untyped[]`), [])
  assert.deepEqual(
    faultsOf('js/a.cjs', '/** Takes any value. @param {unknown} a */\nf(a => any)'),
    [],
  )
})

test('the package has no any', async () => {
  const { code, stderr } = await runNode([join(ROOT, 'scripts/check-types.mjs')])
  assert.deepEqual([code, stderr], [0, ''])
})
