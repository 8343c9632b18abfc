// The table of docs/running/steps.md against what a step finds.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { it } from 'node:test'

import { runStep } from '../../js/index.mjs'
import { openEngine } from '../support/engine.mjs'

const DOC = readFileSync(new URL('../../docs/running/steps.md', import.meta.url), 'utf8')
const [, TABLE] = DOC.split('## What a step finds')
const ROWS = [...TABLE.matchAll(/^\| `([^`]+)` \| (✔?) ?\| (✔?) ?\| (.+) \|$/gm)].map(
  ([, name, v1, v2, here]) => ({ name, v1: v1 !== '', v2: v2 !== '', here }),
)

/** The value of a dotted name; `$` and `this` are arguments. */
const read = (name, scope) =>
  name.split('.').reduce((value, part, at) => (at === 0 ? scope(part) : value[part]), undefined)

/** Names that are the arguments of a step, by the place in which v1 gets them. */
const ARGUMENTS = ['event', 'steps', 'params', 'auths']

/** What a v1 or v2 step finds under each documented name: its type, or why it is not there. */
async function found(t, version) {
  const types = {}
  const look = (scope) => {
    for (const row of ROWS) {
      if (!row[version]) continue
      try {
        types[row.name] = typeof read(row.name, scope)
      } catch (error) {
        types[row.name] = error.message
      }
    }
  }
  const v1 = function (...args) {
    look((name) => {
      if (name === 'this') return this
      return ARGUMENTS.includes(name) ? args[ARGUMENTS.indexOf(name)] : globalThis[name]
    })
  }
  const v2 = {
    run(argument) {
      look((name) => (name === 'this' ? this : (argument[name] ?? globalThis[name])))
    },
  }
  await runStep(await openEngine(t), version === 'v1' ? v1 : v2, {
    workflowId: 'p',
    services: { checkpoint: new Map([['p/code', { n: 1 }]]) },
  })
  return types
}

for (const version of ['v1', 'v2']) {
  it(`docs/running/steps.md: everything that a ${version} step finds is there`, async (t) => {
    const types = await found(t, version)
    assert.ok(Object.keys(types).length > 15)
    const missing = Object.entries(types).filter(([, type]) => !/^(object|function)$/.test(type))
    assert.deepEqual(missing, [])
  })
}

it('docs/running/steps.md: each row has a tick or says what differs', () => {
  for (const { name, here } of ROWS) assert.ok(here.startsWith('✔') || here.length > 10, name)
})

it('docs/running/steps.md: every member of $, of $.flow and every global of the package is in the table', async (t) => {
  const documented = ROWS.map(({ name }) => name)
  const globals = ['$send', '$end', '$respond', '$event', '$context', '$attachments', '$checkpoint']
  const members = []
  const step = {
    run({ $ }) {
      for (const name of Object.keys($)) members.push(`$.${name}`)
      for (const name of Object.keys($.flow)) members.push(`$.flow.${name}`)
    },
  }
  await runStep(await openEngine(t), step, { workflowId: 'p' })
  const isDocumented = (name) =>
    documented.some((known) => known === name || known.startsWith(`${name}.`))
  assert.deepEqual(
    [...globals, ...members].filter((name) => !isDocumented(name)),
    [],
  )
})

it('docs/running/steps.md: names the members of the context', async (t) => {
  const { returnValue } = await runStep(await openEngine(t), () => globalThis.$context, {
    workflowId: 'p',
  })
  const [, text] = DOC.split('### The context')
  for (const name of Object.keys(returnValue)) assert.match(text, new RegExp(`\`${name}\\b`))
})
