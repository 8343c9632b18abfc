// What a call carries is what JSON.stringify makes of it, byte by byte, whichever way it was recorded.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import { Worker } from 'node:worker_threads'

import { finish, openStep } from '../support/engine.mjs'
import { receiver } from '../support/receiver.mjs'
import { SNAPSHOTS } from '../support/snapshots.mjs'

const SENDER = new URL('../support/snapshot-sender.mjs', import.meta.url)

/** What arrived, by the last part of the path. */
const bodies = ({ requests }) => {
  const placed = requests.map(({ path, text }) => [Number(path.split('/').at(-1)), text])
  return placed.toSorted(([one], [other]) => one - other).map(([, text]) => text)
}

for (const group of Object.keys(SNAPSHOTS)) {
  test(`the snapshot is JSON.stringify's: ${group}`, async (t) => {
    const server = await receiver(t)
    const sender = new Worker(SENDER, { workerData: { url: server.url, group } })
    const [{ failed, expected }] = await once(sender, 'message')
    await sender.terminate()
    assert.deepEqual(failed, [])
    assert.deepEqual(bodies(server), expected)
  })
}

test('what others add to the prototype of all objects is in no snapshot', async (t) => {
  const server = await receiver(t)
  const { $send, execution } = await openStep(t)
  const post = (place, data, more = {}) =>
    $send.http({ method: 'POST', url: `${server.url}/${place}`, data, ...more })
  post(0, { known: { b: 1 }, c: [1] })
  post(4, { mine: { b: 1, polluted: 3 }, polluted: 4 }, { polluted: 2 })
  const prototype = /** @type {any} */ (Object.prototype)
  try {
    prototype.polluted = 1
    post(1, { known: { b: 1 }, c: [1] })
    post(2, { fresh: 2, c: [{ d: 1 }] })
    post(5, { mine: { b: 1 } })
  } finally {
    delete prototype.polluted
  }
  post(3, { known: { b: 1 }, c: [1] })
  await finish(execution)
  const known = '{"known":{"b":1},"c":[1]}'
  assert.deepEqual(bodies(server), [
    known,
    known,
    '{"fresh":2,"c":[{"d":1}]}',
    known,
    '{"mine":{"b":1,"polluted":3},"polluted":4}',
    '{"mine":{"b":1}}',
  ])
})

test('a getter may make a call of its own, or change its object', async (t) => {
  const server = await receiver(t)
  const { $send, execution } = await openStep(t)
  const post = (place, data) => $send.http({ method: 'POST', url: `${server.url}/${place}`, data })
  post(0, {
    before: 1,
    get inner() {
      post(1, { from: 'within', list: [1, 2] })
      return 'inner'
    },
    after: [true],
  })
  post(2, {
    get first() {
      delete this.last
      return 1
    },
    last: 2,
  })
  await finish(execution)
  assert.deepEqual(bodies(server), [
    '{"before":1,"inner":"inner","after":[true]}',
    '{"from":"within","list":[1,2]}',
    '{"first":1}',
  ])
})
