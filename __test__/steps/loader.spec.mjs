// Step files of every form, as `loadStep` reads them.

import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { pathToFileURL } from 'node:url'
import { Worker } from 'node:worker_threads'

import { loadStep } from '../../js/index.mjs'
import { folderWith } from '../support/step-folder.mjs'

/** Whether this Node can remove types. */
const HAS_TYPES = Boolean((await import('node:module')).default.stripTypeScriptTypes)

/** Loads a step and runs it: its form, what it returned, what it exported by `this`. */
async function run(t, name, files, event = { n: 1 }) {
  const step = await loadStep(join(folderWith(t, files), name))
  const exports = {}
  const returned =
    typeof step.default === 'function'
      ? await step.default.call(exports, event, { earlier: 2 }, { p: 3 }, { a: 4 })
      : await step.default.run({ event, steps: {}, $: {} })
  return { form: step.form, returned, exports, warnings: step.warnings }
}

/** What a file is: its form, what it returns, what it exports. */
const FORMS = {
  'an arrow alone': [
    's.js',
    '// v1\nasync (event, steps) => {\n  this.x = event.n\n  return steps.earlier\n};\n',
    'expression',
    2,
    { x: 1 },
  ],
  'an arrow with an expression': ['s.mjs', '(event) => event.n + 1', 'expression', 2],
  'an arrow with one parameter': ['s.js', 'async event => event.n', 'expression', 1],
  'a function alone': [
    's.cjs',
    'async function step(event, steps, params) { this.p = params.p }',
    'expression',
    undefined,
    { p: 3 },
  ],
  'a function in parentheses': ['s.js', '(function (event) { return event.n })', 'expression', 1],
  'an arrow behind imports': [
    's.js',
    "import greet from 'greeter@1'\n\nasync (event) => greet(event.n)\n",
    'expression',
    'Hello 1',
  ],
  'a body': [
    's.js',
    'const n = await event.n\nthis.total = n + params.p\nreturn [steps.earlier, auths.a]',
    'body',
    [2, 4],
    { total: 4 },
  ],
  'a body that declares event': [
    's.js',
    'const event = { n: 5 }\nlet steps = 1\nreturn event.n + steps',
    'body',
    6,
  ],
  'a body with an import': [
    's.mjs',
    "import greet, { default as again } from 'greeter'\nreturn greet(1) + again(2)",
    'body',
    'Hello 1Hello 2',
  ],
  'a body that begins like an expression': [
    's.js',
    '(async () => { this.late = 1 })()\nreturn 1',
    'body',
    1,
    { late: 1 },
  ],
  'a body with a block': ['s.js', '{ const x = 1; this.x = x }', 'body', undefined, { x: 1 }],
  'a body with require and a regular expression': [
    's.js',
    "const greet = require('greeter')\nif (/[/}]`/.test('}')) return 0\nreturn greet(`a${{ b: '}' }.b}`)",
    'body',
    'Hello a}',
  ],
  'a component alone': ['s.js', 'defineComponent({ async run() { return 1 } });', 'object', 1],
  'an object alone': [
    's.js',
    '{\n  name: "x",\n  async run({ event }) { return event.n },\n}',
    'object',
    1,
  ],
  'an object in parentheses': ['s.mjs', '({ run: async () => 1 })', 'object', 1],
  'a default export': [
    's.mjs',
    'export default defineComponent({ run: ({ event }) => event.n })',
    'module',
    1,
  ],
  'an arrow as default export, with this': [
    's.mjs',
    "export default async () => { await null; this.name = 'Dylan' }",
    'module',
    undefined,
    { name: 'Dylan' },
  ],
  'an arrow by name as default export': [
    's.mjs',
    'const step = () => { helper() }\nconst helper = () => { this.x = 1 }\nexport default step',
    'module',
    undefined,
    { x: 1 },
  ],
  'ESM syntax in .js': ['s.js', 'export default (event) => event.n', 'module', 1],
  'ESM syntax in .cjs': ['s.cjs', 'export default (event) => event.n', 'module', 1],
  'a single export': ['s.mjs', 'export const step = async (event) => event.n', 'module', 1],
  'the export run': [
    's.mjs',
    'export const name = "x"\nexport function run({ event }) { return event.n }',
    'module',
    1,
  ],
  'module.exports': [
    's.cjs',
    "module.exports = async (event) => { this.x = 'y'; return event.n }",
    'module',
    1,
    { x: 'y' },
  ],
  'module.exports in .mjs': ['s.mjs', 'module.exports = { run: () => 1 }', 'module', 1],
  'exports of compiled code': [
    's.js',
    'Object.defineProperty(exports, "__esModule", { value: true });\nexports.default = { run: () => 1 }',
    'module',
    1,
  ],
  'require beside export default': [
    's.mjs',
    "const greet = require('greeter')\nexport default () => greet(2)",
    'module',
    'Hello 2',
  ],
  'createRequire of its own': [
    's.mjs',
    "import { createRequire } from 'module'\nconst require = createRequire(import.meta.url)\nexport default () => require('greeter')(3)",
    'module',
    'Hello 3',
  ],
  'a BOM, a shebang and CRLF': [
    's.js',
    '\ufeff#!/usr/bin/env node\r\nreturn event.n\r\n',
    'body',
    1,
  ],
  'JSON by import': [
    's.mjs',
    "import data from './data.json'\nexport default () => data.k",
    'module',
    5,
  ],
  'import.meta': [
    's.mjs',
    "import x from 'greeter@1'\nexport default () => import.meta.url.endsWith('/s.mjs') && import.meta.dirname.length > 1",
    'module',
    true,
  ],
}
for (const [title, [name, code, form, returned, exports = {}]] of Object.entries(FORMS)) {
  test(`the form: ${title}`, async (t) => {
    const found = await run(t, name, { [name]: code, 'data.json': '\ufeff{ "k": 5 }' })
    assert.deepEqual(found, { form, returned, exports, warnings: [] })
  })
}

