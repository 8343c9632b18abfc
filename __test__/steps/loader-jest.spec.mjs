// Step files under Jest, whose realm has its own globals, and where import() needs flags.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { text } from 'node:stream/consumers'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

import { TEST_RUNNERS_FOLDER } from '../../scripts/npm-tools.mjs'
import { PATIENCE_MS } from '../support/patience.mjs'

const ROOT = fileURLToPath(new URL('../../', import.meta.url))

const FILES = {
  'jest.config.cjs': "module.exports = { testEnvironment: 'node' }",
  'node_modules/greeter/package.json':
    '{ "name": "greeter", "version": "1.2.3", "main": "main.js" }',
  'node_modules/greeter/main.js': "module.exports = (name) => 'Hello ' + name",
  'node_modules/modern/package.json':
    '{ "name": "modern", "version": "1.0.0", "type": "module", "exports": "./main.js" }',
  'node_modules/modern/main.js': 'export default 5',
  'module.mjs':
    "import greet from 'greeter@1'\nimport { list } from './helper.mjs'\nimport { sep } from 'node:path'\nexport default async (event) => { this.list = list; return greet(event.name + sep.length) }",
  'helper.mjs': 'export const list = [1]',
  'body.js':
    "\nthis.error = new RangeError('of the test')\nthis.place = this.error.stack.split('\\n')[1]\nreturn (await import('greeter@1')).default(event.name)",
  'modern.mjs': "import five from 'modern'\nexport default () => five",
  'steps.test.cjs': `
    const { Engine, loadStep, runStep } = require('dollar-send')
    const { join } = require('node:path')
    let engine
    beforeAll(async () => { engine = await Engine.open({}) })
    afterAll(() => engine.close())
    const run = async (name) =>
      runStep(engine, await loadStep(join(__dirname, name)), { workflowId: 'p', event: { name: 'Ada' } })
    test('a module with a pinned import and a helper', async () => {
      const { returnValue, exports } = await run('module.mjs')
      expect(returnValue).toBe('Hello Ada1')
      expect(exports.list).toBeInstanceOf(Array)
    })
    test('a body, with errors of this realm and their place', async () => {
      const { returnValue, exports } = await run('body.js')
      expect(returnValue).toBe('Hello Ada')
      expect(exports.error).toBeInstanceOf(RangeError)
      expect(exports.place).toMatch('body.js:2:')
    })
    test('a package that is an ES module', async () => {
      const result = run('modern.mjs')
      if (process.execArgv.includes('--experimental-vm-modules')) {
        expect((await result).returnValue).toBe(5)
      } else await expect(result).rejects.toThrow(/modern is an ES module.*--experimental-vm-modules/)
    })`,
}

/** A project with the package installed, which ends with the test. */
function project(t) {
  if (!existsSync(join(TEST_RUNNERS_FOLDER, 'node_modules', 'jest'))) {
    assert.fail('Jest is missing: run `node scripts/test.mjs node`')
  }
  const folder = mkdtempSync(join(TEST_RUNNERS_FOLDER, 'steps-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  const own = join(folder, 'node_modules', 'dollar-send')
  for (const name of ['js', 'binding.cjs', 'package.json']) {
    cpSync(join(ROOT, name), join(own, name), { recursive: true })
  }
  const addons = readdirSync(ROOT).filter((name) => name.endsWith('.node'))
  for (const name of addons) symlinkSync(join(ROOT, name), join(own, name))
  for (const [name, content] of Object.entries(FILES)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true })
    writeFileSync(join(folder, name), content)
  }
  return folder
}

for (const flags of [[], ['--experimental-vm-modules']]) {
  test(`steps load under Jest ${flags.join() || 'without flags'}`, async (t) => {
    const jest = join(TEST_RUNNERS_FOLDER, 'node_modules/jest/bin/jest.js')
    const child = spawn(process.execPath, [...flags, jest, '--runInBand'], {
      cwd: project(t),
      env: { ...process.env, CI: '1', NO_COLOR: '1', NODE_TEST_CONTEXT: undefined },
      stdio: ['ignore', 'ignore', 'pipe'],
      timeout: PATIENCE_MS,
      killSignal: 'SIGKILL',
    })
    const exit = new Promise((resolve) => child.once('close', resolve))
    const [stderr, code] = await Promise.all([text(child.stderr), exit])
    assert.match(stderr, /^Tests: +3 passed, 3 total/m, stderr)
    assert.equal(code, 0)
  })
}
