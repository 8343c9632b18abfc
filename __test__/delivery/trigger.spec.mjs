// What began a run, and the text of its end: in the log, over REST, and after a restart.

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { Engine, runStep, runWorkflow } from 'dollar-send'

import { dataDirectory } from '../support/data-dir.mjs'
import { serve } from '../support/serving.mjs'

/** @typedef {{ after(fn: () => unknown): void }} Context */

/** @param {Context} t @param {object} [options] */
async function opened(t, options) {
  const engine = await Engine.open(options)
  t.after(() => engine.close({ timeoutMs: 0 }))
  return engine
}

test('a trigger is a name, or a method and a path without its query', async (t) => {
  const engine = await opened(t)
  /** @type {[any, string | undefined][]} */
  const cases = [
    [undefined, undefined],
    ['every 5 minutes', 'every 5 minutes'],
    ['x'.repeat(501), `${'x'.repeat(499)}…`],
    [{ method: 'post', path: '/hooks/order?token=secret' }, 'POST /hooks/order'],
    [{ method: 'GET', path: `/${'a'.repeat(10_000)}` }, `GET /${'a'.repeat(494)}…`],
    [{ method: 'GET', path: '/a#b' }, 'GET /a'],
  ]
  for (const [trigger, shown] of cases) {
    await engine.execution({ workflowId: 'p_trigger', trigger }).complete()
    const [row] = await engine.executions({ limit: 1 })
    assert.equal(row?.trigger, shown)
  }
})

test('a trigger of another form is refused', async (t) => {
  const engine = await opened(t)
  /** @type {[any, RegExp][]} */
  const cases = [
    ['', /trigger must be a text that is not empty, or \{ method, path \}/],
    [null, /trigger must be/],
    [5, /trigger must be/],
    [['POST', '/'], /trigger must be/],
    [{ method: 'POST' }, /trigger\.path must be a text/],
    [{ method: 'POST', path: '' }, /trigger\.path must be a text/],
    [{ method: 'P OST', path: '/' }, /trigger\.method must be an HTTP method/],
    [{ method: 'X'.repeat(33), path: '/' }, /trigger\.method must be an HTTP method/],
    [{ method: 'POST', pth: '/' }, /unknown option trigger\.pth\. Did you mean trigger\.path\?/],
  ]
  for (const [trigger, message] of cases) {
    const refused = { code: 'ERR_SEND_INVALID_ARGUMENT', message }
    assert.throws(() => engine.execution({ workflowId: 'p', trigger }), refused)
  }
  const execution = engine.execution({ workflowId: 'p' })
  await assert.rejects(execution.complete(/** @type {any} */ ({ message: 5 })), {
    code: 'ERR_SEND_INVALID_ARGUMENT',
    message: 'execution.complete(): message must be a text',
  })
  await execution.complete({ message: 'y'.repeat(1001) })
  const [row] = await engine.executions({ limit: 1 })
  assert.equal(row?.message, `${'y'.repeat(999)}…`)
})

test('the text of $end() and $.flow.exit() is in the log, whoever completes the run', async (t) => {
  const engine = await opened(t)
  const trigger = { method: 'POST', path: '/order' }
  const ends = () => globalThis.$end('no order in the event')
  const exits = { run: (/** @type {any} */ { $ }) => $.flow.exit('nothing is new') }
  const last = async () => (await engine.executions({ limit: 1 }))[0]

  await runStep(engine, ends, { workflowId: 'p_step', trigger })
  assert.deepEqual(
    [(await last())?.message, (await last())?.trigger, (await last())?.status],
    ['no order in the event', 'POST /order', 'completed'],
  )
  await runWorkflow(engine, { id: 'p_flow', trigger: 'nightly', steps: { first: exits } })
  assert.deepEqual(
    [(await last())?.message, (await last())?.trigger],
    ['nothing is new', 'nightly'],
  )
  await engine.run({ workflowId: 'p_run' }, (execution) => execution.run('code', ends))
  assert.equal((await last())?.message, 'no order in the event')
  await engine.run({ workflowId: 'p_own' }, async (execution) => {
    await execution.run('code', ends)
    await execution.complete({ message: 'my own words' })
  })
  assert.equal((await last())?.message, 'my own words')
  await engine.run({ workflowId: 'p_none' }, () => {})
  assert.equal((await last())?.message, undefined)
  await assert.rejects(
    engine.run({ workflowId: 'p_threw' }, () => {
      throw new Error('no such order')
    }),
    { message: 'no such order' },
  )
  assert.equal((await last())?.error, 'no such order')
})

test('trigger and message survive a restart, and are found by a search', async (t) => {
  const dataDir = dataDirectory(t)
  const first = await Engine.open({ dataDir })
  const execution = first.execution({ workflowId: 'p_kept', trigger: 'Every night' })
  await execution.complete({ message: 'Nothing to do' })
  await first.execution({ workflowId: 'p_other', trigger: 'POST /order' }).complete()
  await first.close()
  const { engine, url } = await serve(t, {}, { dataDir })
  const [, row] = await engine.executions()
  assert.deepEqual([row?.trigger, row?.message], ['Every night', 'Nothing to do'])
  /** @type {[string, string[]][]} */
  const searches = [
    ['trigger:night', ['p_kept']],
    ['trigger:"every NIGHT"', ['p_kept']],
    ['trigger:post', ['p_other']],
    ['trigger:nothing', []],
    ['nothing', ['p_kept']],
    ['/order', ['p_other']],
  ]
  for (const [search, expected] of searches) {
    const response = await fetch(`${url}/v1/executions?search=${encodeURIComponent(search)}`)
    const { data } = /** @type {{ data: { workflowId: string }[] }} */ (await response.json())
    assert.deepEqual(
      data.map(({ workflowId }) => workflowId),
      expected,
      search,
    )
  }
})
