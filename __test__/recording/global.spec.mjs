import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { it } from 'node:test'
import { Worker } from 'node:worker_threads'

import * as globals from '../../js/global.mjs'
import { Engine, runStep } from '../../js/index.mjs'
import { receive } from '../support/recording-receiver.mjs'

/* global $send, $end, defineComponent */

const { NAMES } = createRequire(import.meta.url)('../../js/destinations/built-in.cjs')
const { runInStep } = globals
// At the top of the module, before any step: as steps in the wild do it.
const { http } = $send
const ROOT = new URL('../../js/index.cjs', import.meta.url)
const GLOBAL = new URL('../../js/global.cjs', import.meta.url)

async function open(t) {
  const engine = await Engine.open({ egress: { allow: ['127.0.0.0/8'] } })
  t.after(() => engine.close({ timeoutMs: 1000 }))
  return engine
}

it('dollar-send/global: is one module for import and require', () => {
  const required = createRequire(import.meta.url)('../../js/global.cjs')
  assert.deepEqual(Object.keys(required).sort(), Object.keys(globals).sort())
  for (const [name, value] of Object.entries(globals)) assert.equal(required[name], value)
  assert.equal(globals.$send, globalThis.$send)
})

it('dollar-send/global: defines a defineComponent that returns its argument', () => {
  const component = { run() {} }
  assert.equal(defineComponent(component), component)
})

it('dollar-send/global: refuses every destination and $end outside a step', () => {
  for (const name of [...NAMES, 'custom']) {
    assert.throws(() => $send[name]({}), {
      code: 'ERR_SEND_NO_STEP',
      message: new RegExp(`\\$send\\.${name} was used outside a step`),
    })
  }
  assert.throws(() => $end('x'), { code: 'ERR_SEND_NO_STEP' })
})

it('dollar-send/global: binds a method late that was taken from $send at the top of a module', async (t) => {
  const { url, bodies } = await receive(t)
  const engine = await open(t)
  for (const n of [1, 2]) {
    const { execution } = await runStep(engine, () => http({ method: 'POST', url, data: { n } }), {
      workflowId: 'p_global',
    })
    await execution.settled()
  }
  assert.deepEqual(bodies(), [{ n: 1 }, { n: 2 }])
  assert.throws(() => http({}), { code: 'ERR_SEND_NO_STEP' })
})

it('dollar-send/global: does not look like a promise, so that await $send gives $send', async () => {
  assert.equal(await $send, $send)
})

it('dollar-send/global: throws a TypeError for a destination that there is not', async (t) => {
  const run = runStep(await open(t), () => $send.slack({}), { workflowId: 'p_global' })
  await assert.rejects(run, (error) => error instanceof TypeError && /http/.test(error.message))
})

it('runInStep: makes a step the current one, also later, and the inner one wins', async (t) => {
  const { url } = await receive(t)
  const execution = (await open(t)).execution({ workflowId: 'p_global' })
  const [outer, inner] = [execution.step('outer'), execution.step('inner')]
  const send = (n) => $send.http({ method: 'POST', url, data: { n } })
  const answer = await runInStep(
    outer,
    async (first) => {
      send(first)
      runInStep(inner, send, 2)
      await new Promise((resolve) => setImmediate(resolve))
      send(3)
      return 'done'
    },
    1,
  )
  assert.equal(answer, 'done')
  await execution.complete()
  const deliveries = await execution.settled()
  assert.deepEqual(
    deliveries.map(({ step, request }) => [step, JSON.parse(request.body).n]),
    [
      ['outer', 1],
      ['inner', 2],
      ['outer', 3],
    ],
  )
})

it('runInStep: refuses what is no step or no function', () => {
  assert.throws(() => runInStep({}, () => {}), { code: 'ERR_SEND_INVALID_ARGUMENT' })
  assert.throws(() => runInStep(undefined, () => {}), { code: 'ERR_SEND_INVALID_ARGUMENT' })
  assert.throws(() => runInStep({ name: 'a', $send: {} }), { code: 'ERR_SEND_INVALID_ARGUMENT' })
})

it('worker threads: have contexts of their own', async (t) => {
  const { url, bodies } = await receive(t)
  const source = `
    const { parentPort, workerData } = require('node:worker_threads')
    const { Engine, runStep } = require(workerData.root)
    require(workerData.global)
    const main = async () => {
      let outside
      try { $send.http({}) } catch (error) { outside = error.code }
      const engine = await Engine.open({ egress: { allow: ['127.0.0.0/8'] } })
      const step = () => $send.http({ method: 'POST', url: workerData.url, data: { from: 'worker' } })
      const { execution } = await runStep(engine, step, { workflowId: 'p_worker' })
      const [delivery] = await execution.settled()
      await engine.close({ timeoutMs: 1000 })
      parentPort.postMessage({ outside, status: delivery.status })
    }
    main()`
  const run = async () => {
    const workerData = { root: ROOT.pathname, global: GLOBAL.pathname, url }
    const worker = new Worker(source, { eval: true, workerData })
    return new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject))
  }
  const { execution } = await runStep(
    await open(t),
    async () => {
      // The step of this thread is current while the workers run, and they do not see it.
      const answers = await Promise.all([run(), run()])
      assert.deepEqual(answers, Array(2).fill({ outside: 'ERR_SEND_NO_STEP', status: 'delivered' }))
      $send.http({ method: 'POST', url, data: { from: 'main' } })
    },
    { workflowId: 'p_main' },
  )
  const deliveries = await execution.settled()
  assert.equal(deliveries.length, 1)
  assert.deepEqual(bodies(), [{ from: 'main' }, { from: 'worker' }, { from: 'worker' }])
})
