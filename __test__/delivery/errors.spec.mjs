// Every error code: declared, defined, documented, and reached by some test.

import assert from 'node:assert/strict'
import { readFileSync, readdirSync } from 'node:fs'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

import { Engine, runStep } from '../../js/index.mjs'
import { $send as globalSend } from '../../js/global.mjs'
import { codesOf } from '../../scripts/docs/codes.mjs'
import { LOCAL, openEngine, openStep } from '../support/engine.mjs'

const ROOT = fileURLToPath(new URL('../../', import.meta.url))
const CODE = /\bERR_SEND_[A-Z0-9_]*[A-Z0-9]\b/g

/** @param {string} path */
const read = (path) => readFileSync(`${ROOT}${path}`, 'utf8')

/** The text of all files with one of the endings in a folder. */
function readAll(folder, ...endings) {
  const files = readdirSync(`${ROOT}${folder}`, { recursive: true, encoding: 'utf8' })
  const wanted = files.filter((file) => endings.some((ending) => file.endsWith(ending)))
  return wanted.map((file) => read(`${folder}/${file}`)).join('\n')
}

const codesIn = (text) => [...new Set(text.match(CODE) ?? [])].sort()

/** The members of the union type `ErrorCode`, in their order. */
function declared() {
  return codesOf('ErrorCode').map(({ code }) => code)
}

test('the declared codes are unique', () => {
  const codes = declared()
  assert.ok(codes.length > 20)
  assert.equal(new Set(codes).size, codes.length)
})

test('the declared codes are those of src/error.rs, in its order', () => {
  const source = read('src/error.rs')
  const [, body] = /error_kinds! \{([^]*?)\n\}/.exec(source)
  assert.deepEqual(declared(), body.match(CODE))
  assert.deepEqual(
    codesIn(source.replace(body, '')).filter((code) => !declared().includes(code)),
    [],
  )
})

test('no other code is used or declared anywhere', () => {
  const sources = [readAll('js', '.cjs', '.mjs', '.ts'), readAll('src', '.rs'), read('index.d.ts')]
  assert.deepEqual(
    codesIn(sources.join('\n')).filter((code) => !declared().includes(code)),
    [],
  )
})

test('docs/reference/errors.md documents every code and no other', () => {
  assert.deepEqual(codesIn(read('docs/reference/errors.md')), [...declared()].sort())
})

test('every code is reached by a test, which says so', () => {
  const tests = [readAll('__test__', '.mjs'), readAll('tests', '.rs'), readAll('src', '.rs')].join(
    '\n',
  )
  const reached = new Set(
    [...tests.matchAll(/\/\/ reaches (ERR_SEND_\w+)/g)].map(([, code]) => code),
  )
  assert.deepEqual(
    declared().filter((code) => !reached.has(code)),
    [],
    'codes without a comment "reaches CODE" in __test__, tests or the unit tests of src',
  )
})

/** How the codes that need no network are provoked: errors of calls, not of deliveries. */
const PROVOKED = {
  ERR_SEND_INVALID_OPTION: () => Engine.open({ htpp: {} }),
  ERR_SEND_INVALID_ARGUMENT: async (t) => (await openStep(t)).$send.http({}),
  ERR_SEND_PAYLOAD_TOO_LARGE: async (t) => {
    const { $send } = await openStep(t, { maxPayloadBytes: 10 })
    $send.email({ text: 'x'.repeat(20) })
  },
  ERR_SEND_JOURNAL_FULL: async (t) => (await openStep(t, { maxPendingBytes: 1 })).$send.email({}),
  ERR_SEND_EXECUTION_COMPLETED: async (t) => {
    const { $send, execution } = await openStep(t, { lateCalls: 'throw' })
    execution.discard()
    $send.email({})
  },
  ERR_SEND_CLOSED: async (t) => {
    const engine = await openEngine(t)
    await engine.close()
    engine.execution({ workflowId: 'p' })
  },
  ERR_SEND_TIMEOUT: async (t) => (await openStep(t)).execution.settled({ timeoutMs: 1 }),
  // reaches ERR_SEND_NO_STEP
  ERR_SEND_NO_STEP: async () => globalSend.email({}),
}

for (const [code, provoke] of Object.entries(PROVOKED)) {
  test(`${code} is an Error with a code, a message and a stack that leads here`, async (t) => {
    const error = await Promise.resolve(provoke(t)).then(
      () => assert.fail('nothing was thrown'),
      (thrown) => thrown,
    )
    assert.equal(error instanceof Error, true)
    assert.equal(error.code, code)
    assert.ok(error.message.length > 20 && !error.message.includes('undefined (os'), error.message)
    assert.equal(typeof error.stack, 'string')
    assert.equal(Object.getOwnPropertyDescriptor(error, 'code').writable, true)
  })
}

test('the class of an error goes with its code', async (t) => {
  const classes = {
    ERR_SEND_INVALID_OPTION: TypeError,
    ERR_SEND_INVALID_ARGUMENT: TypeError,
    ERR_SEND_PAYLOAD_TOO_LARGE: RangeError,
    ERR_SEND_JOURNAL_FULL: Error,
    ERR_SEND_TIMEOUT: Error,
  }
  for (const [code, Class] of Object.entries(classes)) {
    await assert.rejects(Promise.resolve(PROVOKED[code](t)), (error) => {
      assert.equal(error.constructor, Class, code)
      return true
    })
  }
})

test('an error that another one caused says so', async (t) => {
  const engine = await openEngine(t)
  await assert.rejects(engine.deliveries({ before: 'x' }), (error) => {
    assert.equal(error.code, 'ERR_SEND_INVALID_ARGUMENT')
    assert.equal(error.cause instanceof Error, true)
    return true
  })
})

test('an error of the step itself passes through', async () => {
  const engine = await Engine.open({ egress: LOCAL })
  const own = new Error('mine')
  const fail = () => {
    throw own
  }
  await assert.rejects(runStep(engine, fail, { workflowId: 'p' }), (error) => error === own)
  await engine.close()
})
