// What the tests of webhooks need of the REST API and of receivers.

import assert from 'node:assert/strict'

import { receiver } from './receiver.mjs'
import { run } from './serving.mjs'

/** @typedef {import('../../index.d.ts').Engine} Engine */

/**
 * Returns functions that make, change and list webhooks.
 *
 * @param {{ ask: ReturnType<typeof import('./serving.mjs').client>['ask'], post: ReturnType<typeof import('./serving.mjs').client>['post'] }} rest
 */
export function webhooks({ ask, post }) {
  const json = { 'content-type': 'application/json' }
  const change = (/** @type {string} */ id, /** @type {object} */ members) =>
    ask(`/v1/webhooks/${id}`, { method: 'PATCH', headers: json, body: JSON.stringify(members) })
  return {
    change,
    /** A webhook that gets every event without a channel. */
    async make(/** @type {string} */ url, /** @type {object} */ members = {}) {
      const { status, body } = await post('/v1/webhooks', { url, ...members })
      assert.equal(status, 200, body.error)
      await post('/v1/subscriptions', { emitter_id: '*', listener_id: body.data.id })
      return body.data
    },
    changed: async (/** @type {string} */ id, /** @type {object} */ members) => {
      const { status, body } = await change(id, members)
      assert.equal(status, 200, body.error)
      return body.data
    },
    one: async (/** @type {string} */ id) => (await ask(`/v1/webhooks/${id}`)).body.data,
    listed: async () => (await ask('/v1/users/me/webhooks')).body.data,
  }
}

/** Emits from a workflow and waits until that is delivered. */
export const emit = (/** @type {Engine} */ engine, n = 1) =>
  run(engine, 'p_1', ($send) => $send.emit({ n }))

/** Waits until so many deliveries wait for their time. */
export async function waiting(/** @type {Engine} */ engine, /** @type {number} */ count) {
  while (engine.stats().retrying !== count) await new Promise(setImmediate)
}

/** A receiver that answers with these statuses, one request after another, and 200 after them. */
export function answering(/** @type {import('node:test').TestContext} */ t, ...statuses) {
  return receiver(t, (_request, response) => response.writeHead(statuses.shift() ?? 200).end())
}

/** The deliveries of a webhook as status and attempts, the oldest first. */
export async function ends(/** @type {Engine} */ engine, /** @type {string} */ workflowId) {
  const rows = await engine.deliveries({ workflowId })
  return rows.map(({ status, attempts }) => [status, attempts]).reverse()
}
