import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, get } from 'node:http'
import { text } from 'node:stream/consumers'
import { it } from 'node:test'

import { runStep } from '../../js/index.mjs'
import { openEngine, openStep } from '../support/engine.mjs'

/* global $send */

const NOWHERE = { method: 'POST', url: 'http://127.0.0.1:9/', data: { a: 1 } }
const CALLS = {
  http: ($send) => $send.http(NOWHERE),
  'http with a Blob': ($send) => $send.http({ ...NOWHERE, data: new Blob(['x']) }),
  email: ($send) => $send.email({ subject: 's' }),
  s3: ($send) => $send.s3({ bucket: 'b', payload: 'x' }),
  sql: ($send) => $send.sql({ table: 't', payload: { a: 1 } }),
  sse: ($send) => $send.sse({ channel: 'c', payload: { a: 1 } }),
  emit: ($send) => $send.emit({ a: 1 }),
  own: ($send) => $send.own('a text'),
}

/** Resolves with the next process warning of this package. */
function nextWarning() {
  return new Promise((resolve) => {
    process.on('warning', function listener(warning) {
      if (warning.name !== 'DollarSendWarning') return
      process.off('warning', listener)
      resolve(warning)
    })
  })
}

for (const [what, call] of Object.entries(CALLS)) {
  it(`a call after the end: ${what} is logged as discarded, with one process warning`, async (t) => {
    const engine = await openEngine(t)
    engine.destination('own', { deliver() {} })
    const execution = engine.execution({ workflowId: 'p_late' })
    const { $send } = execution.step('notify')
    await execution.complete()
    const warned = nextWarning()
    assert.equal(call($send), undefined)
    const { message, code } = await warned
    assert.match(message, /step notify of workflow p_late called \$send\.\w+\(\) after/)
    assert.equal(code, 'ERR_SEND_EXECUTION_COMPLETED')
    const [delivery] = await engine.deliveries({ workflowId: 'p_late' })
    assert.equal(delivery.status, 'discarded')
    assert.equal(delivery.step, 'notify')
    assert.equal(delivery.error.code, 'ERR_SEND_EXECUTION_COMPLETED')
    assert.equal(engine.stats().pendingBytes, 0)
  })
}

it('a call after the end: keeps its place after the calls in time, also in a data directory', async (t) => {
  const { mkdtemp, rm } = await import('node:fs/promises')
  const dataDir = await mkdtemp(`${(await import('node:os')).tmpdir()}/late-`)
  t.after(() => rm(dataDir, { recursive: true }))
  const { engine, execution, $send } = await openStep(t, { dataDir })
  $send.email({ subject: 'in time' })
  await execution.complete()
  await execution.settled()
  const warned = nextWarning()
  $send.email({ subject: 'late' })
  await warned
  await engine.flush()
  const rows = await engine.deliveries()
  assert.deepEqual(
    rows.map(({ index, status }) => [index, status]),
    [
      [1, 'discarded'],
      [0, 'delivered'],
    ],
  )
  const [summary] = await engine.executions()
  assert.deepEqual(
    [summary.status, summary.total, summary.delivered, summary.discarded],
    ['completed', 2, 1, 1],
  )
})

it('a call after the end: is warned of when the engine is closed too', async (t) => {
  const { engine, execution, $send } = await openStep(t)
  await execution.complete()
  await engine.close()
  const warned = nextWarning()
  $send.http(NOWHERE)
  assert.match((await warned).message, /is discarded/)
})

it('a call after the end: wrong arguments are refused as ever', async (t) => {
  const { execution, $send } = await openStep(t)
  await execution.complete()
  assert.throws(() => $send.http({}), { code: 'ERR_SEND_INVALID_ARGUMENT' })
})

for (const options of [{ lateCalls: 'throw' }, { strict: true }]) {
  it(`a call after the end: throws with ${JSON.stringify(options)}`, async (t) => {
    const engine = await openEngine(t, options)
    let late
    await runStep(
      engine,
      () => {
        late = new Promise((resolve) => setImmediate(resolve)).then(() => $send.http(NOWHERE))
      },
      { workflowId: 'p_late' },
    )
    await assert.rejects(late, { code: 'ERR_SEND_EXECUTION_COMPLETED' })
    assert.deepEqual(await engine.deliveries(), [])
  })
}

it('lateCalls: refuses what is neither warn nor throw', async (t) => {
  await assert.rejects(openEngine(t, { lateCalls: 'ignore' }), {
    code: 'ERR_SEND_INVALID_OPTION',
    message: /lateCalls: "ignore" is neither/,
  })
})

