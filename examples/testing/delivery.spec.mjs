import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import { json } from 'node:stream/consumers'
import { test } from 'node:test'

import { Engine, runStep } from 'dollar-send'

const step = (event) => $send.http({ method: 'POST', url: event.url, data: { name: event.name } })

test('delivers to the receiver', async (t) => {
  const bodies = []
  const receiver = createServer(async (request, response) => {
    bodies.push(await json(request))
    response.end()
  })
  await new Promise((resolve) => receiver.listen(0, '127.0.0.1', resolve))
  t.after(() => receiver.close())
  const engine = await Engine.open({ egress: { allow: ['127.0.0.0/8'] } })
  t.after(() => engine.close())

  const event = { url: `http://127.0.0.1:${receiver.address().port}/`, name: 'Luke' }
  await runStep(engine, step, { workflowId: 'p_test', event })
  await engine.flush()
  assert.deepEqual(bodies, [{ name: 'Luke' }])
  assert.equal((await engine.deliveries())[0].status, 'delivered')
})
