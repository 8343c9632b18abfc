// Unknown names and wrong types in options and filters, and what their refusals say.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

import { Engine, runStep } from '../../js/index.mjs'
import suggest from '../../js/suggest.cjs'
import { openEngine, openStep } from '../support/engine.mjs'

/**
 * @param {() => unknown} call
 * @returns {Promise<any>} the error
 */
async function refused(call) {
  try {
    await call()
  } catch (error) {
    return error
  }
  assert.fail('it was not refused')
}

test('methods refuse unknown members with the one that was meant', async (t) => {
  const { execution, engine: any } = await openStep(t)
  const engine = /** @type {any} */ (any)
  for (const [call, expected] of /** @type {[() => unknown, string][]} */ ([
    [
      () => engine.replay({ workflow: 'p', status: 'failed' }),
      'engine.replay(): unknown filter workflow. Did you mean workflowId?',
    ],
    [
      () => engine.deliveries({ workflow: 'p' }),
      'engine.deliveries(): unknown filter workflow. Did you mean workflowId?',
    ],
    [
      () => engine.executions({ status: 'failed' }),
      'engine.executions(): unknown filter status. Known: workflowId, limit, before',
    ],
    [
      () => engine.flush({ timeout: 3 }),
      'engine.flush(): unknown option timeout. Did you mean timeoutMs?',
    ],
    [
      () => engine.close({ timeoutMS: 3 }),
      'engine.close(): unknown option timeoutMS. Did you mean timeoutMs?',
    ],
    [
      () => /** @type {any} */ (execution).settled({ ms: 3 }),
      'execution.settled(): unknown option ms. Known: timeoutMs',
    ],
    [
      () => engine.execution({ workflow: 'p' }),
      'engine.execution(): unknown option workflow. Did you mean workflowId?',
    ],
    [
      () => engine.streamUrl('p', { expires: 3 }),
      'engine.streamUrl(): unknown option expires. Did you mean expiresInMs?',
    ],
    [
      () => engine.subscribe({ emiterId: 'p' }, () => {}),
      'engine.subscribe(): unknown member emiterId. Did you mean emitterId?',
    ],
  ])) {
    const { code, message } = await refused(call)
    assert.deepEqual({ code, message }, { code: 'ERR_SEND_INVALID_ARGUMENT', message: expected })
  }
})

test('methods refuse wrong types in words', async (t) => {
  const engine = /** @type {any} */ (await openEngine(t))
  for (const [call, expected] of /** @type {[() => unknown, string][]} */ ([
    [
      () => engine.deliveries({ limit: '5' }),
      'engine.deliveries(): limit must be a whole number from 0, not "5"',
    ],
    [
      () => engine.deliveries({ limit: -1 }),
      'engine.deliveries(): limit must be a whole number from 0, not -1',
    ],
    [() => engine.deliveries([]), 'engine.deliveries(): the filter must be an object, not a list'],
    [() => engine.executions('p'), 'engine.executions(): the filter must be an object, not "p"'],
    [() => engine.replay({ ids: 'x' }), 'engine.replay(): ids must be a list of texts, not "x"'],
    [
      () => engine.replay(),
      "engine.replay(): needs { ids } or a filter, such as { status: 'failed' }",
    ],
    [() => engine.flush({ timeoutMs: '1' }), 'engine.flush(): timeoutMs must be a number, not "1"'],
  ])) {
    const { code, message } = await refused(call)
    assert.deepEqual({ code, message }, { code: 'ERR_SEND_INVALID_ARGUMENT', message: expected })
  }
})

test('a call without an argument says what is missing', async (t) => {
  const { $send } = await openStep(t)
  const { message } = await refused(() => /** @type {any} */ ($send).http())
  assert.equal(
    message,
    '$send.http: invalid value undefined for the argument: it must be an object',
  )
})

test('Engine.open names the option that was meant, and the type it wants', async () => {
  for (const [options, expected] of /** @type {[any, string][]} */ ([
    [{ datadir: 'x' }, 'Engine.open(): unknown option datadir. Did you mean dataDir?'],
    [
      { egress: { alow: [] } },
      'Engine.open(): unknown option egress.alow. Did you mean egress.allow?',
    ],
    [{ dataDir: ['x'] }, 'Engine.open(): dataDir: must be a string, not a list'],
  ])) {
    const { code, message } = await refused(() => Engine.open(options))
    assert.deepEqual({ code, message }, { code: 'ERR_SEND_INVALID_OPTION', message: expected })
  }
})

test('stacks begin at the caller', async (t) => {
  const engine = /** @type {any} */ (await openEngine(t))
  const { $send } = engine.execution({ workflowId: 'p' }).step('s')
  const own = fileURLToPath(import.meta.url)
  for (const call of [
    async () => engine.deliveries({ workflow: 'p' }),
    async () => Engine.open(/** @type {any} */ ({ datadir: 'x' })),
    async () => $send.http({ url: 5 }),
    async () => runStep(/** @type {any} */ ({ workflowId: 'p', evnt: 1 }), () => {}),
    async () => await engine.replay({ ids: ['x'] }),
  ]) {
    const error = await refused(call)
    const [first] = error.stack
      .split('\n')
      .filter((/** @type {string} */ line) => /^\s+at /.test(line))
    assert.ok(first.includes(own), error.stack)
  }
})

test('a suggestion is near enough, or there is none', () => {
  const known = ['workflowId', 'limit', 'status']
  for (const [name, expected] of /** @type {const} */ ([
    ['limt', 'limit'],
    ['limti', 'limit'],
    ['workflow_id', 'workflowId'],
    ['Status', 'status'],
    ['colour', undefined],
    ['', undefined],
    ['x'.repeat(65), undefined],
  ]))
    assert.equal(suggest.nearest(name, known), expected, name)
})
