// Where errors of step files are, and what is said of files that are none.

import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'

import { loadStep } from '../../js/index.mjs'
import compiler from '../../js/runner/loading/compile.cjs'
import { folderWith } from '../support/step-folder.mjs'

const STACKS = {
  'module that Node loads': [
    's.mjs',
    'export default {\n  run() {\n    throw new Error("here")\n  },\n}',
    3,
    11,
  ],
  'module that the loader loads': [
    's.js',
    "import 'greeter@1'; export default () => { throw new Error('here') }",
    1,
    50,
  ],
  expression: ['s.js', '\n  async () => {\n  throw new Error("here") }', 3, 9],
  'expression on the first line': ['s.js', 'async () => { throw new Error("here") }', 1, 21],
  body: ['s.js', 'const a = 1\r\nthrow new Error("here")', 2, 7],
  'body behind await': ['s.js', '#!/bin/node\nawait null; throw new Error("here")', 2, 19],
  object: ['s.js', '{\n  run() { throw new Error("here") } }', 2, 17],
}
for (const [title, [name, code, line, column]] of Object.entries(STACKS)) {
  test(`stack traces have the place in the file: ${title}`, async (t) => {
    const folder = folderWith(t, { [name]: code })
    const { default: step } = await loadStep(join(folder, name))
    const error = await (async () => (typeof step === 'function' ? step() : step.run()))().catch(
      (thrown) => thrown,
    )
    assert.equal(error.message, 'here')
    const place = `${name}:${line}:${column}`
    assert.ok(error.stack.split('\n')[1].includes(place), `${error.stack} has not ${place}`)
  })
}

