import assert from 'node:assert/strict'
import { it } from 'node:test'

import { runStep } from '../../js/index.mjs'
import { openEngine } from '../support/engine.mjs'

/* global $respond, $event, $context, $checkpoint:writable, $attachments, $send */

const WORKFLOW = { workflowId: 'p_steps', executionId: 'run-1', stepName: 'first' }

/** Runs a step and returns its result. */
async function run(t, step, options = {}) {
  return runStep(await openEngine(t), step, { ...WORKFLOW, ...options })
}

for (const [what, options, event] of [
  ['event alone', { event: { a: 1 } }, { a: 1 }],
  [
    'event beside steps.trigger.context',
    { event: { a: 1 }, steps: { trigger: { context: { id: 'x' } } } },
    { a: 1 },
  ],
  ['steps.trigger.event alone', { steps: { trigger: { event: { a: 1 } } } }, { a: 1 }],
  ['an event that is a text', { event: 'text' }, 'text'],
  ['nothing', {}, {}],
]) {
  it(`the event: is one for event, $event and steps.trigger, given ${what}`, async (t) => {
    const found = (event, steps) => [event, $event, steps.trigger.event, steps.trigger.raw_event]
    const v1 = await run(t, found, options)
    const v2 = await run(t, { run: ({ steps }) => found(steps.trigger.event, steps) }, options)
    for (const { returnValue } of [v1, v2]) {
      assert.deepEqual(returnValue, Array(4).fill(event))
      assert.equal(new Set(returnValue).size, 1)
    }
  })
}

it('steps: what the runner gives has priority, and is neither changed nor shared', async (t) => {
  const context = { id: 'mine' }
  const steps = { trigger: { context, raw_event: 1 }, one: { x: 1 } }
  const given = structuredClone(steps)
  const mutate = (_, found) => {
    assert.equal(found.trigger.context, context)
    assert.equal(found.trigger.raw_event, 1)
    found.one.x = 2
    found.trigger.event = 'changed'
    found.two = {}
    delete found.one.x
  }
  await run(t, mutate, { steps, event: { a: 1 } })
  assert.deepEqual(steps, given)
})

it('steps: may be frozen, and may have a trigger that is no object', async (t) => {
  const steps = Object.freeze({ trigger: Object.freeze({}), one: Object.freeze({ x: 1 }) })
  const first = await run(t, (event, found) => [event, found.one.x], { steps, event: 7 })
  assert.deepEqual(first.returnValue, [7, 1])
  const odd = await run(t, () => $context.id, { steps: { trigger: { context: 'text' } } })
  assert.equal(odd.returnValue, 'run-1')
  const second = await run(t, (_, found) => found.trigger, { steps: { trigger: 'text' } })
  assert.equal(second.returnValue, 'text')
})

it('the context: has what the execution knows, under what the runner gives', async (t) => {
  const step = { run: ({ steps, $ }) => [$.context, steps.trigger.context, $context] }
  const options = { attempt: 3, context: { owner_id: 'o_1', run: { runs: 2 } } }
  const { returnValue } = await run(t, step, options)
  const [context, ...others] = returnValue
  for (const other of others) assert.equal(other, context)
  const { id, workflow_id, attempt, owner_id, test, replay } = context
  assert.deepEqual(
    [id, workflow_id, attempt, owner_id, test, replay],
    ['run-1', 'p_steps', 3, 'o_1', false, false],
  )
  assert.equal(context.run.runs, 2)
  assert.equal(new Date(context.ts).toISOString(), context.ts)
})

it('the context: has the id of the run also when it was generated', async (t) => {
  const { executionId, returnValue } = await run(t, () => $context.id, { executionId: undefined })
  assert.equal(returnValue, executionId)
})

it('the globals: of two steps at a time are kept apart', async (t) => {
  const engine = await openEngine(t)
  const turn = () => new Promise((resolve) => setImmediate(resolve))
  const step = async (event) => {
    await turn()
    $checkpoint = event.n
    await turn()
    return [$event.n, $checkpoint, $context.id, $attachments.file]
  }
  const runs = [1, 2].map((n) =>
    runStep(engine, step, {
      workflowId: 'p',
      stepName: `step_${n}`,
      executionId: `run-${n}`,
      event: { n },
      attachments: { file: `/tmp/${n}` },
    }),
  )
  const values = (await Promise.all(runs)).map(({ returnValue }) => returnValue)
  assert.deepEqual(values, [
    [1, 1, 'run-1', '/tmp/1'],
    [2, 2, 'run-2', '/tmp/2'],
  ])
})

it('the globals: are undefined outside a step, and a test may stand in for them', () => {
  for (const name of ['$event', '$context', '$checkpoint', '$attachments'])
    assert.equal(globalThis[name], undefined)
  const own = Object.getOwnPropertyDescriptor(globalThis, '$event')
  globalThis.$event = 'a stand-in'
  assert.equal(globalThis.$event, 'a stand-in')
  Object.defineProperty(globalThis, '$event', own)
  assert.throws(() => $respond({}), { code: 'ERR_SEND_NO_STEP' })
})