it('what still runs: $.export after the end is warned of and has no effect', async (t) => {
  const engine = await openEngine(t)
  const warned = nextWarning()
  let go
  const gate = new Promise((resolve) => {
    go = resolve
  })
  let late
  const step = {
    run({ $ }) {
      late = gate.then(() => {
        $.export('late', 1)
        $.flow.exit()
        return $.respond({ status: 200 })
      })
    },
  }
  const result = await runStep(engine, step, { workflowId: 'p_late', stepName: 'hasty' })
  go()
  await late
  const { message } = await warned
  assert.match(message, /step hasty of workflow p_late still runs .*: \$\.export\(\) has no effect/)
  assert.deepEqual([result.exports, result.exit, result.response], [{}, undefined, undefined])
})

/** A server that never answers. */
async function silent(t) {
  const server = createServer(() => {})
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  return server
}

for (const [what, start, found] of [
  [
    'forEach with an asynchronous function',
    () => ['a', 'b'].forEach(async () => new Promise((resolve) => setTimeout(resolve, 50))),
    /a timer is not waited for/,
  ],
  ['a turn of the loop', () => void setImmediate(() => {}), /an immediate is not waited for/],
]) {
  it(`what still runs: ${what} is one warning with the names of workflow and step`, async (t) => {
    const engine = await openEngine(t)
    const warned = nextWarning()
    const { warnings } = await runStep(engine, start, { workflowId: 'p_late', stepName: 'hasty' })
    const { message } = await warned
    assert.match(message, /^step hasty of workflow p_late still runs when it has ended: /)
    assert.match(message, found)
    assert.deepEqual(warnings, [message])
  })
}

it('what still runs: a request of node:http, when it is made as well as later', async (t) => {
  const engine = await openEngine(t)
  const { port } = (await silent(t)).address()
  const warned = nextWarning()
  let request
  await runStep(
    engine,
    () => {
      request = get({ port, host: '127.0.0.1' }).on('error', () => {})
    },
    { workflowId: 'p_late' },
  )
  assert.match((await warned).message, /a request/)
  request.destroy()
})

it('what still runs: nothing that was awaited, cleared or unreferenced', async (t) => {
  const engine = await openEngine(t)
  const answering = createServer((_, response) => response.end('{}')).listen(0, '127.0.0.1')
  await once(answering, 'listening')
  t.after(() => answering.close())
  const step = async () => {
    await new Promise((resolve) => setTimeout(resolve, 1))
    clearTimeout(setTimeout(() => {}, 10_000))
    setInterval(() => {}, 10_000).unref()
    await new Promise((resolve) => setImmediate(resolve))
    const request = get({ port: answering.address().port, host: '127.0.0.1' })
    const [response] = await once(request, 'response')
    await text(response)
  }
  const { warnings } = await runStep(engine, step, { workflowId: 'p_late' })
  assert.deepEqual(warnings, [])
})

it('what still runs: is told apart for steps that run at the same time', async (t) => {
  const engine = await openEngine(t)
  const slow = async () => new Promise((resolve) => setTimeout(resolve, 30))
  const quick = async () => new Promise((resolve) => setImmediate(resolve))
  const runs = [slow, quick, quick].map((step) => runStep(engine, step, { workflowId: 'p_late' }))
  for (const { warnings } of await Promise.all(runs)) assert.deepEqual(warnings, [])
})

it('what still runs: timers of `fetch` and of packages are none of the step', async (t) => {
  const server = createServer((_, response) => response.end('ok'))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    server.close()
    server.closeAllConnections()
  })
  const url = `http://127.0.0.1:${server.address().port}/`
  const engine = await openEngine(t)
  const step = async () => {
    const response = await fetch(url)
    return await response.text()
  }
  for (let run = 0; run < 5; run++) {
    const { warnings, returnValue } = await runStep(engine, step, { workflowId: 'p_late' })
    assert.deepEqual([returnValue, warnings], ['ok', []])
  }
})

it('what still runs: stacks that others prepare, and fail to, end no process', async (t) => {
  const engine = await openEngine(t)
  const { prepareStackTrace } = Error
  t.after(() => (Error.prepareStackTrace = prepareStackTrace))
  Error.prepareStackTrace = () => {
    throw new Error('no stack')
  }
  const step = () => new Promise((resolve) => setTimeout(resolve, 1, 'returned'))
  const { returnValue, warnings } = await runStep(engine, step, { workflowId: 'p_late' })
  assert.deepEqual([returnValue, warnings], ['returned', []])
})
