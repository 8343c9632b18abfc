// A busy event loop: events wait within bounds, work for JavaScript is never lost, and dropping is told.

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { runChild } from '../support/child.mjs'

/** Emits 80 MB of events while the loop is busy. `more` runs before. */
const busy = (more) => `
  ${more}
  const noise = engine.execution({ workflowId: 'p' })
  const { $send } = noise.step('s')
  for (let n = 0; n < 2000; n++) $send.emit({ n, text: 'x'.repeat(40_000) })
  noise.complete()
  // The deliveries are made while this thread does not turn.
  while (engine.stats().pending > 0);`

test('dropped events are told as a warning of the process, and jobs still arrive', async () => {
  const { code, stdout, stderr } = await runChild(
    '',
    `
    let heard = 0
    ${busy(`
      engine.on('delivery', () => heard++)
      let told
      const warned = new Promise((resolve) => process.once('warning', resolve))
      engine.destination('own', { deliver: (items) => { told(items) } })
      const delivered = new Promise((resolve) => (told = resolve))
    `)}
    const execution = engine.execution({ workflowId: 'p' })
    execution.step('s').$send.own({ a: 1 })
    await execution.complete()
    const alive = setInterval(() => {}, 2 ** 30)
    const [warning, items] = await Promise.all([warned, delivered])
    const [{ status }] = await execution.settled()
    clearInterval(alive)
    console.log(JSON.stringify([warning.code, items.length, status, heard > 0 && heard < 2000]))
    await engine.close()`,
  )
  assert.equal(stdout, '["EVENTS_DROPPED",1,"delivered",true]\n', stderr)
  assert.equal(code, 0)
})
