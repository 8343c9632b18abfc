// Texts and graphs of modules that are easily loaded otherwise than V8 and Node do.

import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { pathToFileURL } from 'node:url'

import { loadStep } from '../../js/index.mjs'
import { folderWith } from '../support/step-folder.mjs'

/** Slashes and comments of which only V8 knows what they are. */
const READINGS = {
  'const half = await (async () => 8)() / 2; return half': 4,
  'const half = await (f()) / 2; return half; function f() { return 8 }': 4,
  'return [8].with(0, 6)[0] / 2': 3,
  'const a = { if: (x) => x, while: (x) => x }, g = 2; return a.if(8) / 2 + a?.while(8)/2/g': 6,
  'const of = 8, g = 2; return of / 2 / g': 2,
  'for await (const a of [1]) /[)]/.test(a); return 1': 1,
  'for (const a of /[(]/[Symbol.split]("b(c")) if (a === "c") return 2': 2,
  'if (1) /[(]/.test(""); return 1': 1,
  'let x = 3 <!-- ({ "\nreturn x': 3,
  'let x = 3\n--> ({ "\nreturn x': 3,
  '/*\n*/ --> ({ "\nreturn 3': 3,
  'let x = 3; while (x --> (0)); return x': -1,
}
for (const [code, value] of Object.entries(READINGS)) {
  test(`the value of ${JSON.stringify(code)}`, async (t) => {
    const folder = folderWith(t, { 's.js': code })
    const { default: step } = await loadStep(join(folder, 's.js'))
    assert.equal(await step(), value)
  })
}

/** Modules that import each other, of which each says when it runs. */
const CYCLE = {
  'd.mjs': `import 'greeter@1'
import { setTimeout } from 'node:timers/promises'
await setTimeout(5)
globalThis.order.push('d')`,
  'b.mjs': `import './d.mjs'
import { c } from './c.mjs'
export const b = 'b' + c
globalThis.order.push('b')`,
  'c.mjs': `import { b } from './b.mjs'
export const c = 'c'
export const both = () => b + c
globalThis.order.push('c')`,
}
const PARALLEL = {
  'both at once': "await Promise.all([import('./b.mjs'), import('./c.mjs')])",
  'one after the other': "[await import('./b.mjs'), await import('./c.mjs')]",
  'the same one twice':
    "(await Promise.all([import('./b.mjs'), import('./b.mjs')])).concat(await import('./c.mjs'))",
}
for (const [title, imports] of Object.entries(PARALLEL)) {
  test(`a cycle that is imported dynamically: ${title}`, { timeout: 10_000 }, async (t) => {
    globalThis.order = []
    t.after(() => delete globalThis.order)
    const step = `import 'greeter@1'
export default async () => {
  const loaded = ${imports}
  return loaded.at(-1).both() + loaded[0].b
}`
    const folder = folderWith(t, { ...CYCLE, 's.mjs': step })
    const { default: run } = await loadStep(join(folder, 's.mjs'))
    assert.equal(await run(), 'bccbc')
    assert.equal(globalThis.order.at(-1), 'b')
    assert.deepEqual(globalThis.order.sort(), ['b', 'c', 'd'])
  })
}

test('the modules of two cycles run in the order of Node', { timeout: 10_000 }, async (t) => {
  globalThis.order = []
  t.after(() => delete globalThis.order)
  const files = Object.fromEntries(
    Object.entries({ a: 'bc', b: 'ad', c: 'eb', d: 'e', e: 'fd', f: 'c' }).map(
      ([name, imports]) => [
        `${name}.mjs`,
        [
          ...[...imports].map((other) => `import './${other}.mjs'`),
          `globalThis.order.push('${name}')`,
        ].join('\n'),
      ],
    ),
  )
  const folder = folderWith(t, files)
  await import(pathToFileURL(join(folder, 'a.mjs')).href)
  const expected = globalThis.order.splice(0)
  const step = "import 'greeter@1'\nimport './a.mjs'\nexport default () => 1"
  const pinned = folderWith(t, {
    ...files,
    'f.mjs': `import 'greeter@1'\n${files['f.mjs']}`,
    's.mjs': step,
  })
  await loadStep(join(pinned, 's.mjs'))
  assert.deepEqual(globalThis.order, expected)
})

test('a helper that throws on require throws each time, and may succeed later', async (t) => {
  globalThis.tries = 0
  t.after(() => delete globalThis.tries)
  const helper = `require('greeter@1')
exports.partial = true
if (++globalThis.tries < 3) throw new Error('try ' + globalThis.tries)
exports.tries = globalThis.tries`
  const step = `require('greeter@1')
const attempt = () => { try { return require('./h.cjs') } catch (error) { return error.message } }
module.exports = () => [attempt(), attempt(), attempt(), attempt()]`
  const folder = folderWith(t, { 's.cjs': step, 'h.cjs': helper })
  const { default: run } = await loadStep(join(folder, 's.cjs'))
  const exports = { partial: true, tries: 3 }
  assert.deepEqual(run(), ['try 1', 'try 2', exports, exports])
})
