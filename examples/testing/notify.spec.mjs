import assert from 'node:assert/strict'
import { test } from 'node:test' // or Jest's or Vitest's `test` and `expect`

import { recordStep } from 'dollar-send/testing'

import notify from './notify.mjs'

test('notifies the hook', async () => {
  const { sent } = await recordStep(notify, {
    event: { name: 'Luke Skywalker' },
    props: { channel: 'general' },
  })
  assert.equal(sent.http.length, 1)
  assert.equal(sent.http[0].url, 'https://example.com/hook')
  assert.deepEqual(sent.http[0].data, { name: 'Luke Skywalker', channel: 'general' })
})
