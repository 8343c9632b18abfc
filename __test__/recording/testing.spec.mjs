import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import { once } from 'node:events'
import { it } from 'node:test'

import { recordSends, recordStep } from '../../js/testing.mjs'

/* global $send */

const step = {
  props: { to: { type: 'string' } },
  async run({ steps, $ }) {
    $.send.http({
      method: 'POST',
      url: 'https://example.com/hook',
      params: { a: 1 },
      data: { name: steps.trigger.event.name },
    })
    $.send.email({ subject: this.to, text: 'hi' })
    $send.emit({ raw_event: { a: 1 } })
    return 'done'
  },
}

it('recordStep: returns what a step sent, and how it ended', async () => {
  const result = await recordStep(step, { event: { name: 'Luke' }, props: { to: 'Ada' } })
  const { sent, status, returnValue } = result
  assert.deepEqual([status, returnValue], ['returned', 'done'])
  assert.equal(sent.http[0].url, 'https://example.com/hook?a=1')
  assert.deepEqual(sent.http[0].data, { name: 'Luke' })
  assert.equal(sent.email[0].subject, 'Ada')
  assert.deepEqual(sent.emit, [{ raw_event: { a: 1 } }])
  assert.deepEqual(sent.s3, [])
  assert.deepEqual(
    sent.all.map(({ destination }) => destination),
    ['http', 'email', 'emit'],
  )
})

it('recordStep: delivers nothing, also of a step that suspends', async (t) => {
  let requests = 0
  const server = createServer((_, response) => {
    requests++
    response.end()
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => server.close())
  const url = `http://127.0.0.1:${server.address().port}/`
  const suspending = {
    run({ $ }) {
      $.send.http({ method: 'POST', url })
      $.flow.suspend()
      $.send.http({ method: 'POST', url })
    },
  }
  const { sent, status } = await recordStep(suspending, { flow: { suspend() {} } })
  assert.deepEqual([status, sent.http.length], ['suspended', 2])
  assert.equal(requests, 0)
})

it('recordStep: a throw has the result', async () => {
  const boom = new Error('boom')
  const throwing = () => {
    $send.email({ subject: 's' })
    throw boom
  }
  const error = await recordStep(throwing).catch((reason) => reason)
  assert.equal(error, boom)
  assert.equal(error.result.sent.email.length, 1)
})

it('recordStep: takes destinations of its own, and strict', async () => {
  const slack = () => $send.slack('a text')
  const { sent } = await recordStep(slack, { destinations: ['slack'] })
  assert.deepEqual(sent.slack, ['a text'])
  const odd = () => $send.http({ method: 'post', url: 'https://example.com' })
  await assert.rejects(recordStep(odd, { strict: true }), { code: 'ERR_SEND_INVALID_ARGUMENT' })
})

it('recordSends: for functions that get $send or $', async () => {
  const notify = ($, name) =>
    $.send.http({ method: 'POST', url: 'https://example.com', data: { name } })
  const sent = await recordSends(({ $ }) => {
    notify($, 'Leia')
    $send.email({ subject: 'global' })
  })
  assert.deepEqual([sent.http[0].data, sent.email.length], [{ name: 'Leia' }, 1])
  await assert.rejects(
    recordSends(() => Promise.reject(new Error('x'))),
    { message: 'x' },
  )
})

for (const [what, call, message] of [
  [
    'an unknown option',
    () => recordStep(step, { prop: {} }),
    /recordStep\(\): unknown option prop/,
  ],
  ['what is no step', () => recordStep(7), /recordStep\(\): 7 is not a step/],
  ['destinations that are no list', () => recordStep(step, { destinations: 'a' }), /list of names/],
  ['no function', () => recordSends({}), /recordSends\(\): the first argument/],
]) {
  it(`refuses: ${what}`, async () => {
    await assert.rejects(call, { code: 'ERR_SEND_INVALID_ARGUMENT', message })
  })
}