const IMPORTS = {
  'import x from': ["import greet from 'greeter@~1.2'\nexport default () => greet('A')", 'Hello A'],
  'import { x } from': ["import { seven as n } from '@acme/tool@^2'\nexport default () => n", 7],
  'import * as x from': [
    "import * as tool from '@acme/tool@2.0.1'\nexport default () => tool.default() + tool.seven",
    14,
  ],
  'import()': ["export default async () => (await import('greeter@1')).default('B')", 'Hello B'],
  'import() of a subpath': [
    "export default async () => (await import('greeter@1/sub.js')).default",
    'sub',
  ],
  'import() of a name that is computed': [
    "export default async () => (await import(['greeter', '1'].join('@'))).default('C')",
    'Hello C',
  ],
  'require()': ["const greet = require('greeter@1.2.3'); return greet('D')", 'Hello D'],
  'require() of a subpath': ["return require('greeter@>=1/sub')", 'sub'],
  'require.resolve()': ["return require.resolve('greeter@1').endsWith('main.js')", true],
  'export from': [
    "export { seven as a } from '@acme/tool@2'\nexport { default } from './helper.mjs'",
    'Hello helper',
  ],
  'a helper with a pin': ["import help from './helper.mjs'\nexport default help", 'Hello helper'],
  'a CommonJS helper with a pin': [
    "const help = require('./helper.cjs')\nreturn help()",
    'Hello cjs',
  ],
  'a helper without peculiarities': [
    "import { count, add } from './plain.mjs'\nimport 'greeter@1'\nexport default () => { add(); return count }",
    1,
  ],
  'a package beside a built-in module': [
    "import { join } from 'node:path'\nimport greet from 'greeter@1'\nexport default () => greet(join('a', 'b'))",
    `Hello ${join('a', 'b')}`,
  ],
}
for (const [title, [code, returned]] of Object.entries(IMPORTS)) {
  test(`pinned versions: ${title}`, async (t) => {
    const found = await run(t, 's.js', {
      's.js': code,
      'helper.mjs': "import greet from 'greeter@1.x'\nexport default () => greet('helper')",
      'helper.cjs': "const greet = require('greeter@1 - 2')\nmodule.exports = () => greet('cjs')",
      'plain.mjs': 'export let count = 0\nexport const add = () => { count++ }',
    })
    assert.deepEqual([found.returned, found.warnings], [returned, []])
  })
}

test('a version that does not satisfy its pin is a warning, once for each process', async (t) => {
  const folder = folderWith(t, {
    's.js': "const a = require('greeter@~2.1')\nreturn require('greeter@~2.1') === a",
  })
  const warnings = []
  const listen = (warning) => warnings.push(warning)
  process.on('warning', listen)
  t.after(() => process.off('warning', listen))
  for (let time = 0; time < 2; time++) {
    const step = await loadStep(join(folder, 's.js'))
    assert.equal(step.warnings.length, 1)
    assert.match(step.warnings[0], /greeter@~2\.1, but version 1\.2\.3 is installed/)
  }
  await new Promise((resolve) => setImmediate(resolve))
  assert.deepEqual(
    warnings.map(({ code }) => code),
    ['SEND_PINNED_VERSION'],
  )
})

test('modules that import each other see live bindings and functions', async (t) => {
  const files = {
    's.mjs':
      "import { b, next } from './b.mjs'\nimport 'greeter@1'\nexport function a() { return 'a' + b }\nexport default () => { next(); return a() }",
    'b.mjs':
      "import { a } from './s.mjs'\nexport let b = typeof a\nexport const next = () => { b = 'changed' }",
  }
  assert.equal((await run(t, 's.mjs', files)).returned, 'achanged')
})