it('the globals: a step that replaces $send does so for itself alone', async (t) => {
  const engine = await openEngine(t)
  const before = globalThis.$send
  const calls = []
  const replacing = () => {
    globalThis.$send = { http: (config) => calls.push(config) }
    $send.http({ own: true })
  }
  const { receipt } = await runStep(engine, replacing, WORKFLOW)
  assert.deepEqual([calls, receipt.recorded], [[{ own: true }], 0])
  assert.equal(globalThis.$send, before)
  const next = await runStep(engine, () => $send.email({ subject: 's' }), WORKFLOW)
  assert.equal(next.receipt.recorded, 1)
})

it('$respond and $.respond: return a promise, and the last response is in the result', async (t) => {
  const promises = []
  const v1 = await run(t, async () => {
    promises.push($respond({ status: 200 }), $respond({ status: 201, body: 'hi' }))
    await Promise.all(promises)
  })
  assert.ok(promises.every((promise) => promise instanceof Promise))
  assert.deepEqual(v1.response, { status: 201, body: 'hi' })
  const v2 = await run(t, { run: ({ $ }) => $.interface.http.respond({ status: 202 }) })
  assert.deepEqual(v2.response, { status: 202 })
})

it('$.respond: reaches the runner at once with immediate: true', async (t) => {
  const order = []
  const respond = async (response) => {
    await new Promise((resolve) => setImmediate(resolve))
    order.push(response.status)
  }
  const step = {
    async run({ $ }) {
      await $.respond({ status: 200, immediate: true })
      order.push('after')
      await $.respond({ status: 201 })
    },
  }
  const { response } = await run(t, step, { respond })
  assert.deepEqual(order, [200, 'after'])
  assert.deepEqual(response, { status: 201 })
})

it('$.respond: a runner that refuses rejects the promise, and ends nothing when it floats', async (t) => {
  const respond = () => {
    throw new Error('gone')
  }
  const floating = {
    run({ $ }) {
      $.respond({ immediate: true })
    },
  }
  const { status, warnings } = await run(t, floating, { respond })
  assert.equal(status, 'returned')
  assert.deepEqual(warnings, ['the immediate response failed: gone'])
  const awaiting = { run: ({ $ }) => $.respond({ immediate: true }) }
  await assert.rejects(run(t, awaiting, { respond }), { message: 'gone' })
})

it('$attachments and $.files: are what the runner gives', async (t) => {
  const files = { open: (path) => `opened ${path}` }
  const step = { run: ({ $ }) => [$.files.open('a'), $attachments['a.csv']] }
  const options = { files, attachments: { 'a.csv': '/tmp/a' } }
  assert.deepEqual((await run(t, step, options)).returnValue, ['opened a', '/tmp/a'])
  const none = await run(t, () => $attachments['a.csv'])
  assert.equal(none.returnValue, undefined)
  const refused = run(t, { run: ({ $ }) => $.files.open('a') })
  await assert.rejects(refused, {
    code: 'ERR_SEND_NOT_SUPPORTED',
    message: /\$\.files\.open\(\) is not supported by this runner: it needs the option files/,
  })
  const looked = await run(t, { run: async ({ $ }) => JSON.stringify(await $.files) })
  assert.equal(looked.returnValue, '{}')
})

it('$checkpoint: is one value per step, which outlives the run', async (t) => {
  const engine = await openEngine(t)
  const count = () => {
    $checkpoint = ($checkpoint ?? 0) + 1
    return $checkpoint
  }
  const values = []
  for (const stepName of ['a', 'a', 'b', 'a']) {
    const { returnValue } = await runStep(engine, count, { workflowId: 'p', stepName })
    values.push(returnValue)
  }
  assert.deepEqual(values, [1, 2, 1, 3])
})

it('$checkpoint: keeps what is changed in place, as this.$checkpoint too, also after a throw', async (t) => {
  const engine = await openEngine(t)
  const throwing = function () {
    this.$checkpoint ??= { seen: [] }
    this.$checkpoint.seen.push(this.$checkpoint.seen.length)
    throw new Error('stop')
  }
  await runStep(engine, throwing, WORKFLOW).catch(() => {})
  await runStep(engine, throwing, WORKFLOW).catch(() => {})
  const { returnValue, exports } = await runStep(
    engine,
    function () {
      return this.$checkpoint.seen
    },
    WORKFLOW,
  )
  assert.deepEqual(returnValue, [0, 1])
  assert.deepEqual(Object.keys(exports), ['$return_value'])
})

it('$checkpoint: is kept by services.checkpoint, which may be asynchronous', async (t) => {
  const kept = new Map([['p_steps/first', { n: 1 }]])
  const checkpoint = {
    get: async (key) => kept.get(key),
    set: async (key, value) => void kept.set(key, value),
  }
  const step = () => $checkpoint.n++
  const { returnValue } = await run(t, step, { services: { checkpoint } })
  assert.equal(returnValue, 1)
  assert.deepEqual([...kept], [['p_steps/first', { n: 2 }]])
})

it('$checkpoint: a value that cannot be kept is a warning of the result', async (t) => {
  const step = () => {
    $checkpoint = { fn() {} }
  }
  const { warnings } = await run(t, step)
  assert.match(warnings[0], /the checkpoint is not kept: .*could not be cloned/)
})
