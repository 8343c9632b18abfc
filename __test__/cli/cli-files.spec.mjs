// Files that the command refuses, and the place of an error in JSON.

import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

import { locateJsonError } from '../../js/cli/json.mjs'
import { folderWith } from '../support/step-folder.mjs'

const MAIN = fileURLToPath(new URL('../../js/cli/main.mjs', import.meta.url))

const PIPES = {
  'check f.json': /^dollar-send: f\.json: it is not a regular file\./,
  'check f.zip': /^dollar-send: f\.zip: it is not a regular file\./,
  'run s.mjs --event f.json': /--event f\.json: it is not a regular file\./,
  'run s.mjs --props f.json': /--props f\.json: it is not a regular file\./,
  'run f.mjs': /File f\.mjs: it is not a regular file\./,
  'run module.mjs': /f\.mjs: it is not a regular file/,
  'run json.mjs': /f\.json: it is not a regular file/,
  'run require.cjs': /f\.json: it is not a regular file/,
}
for (const [args, message] of Object.entries(PIPES)) {
  test(`refuses a named pipe: ${args}`, { skip: process.platform === 'win32' }, async (t) => {
    const folder = folderWith(t, {
      's.mjs': 'export default () => 1',
      'module.mjs': "import './f.mjs'\nexport default () => 1",
      'json.mjs': "import './f.json'\nexport default () => 1",
      'require.cjs': "require('./f.json')\nmodule.exports = () => 1",
    })
    execFileSync('mkfifo', ['f.json', 'f.zip', 'f.mjs'], { cwd: folder })
    const { status, stderr } = spawnSync(process.execPath, [MAIN, ...args.split(' ')], {
      cwd: folder,
      encoding: 'utf8',
      timeout: 20_000,
    })
    assert.match(stderr, message)
    assert.equal(status, 2)
  })
}

const PLACES = {
  [`{"a": "${'b'.repeat(20_000_000)}" 1}`]: [1, 20_000_010, ', or the closing bracket'],
  [`${'\n'.repeat(20_000_000)}[1,]`]: [20_000_001, 4, 'a value'],
  '{"a": "b\\x"}': [1, 7, 'a value'],
  '{"a": "b\\u00e9\\n"} 1': [1, 20, 'the end of the text'],
  '["a\n"]': [1, 2, 'a value or ]'],
  ' \t"open': [1, 3, 'a value'],
  '': [1, 1, 'a value'],
}
for (const [json, [line, column, expected]] of Object.entries(PLACES)) {
  test(`the place of an error in JSON: ${JSON.stringify(json).slice(0, 30)}`, () => {
    assert.deepEqual(locateJsonError(json), { line, column, expected })
  })
}

test('JSON has no place of an error', () => {
  assert.equal(locateJsonError(' {"a\\"": [1, -2.5e3, true, {}, []], "b": null}\n'), undefined)
})