const REFUSED = {
  'a syntax error': [
    's.js',
    'const a = 1\n  const = 2',
    /s\.js:2:9: it is no step: Unexpected token '='.*line 2, column 9/,
  ],
  'a syntax error in a module': [
    's.mjs',
    '\nexport default {\n  run() { let a; let a },\n}',
    /s\.mjs:3:22: .*'a' has already been declared/,
  ],
  'a bracket that is not closed': ['s.js', 'foo(\n  [1, 2', /s\.js:2:3: .*\[ is never closed/],
  'a bracket too many': ['s.js', 'return 1 }', /s\.js:1:10: .*Unexpected token '}'/],
  'a text that is not closed': ['s.js', 'return "a\n"', /s\.js:1:8: .*string is never closed/],
  'no code': ['s.js', '\n// nothing\n;', /it has no code/],
  'an empty file': ['s.mjs', '', /it has no code/],
  'other exports': ['s.mjs', 'export const a = 1, b = 2', /no default export \(it exports a, b\)/],
  'a number': ['s.cjs', 'module.exports = 7', /it exports a number/],
  'an object without run': ['s.js', '{ "name": "x" }', /an object without a function run\(\)/],
  'bytes that are not text': [
    's.js',
    Buffer.from([0x7f, 0x45, 0x4c, 0x46, 0, 1, 0xff]),
    /not text in UTF-8/,
  ],
  'UTF-16': ['s.js', Buffer.from('\ufeffreturn 1', 'utf16le'), /UTF-16/],
  'another kind of file': ['s.txt', 'return 1', /not one of the files of a step \(\.js/],
  'a helper that does not parse': [
    's.js',
    "import './h.mjs'\nexport default () => 1",
    /h\.mjs:1:10: it does not parse: Unexpected end of the file/,
    { 'h.mjs': 'const a =' },
  ],
  'JSON that is none': [
    's.js',
    "import a from './a.json'\nexport default () => a",
    /a\.json: /,
    { 'a.json': '{' },
  ],
}
for (const [title, [name, code, message, files]] of Object.entries(REFUSED)) {
  test(`refused with what is wrong: ${title}`, async (t) => {
    const folder = folderWith(t, { [name]: code, ...files })
    await assert.rejects(loadStep(join(folder, name)), (error) => {
      assert.equal(error.code, 'ERR_SEND_INVALID_ARGUMENT')
      assert.match(error.message, message)
      if (/it is no step/.test(error.message)) assert.match(error.message, /one of these forms/)
      return true
    })
  })
}

test('refused with what is wrong: no file, a folder, no path', async (t) => {
  const folder = folderWith(t, {})
  const refused = { code: 'ERR_SEND_INVALID_ARGUMENT' }
  await assert.rejects(loadStep(join(folder, 'no.js')), { ...refused, message: /no such file/ })
  await assert.rejects(loadStep(folder), { ...refused, message: /a directory/ })
  await assert.rejects(loadStep(7), { ...refused, message: /path of a file/ })
})

test('a name that a module does not export is refused with its place', async (t) => {
  const files = {
    's.js': "import 'greeter@1'\nimport { missing } from './h.mjs'\nexport default () => missing",
    'h.mjs': 'export const there = 1',
  }
  await assert.rejects(loadStep(join(folderWith(t, files), 's.js')), {
    name: 'SyntaxError',
    message: /s\.js:2:10: .*'\.\/h\.mjs' does not provide an export named 'missing'/,
  })
})

test('what a file throws while it loads is thrown as it is', async (t) => {
  const folder = folderWith(t, {
    's.js': "import 'greeter@1'\nthrow globalThis.thrownByStep\nexport default 1",
  })
  globalThis.thrownByStep = new RangeError('mine')
  t.after(() => delete globalThis.thrownByStep)
  await assert.rejects(loadStep(join(folder, 's.js')), (error) => error === globalThis.thrownByStep)
})

test('a package that is not installed is named', async (t) => {
  const folder = folderWith(t, { 's.js': "import x from 'not-there@1'\nexport default () => x" })
  await assert.rejects(loadStep(join(folder, 's.js')), {
    code: 'ERR_MODULE_NOT_FOUND',
    message: /'not-there'/,
  })
})

const WRAPPED = {
  module: ['', '}}}); escaped(); (function(a){with(a){return async function*(){'],
  commonjs: ['', '}}}); escaped(); (function(a){with(a){return function(){'],
  body: ['', '}}}); escaped(); (function(a){with(a){return async function(){'],
  shadowed: ['', '})()}}}); escaped(); (function(a){with(a){return async function(){(async()=>{'],
  expression: ['1', ')}}}); escaped(); (function(a){with(a){return function(){return(1'],
}
for (const [wrapper, [start, text]] of Object.entries(WRAPPED)) {
  test(`a text cannot leave the function around it: ${wrapper}`, () => {
    assert.throws(() => compiler.compile(start + text, wrapper, 's.js'), { name: 'Error' })
  })
}

test('compiling runs nothing', () => {
  assert.equal(typeof compiler.compile('throw new Error("ran")', 'body', 's.js'), 'function')
})

const MEGABYTES = 20_000_000
const LARGE = {
  'lines of comments': `${'// a\n'.repeat(MEGABYTES / 5)}return 7`,
  'a long comment': `//${'a'.repeat(MEGABYTES)}\nreturn 7`,
  spaces: `${' '.repeat(MEGABYTES)}return 7`,
  'a long string': `return "${'a'.repeat(MEGABYTES)}" && 7`,
}
for (const [title, code] of Object.entries(LARGE)) {
  test(`a file of 20 MB loads: ${title}`, async (t) => {
    const folder = folderWith(t, { 's.js': code })
    const { default: step } = await loadStep(join(folder, 's.js'))
    assert.equal(await step(), 7)
  })
}

const DEEP = {
  parentheses: '('.repeat(20_000) + ')'.repeat(20_000),
  arrays: `return ${'['.repeat(20_000)}${']'.repeat(20_000)}`,
  'a pattern': `export const ${'['.repeat(20_000)}a${']'.repeat(20_000)} = 1`,
}
for (const [title, code] of Object.entries(DEEP)) {
  test(`what is nested too deeply is refused: ${title}`, async (t) => {
    const folder = folderWith(t, { 's.js': code })
    await assert.rejects(
      loadStep(join(folder, 's.js')),
      /s\.js: it is no step: it is nested too deeply/,
    )
  })
}
