// Engines that may reach the servers of the tests, and end with the test.

import assert from 'node:assert/strict'

import { Engine } from '../../js/index.mjs'
import { PATIENT } from './patience.mjs'

export const LOCAL = { allow: ['127.0.0.0/8'] }

/**
 * @param {{ after(fn: () => unknown): void }} t
 * @param {import('../../index.d.ts').EngineOptions} [options]
 */
export async function openEngine(t, options = {}) {
  const engine = await Engine.open({ egress: LOCAL, ...options })
  t.after(() => engine.close({ timeoutMs: 0 }))
  return engine
}

/**
 * An engine with one execution of one step.
 *
 * @param {{ after(fn: () => unknown): void }} t
 * @param {import('../../index.d.ts').EngineOptions} [options]
 */
export async function openStep(t, options) {
  const engine = await openEngine(t, options)
  const execution = engine.execution({ workflowId: 'p_test' })
  return { engine, execution, ...execution.step('step') }
}

/**
 * Completes and answers the log in call order.
 *
 * @param {import('../../index.d.ts').Execution} execution
 */
export async function finish(execution) {
  await execution.complete()
  return execution.settled(PATIENT)
}

/**
 * The next event of a topic that `wanted` accepts.
 *
 * @template {keyof import('../../index.d.ts').EngineEvents} Topic
 * @param {import('../../index.d.ts').Engine} engine
 * @param {Topic} topic
 * @param {(event: import('../../index.d.ts').EngineEvents[Topic]) => boolean} [wanted]
 * @returns {Promise<import('../../index.d.ts').EngineEvents[Topic]>}
 */
export function nextEvent(engine, topic, wanted = () => true) {
  return new Promise((resolve) => {
    // Listeners keep no process alive; a test that waits for one has to.
    const alive = setInterval(() => {}, 2 ** 30)
    engine.on(topic, function listener(event) {
      if (!wanted(event)) return
      clearInterval(alive)
      engine.off(topic, listener)
      resolve(event)
    })
  })
}

/**
 * An execution of one step that recorded these calls.
 *
 * @param {import('../../index.d.ts').Engine} engine
 * @param {object[]} calls
 * @param {string} [workflowId]
 */
export function record(engine, calls, workflowId = 'p_test') {
  const execution = engine.execution({ workflowId })
  const { $send } = execution.step('step')
  for (const call of calls)
    $send.http({ method: 'POST', data: { a: 1 }, .../** @type {any} */ (call) })
  return execution
}

/**
 * The code and the message of a refusal.
 *
 * @param {Promise<unknown>} refused
 */
export async function codeOf(refused) {
  const error = await refused.then(
    () => assert.fail('it was not refused'),
    (reason) => reason,
  )
  return [error.code, error.message]
}
