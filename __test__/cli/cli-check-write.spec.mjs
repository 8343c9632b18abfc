// `dollar-send check --write`: names of an export that a program cannot have.

import assert from 'node:assert/strict'
import { mkdirSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

import { command, folderWith, node } from '../support/checking.mjs'
import { uniqueNames } from '../../js/cli/check/write.mjs'
import { stepNames } from '../../js/cli/sequence.mjs'

test('names that no step can have are written as names that it can', async (t) => {
  const proto = '{ "a": { "__proto__": { "polluted": 1 } } }'
  const step = (/** @type {string} */ name, /** @type {string} */ code, params = '{}') =>
    `{ "namespace": ${JSON.stringify(name)}, "code_raw": ${JSON.stringify(code)}, "params": ${params} }`
  const shows =
    'async (event, steps, params) => JSON.stringify([params, params.a.polluted ?? null])'
  const steps = [
    step('42', 'async () => 1'),
    step('trigger', 'async () => 2'),
    step('__proto__', 'async () => 3'),
    step('shows', shows, proto),
  ]
  const folder = folderWith(t, { 'w.json': `{ "name": "Odd", "steps": [${steps.join(',')}] }` })
  const { code, stdout, stderr } = await command(folder, ['check', 'w.json', '--write', 'out'])
  assert.equal(code, 0, stdout + stderr)
  mkdirSync(join(folder, 'node_modules'))
  const root = fileURLToPath(new URL('../../', import.meta.url))
  symlinkSync(root, join(folder, 'node_modules/dollar-send'), 'junction')
  const program = await node(folder, ['out/workflow.mjs'])
  assert.equal(program.code, 0, program.stderr)
  assert.match(program.stdout, /^returned /)
  for (const name of ['step_42', 'step_trigger', 'step___proto__', 'shows'])
    assert.match(program.stdout, new RegExp(`\\b${name}: `))
  assert.ok(program.stdout.includes('[{"a":{"__proto__":{"polluted":1}}},null]'), program.stdout)
})

test('names that are taken get the next number, in time that grows with their count', () => {
  assert.deepEqual(uniqueNames(['x', 'x_2', 'X', 'x', 'x_2']), ['x', 'x_2', 'X_3', 'x_4', 'x_2_2'])
  const files = ['a/x.js', 'b/x.mjs', 'x_2.js', 'trigger.js', 'trigger.mjs']
  assert.deepEqual(stepNames(files), ['x', 'x_2', 'x_2_2', 'trigger_2', 'trigger_3'])
  const many = uniqueNames(Array.from({ length: 200_000 }, () => 'x'))
  assert.equal(many.at(-1), 'x_200000')
  const steps = stepNames(Array.from({ length: 200_000 }, (_, n) => `${n}/x.js`))
  assert.equal(steps.at(-1), 'x_200000')
})