test('declarations of every kind are exported', async (t) => {
  const module = `import 'greeter@1'
    export const { a, b: [c, ...d], ...e } = { a: 1, b: [2, 3], f: 4 }, g = 5
    export let h = 6, i = (1, 7)
    export async function* j() {}
    export class K { static x = 8 }
    const l = 9
    export { l, l as 'any name', l as m }
    export * from './other.mjs'
    export * as n from './other.mjs'
    export default class {}
    ;[1].map(String)`
  const files = {
    'm.mjs': module,
    'other.mjs': 'export const o = 10\nexport default 11\nexport const a = 12',
    's.mjs':
      "import * as all from './m.mjs'\nexport default () => [Object.keys(all).sort(), all.d, all.e, all.i, all.K.x, all.o, all.n.default, all.a]",
  }
  const names = [
    'K',
    'a',
    'any name',
    'c',
    'd',
    'default',
    'e',
    'g',
    'h',
    'i',
    'j',
    'l',
    'm',
    'n',
    'o',
  ]
  assert.deepEqual((await run(t, 's.mjs', files)).returned, [names, [3], { f: 4 }, 7, 8, 10, 11, 1])
})

test('helpers may export nothing, or have no code at all', async (t) => {
  const files = {
    's.mjs':
      "import './effect.mjs'\nimport './script.js'\nimport './empty.mjs'\nimport 'greeter@1'\nexport default () => globalThis.effects",
    'effect.mjs': "import greet from 'greeter@1'\nglobalThis.effects = [greet(await 1)]",
    'script.js': "globalThis.effects.push(require('greeter@1.x')(2))",
    'empty.mjs': '// nothing yet',
  }
  t.after(() => delete globalThis.effects)
  assert.deepEqual((await run(t, 's.mjs', files)).returned, ['Hello 1', 'Hello 2'])
})

test('console.log shows the exports of an arrow function, too', async (t) => {
  const code =
    "import { inspect } from 'node:util'\nexport default () => { this.a = 1; return inspect(this) + 'b' in this }"
  const shown =
    "export default () => { this.a = 1; return [require('util').inspect(this), 'a' in this, { ...this }, delete this.a] }"
  assert.equal((await run(t, 's.mjs', { 's.mjs': code })).returned, false)
  const { returned, exports } = await run(t, 's.mjs', { 's.mjs': shown })
  assert.deepEqual([returned, exports], [['{ a: 1 }', true, { a: 1 }, true], {}])
})

test('two runs of one arrow function at the same time keep their exports apart', async (t) => {
  const folder = folderWith(t, {
    's.mjs':
      'export default async (event) => { await event.until; this.n = event.n; this.keys = Object.keys(this) }',
  })
  const step = await loadStep(pathToFileURL(join(folder, 's.mjs')))
  const [first, second] = [{}, {}]
  let open
  const until = new Promise((resolve) => (open = resolve))
  const runs = [
    step.default.call(first, { n: 1, until }),
    step.default.call(second, { n: 2, until }),
  ]
  open()
  await Promise.all(runs)
  assert.deepEqual(
    [first, second],
    [
      { n: 1, keys: ['n'] },
      { n: 2, keys: ['n'] },
    ],
  )
})

test('a file of 10 MB loads', async (t) => {
  const row = '  { a: 1, b: "text", c: /[/]x/g, d: (n) => `${n}` }, // a comment\n'
  const code = `const rows = [\n${row.repeat(10_000_000 / row.length)}]\nreturn rows.length > 1 ? event.n : 0`
  assert.equal((await run(t, 's.js', { 's.js': code })).returned, 1)
})

test('TypeScript', { skip: !HAS_TYPES && 'this Node.js removes no types' }, async (t) => {
  const code =
    "import greet from 'greeter@1'\nexport default async (event: { n: number }): Promise<string> => greet(event.n)"
  assert.equal((await run(t, 's.ts', { 's.ts': code })).returned, 'Hello 1')
})

test(
  'TypeScript that this Node cannot run',
  { skip: HAS_TYPES && 'this Node.js removes types' },
  async (t) => {
    const folder = folderWith(t, { 's.ts': 'export default (n: number) => n' })
    await assert.rejects(loadStep(join(folder, 's.ts')), /cannot run TypeScript/)
  },
)

test('in a worker thread', async (t) => {
  const folder = folderWith(t, {
    's.js': "import greet from 'greeter@1'\nasync (event) => { this.x = 1; return greet(event) }",
  })
  const code = `
    const { parentPort, workerData } = require('node:worker_threads')
    require(workerData.root).loadStep(workerData.path).then(async (step) => {
      const self = {}
      parentPort.postMessage([await step.default.call(self, 'W'), self])
    })`
  const root = new URL('../../js/index.cjs', import.meta.url).pathname
  const worker = new Worker(code, { eval: true, workerData: { root, path: join(folder, 's.js') } })
  const message = await new Promise((resolve, reject) =>
    worker.once('message', resolve).once('error', reject),
  )
  assert.deepEqual(message, ['Hello W', { x: 1 }])
})
