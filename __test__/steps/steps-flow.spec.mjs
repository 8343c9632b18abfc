import assert from 'node:assert/strict'
import { it } from 'node:test'

import { runStep } from '../../js/index.mjs'
import { openEngine } from '../support/engine.mjs'

/* global $send */

const WORKFLOW = { workflowId: 'p_flow' }

for (const name of ['suspend', 'delay', 'rerun']) {
  it(`$.flow.${name}: reaches the runner after what is recorded left, and mails recorded after it leave too`, async (t) => {
    const engine = await openEngine(t)
    const execution = engine.execution(WORKFLOW)
    let seen
    const flow = {
      [name](...args) {
        seen = engine.deliveries({ workflowId: 'p_flow' })
        return { resume_url: `https://example.com/${args[0]}` }
      },
    }
    const step = {
      run({ $ }) {
        $send.email({ subject: 'before' })
        const { resume_url: link } = $.flow[name](5000, { a: 1 })
        $.send.email({ subject: 'resume', text: link })
      },
    }
    const result = await execution.run('wait', step, { flow })
    // The newest is first, and may be the second mail already.
    assert.notEqual((await seen).at(-1).status, 'recorded')
    assert.deepEqual(
      [result.status, result.flow],
      ['suspended', [{ name, arguments: [5000, { a: 1 }] }]],
    )
    // The execution is still open: the flush alone handed both over.
    assert.deepEqual(
      (await engine.deliveries()).map(({ status }) => status === 'recorded'),
      [false, false],
    )
    assert.equal((await execution.complete()).recorded, 0)
    const deliveries = await execution.settled()
    assert.deepEqual(
      deliveries.map(({ request }) => [request.subject, request.text]),
      [
        ['before', undefined],
        ['resume', 'https://example.com/5000'],
      ],
    )
  })

  it(`$.flow.${name}: without a flow names the option, and what was recorded is delivered`, async (t) => {
    const engine = await openEngine(t)
    const step = {
      run({ $ }) {
        $.send.email({ subject: 'before' })
        $.flow[name](1000)
      },
    }
    const error = await runStep(engine, step, WORKFLOW).catch((reason) => reason)
    // reaches ERR_SEND_NOT_SUPPORTED
    assert.equal(error.code, 'ERR_SEND_NOT_SUPPORTED')
    assert.match(error.message, new RegExp(`needs the option flow: \\{ ${name} \\}`))
    const [delivery] = await error.result.execution.settled()
    assert.equal(delivery.status, 'delivered')
  })
}

it('$.flow: an asynchronous member is waited for, after the flush', async (t) => {
  const flow = { suspend: async () => ({ resume_url: 'x' }) }
  const step = { run: async ({ $ }) => (await $.flow.suspend()).resume_url }
  const { returnValue } = await runStep(await openEngine(t), step, { ...WORKFLOW, flow })
  assert.equal(returnValue, 'x')
})

it('$.flow: resume, trigger and own members are passed on, and nothing is flushed for them', async (t) => {
  const calls = []
  const flow = {
    resume: (...args) => calls.push(['resume', ...args]),
    trigger: (...args) => calls.push(['trigger', ...args]),
    refreshTimeout: () => 'refreshed',
    own: () => 'own',
  }
  const step = {
    run({ $ }) {
      $.flow.resume('id')
      $.flow.trigger('p_other', { a: 1 })
      return [$.flow.refreshTimeout(), $.flow.own()]
    },
  }
  const result = await runStep(await openEngine(t), step, { ...WORKFLOW, flow })
  assert.equal(result.status, 'returned')
  assert.deepEqual(result.returnValue, ['refreshed', 'own'])
  assert.deepEqual(calls, [
    ['resume', 'id'],
    ['trigger', 'p_other', { a: 1 }],
  ])
})

it('$.flow: members that are missing name their option', async (t) => {
  const engine = await openEngine(t)
  for (const [name, option] of [
    ['resume', /flow: \{ resume \}/],
    ['trigger', /flow: \{ trigger \}/],
    ['refreshTimeout', /timeoutMs or flow: \{ refreshTimeout \}/],
  ]) {
    const run = runStep(engine, { run: ({ $ }) => $.flow[name]() }, WORKFLOW)
    await assert.rejects(run, { code: 'ERR_SEND_NOT_SUPPORTED', message: option })
  }
})

it('$.flow: what the runner throws is what the step sees', async (t) => {
  const refusal = new Error('too many reruns')
  const flow = {
    rerun() {
      throw refusal
    },
  }
  const step = { run: ({ $ }) => $.flow.rerun(1000) }
  const run = runStep(await openEngine(t), step, { ...WORKFLOW, flow })
  await assert.rejects(run, (error) => error === refusal)
})
