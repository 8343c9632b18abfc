// The runner among the examples that honours `$.flow`, with its server, its files and a restart.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'

import { Engine } from '../../js/index.mjs'
import { FlowRunner, createFlowServer } from '../../examples/runners/flow.mjs'
import { folderFor } from '../support/copy.mjs'
import { LOCAL, nextEvent, openEngine } from '../support/engine.mjs'
import { receive } from '../support/recording-receiver.mjs'

/* global $send */

const HOUR_MS = 60 * 60 * 1000

/** A runner of these steps, and its server. The engine is given, or opened. */
async function serve(t, steps, { engine, folder = join(folderFor(t), 'runs') } = {}) {
  const own = engine ?? (await openEngine(t))
  const server = createFlowServer({
    start: (event) => runner.start(event),
    resume: (...args) => runner.resume(...args),
    cancel: (...args) => runner.cancel(...args),
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => server.close())
  const url = `http://127.0.0.1:${server.address().port}`
  const runner = new FlowRunner(own, { id: 'p_flow', steps }, { folder, url })
  t.after(() => runner.close())
  const start = async (event = {}) => {
    const response = await fetch(url, { method: 'POST', body: JSON.stringify(event) })
    assert.equal(response.status, 202)
    return (await response.json()).id
  }
  return { engine: own, runner, start, url, waiting: () => readdirSync(folder).length }
}

/** Resolves when no run is left. */
async function ended(waiting) {
  while (waiting() > 0) await new Promise((resolve) => setTimeout(resolve, 5))
}

/** Resolves with the value that a step gives away. */
function signal() {
  let give
  const given = new Promise((resolve) => (give = resolve))
  return { give, given }
}

test('rerun runs the step again, with its context, until it does not ask for it', async (t) => {
  const seen = []
  const { give, given } = signal()
  const poll = {
    run({ $ }) {
      const { runs, context } = $.context.run
      seen.push([runs, context])
      $.send.http({ method: 'POST', url: $.event.url, data: { runs } })
      if (runs < 3) $.flow.rerun(5, { job: runs })
      return runs
    },
  }
  const after = { run: ({ steps }) => give(steps.poll.$return_value) }
  const { url, bodies } = await receive(t)
  const { start, engine, waiting } = await serve(t, { poll, after })
  await start({ url })
  assert.equal(await given, 3)
  assert.deepEqual(seen, [
    [1, undefined],
    [2, { job: 1 }],
    [3, { job: 2 }],
  ])
  await ended(waiting)
  await engine.close()
  assert.deepEqual(bodies(), [{ runs: 1 }, { runs: 2 }, { runs: 3 }])
})

test('rerun stops at its maximum, and a request to its URL comes to the step', async (t) => {
  const { give, given } = signal()
  const poll = {
    run({ $ }) {
      if ($.context.run.callback_request) return give($.context.run.callback_request.body)
      $.export('urls', $.flow.rerun(HOUR_MS, null, 1))
    },
  }
  const { start, url, waiting } = await serve(t, { poll })
  const id = await start()
  assert.equal(waiting(), 1)
  const response = await fetch(`${url}/resume/${id}`, { method: 'POST', body: '{"done":true}' })
  assert.equal(response.status, 200)
  assert.deepEqual(await given, { done: true })
  assert.equal((await fetch(`${url}/resume/${id}`)).status, 404)

  t.mock.method(console, 'error', (line) => errors.push(line))
  const errors = []
  const always = await serve(t, { poll: { run: ({ $ }) => $.flow.rerun(0, null, 2) } })
  await always.start()
  await ended(always.waiting)
  assert.match(errors.join(), /the step ran 3 times/)
})

test('delay goes on with the next step, after the time or by its URL', async (t) => {
  for (const [ms, byUrl] of [
    [5, false],
    [HOUR_MS, true],
  ]) {
    const { give, given } = signal()
    const wait = { run: ({ $ }) => ($.flow.delay(ms), 'waited') }
    const after = { run: ({ steps }) => give(steps.wait) }
    const { start, url, waiting } = await serve(t, { wait, after })
    const id = await start()
    if (byUrl) await fetch(`${url}/resume/${id}`)
    const exported = await given
    assert.equal(exported.$return_value, 'waited')
    assert.equal(exported.$resume_data?.method, byUrl ? 'GET' : undefined)
    await ended(waiting)
  }
})

test('suspend waits for the link that the step sent, also through a restart', async (t) => {
  const folder = folderFor(t)
  const dataDir = join(folder, 'data')
  const { give, given } = signal()
  const ask = {
    run({ $ }) {
      const { resume_url: link } = $.flow.suspend()
      $send.http({ method: 'POST', url: $.event.url, data: { link } })
      $.export('asked', true)
    },
  }
  const steps = { ask, after: { run: (args) => give([args.event.name, args.steps.ask]) } }
  const { url, requests } = await receive(t)

  const first = await Engine.open({ egress: LOCAL, dataDir })
  const before = await serve(t, steps, { engine: first, folder: join(folder, 'runs') })
  const delivered = nextEvent(first, 'delivery')
  await before.start({ url, name: 'Ada' })
  assert.equal((await delivered).status, 'delivered')
  await before.runner.close()
  await first.close()

  const engine = await openEngine(t, { dataDir })
  const after = await serve(t, steps, { engine, folder: join(folder, 'runs') })
  const { pathname } = new URL(JSON.parse(requests[0].body).link)
  await fetch(`${after.url}${pathname}`, { method: 'POST', body: 'approved' })
  const [name, exported] = await given
  assert.equal(name, 'Ada')
  assert.deepEqual(exported, {
    asked: true,
    $resume_data: { method: 'POST', body: 'approved' },
  })
})

test('a link that is used before its step ends, and twice at once, resumes once', async (t) => {
  const { runner, waiting } = await serve(t, {
    ask: {
      async run({ $ }) {
        const { resume_url: link } = $.flow.suspend()
        const id = new URL(link).pathname.split('/').at(-1)
        early.push(runner.resume(id, { n: 1 }), runner.resume(id, { n: 2 }))
        await new Promise((resolve) => setTimeout(resolve, 20))
      },
    },
    after: { run: ({ steps }) => void seen.push(steps.ask.$resume_data.n) },
  })
  const [early, seen] = [[], []]
  await runner.start({})
  assert.deepEqual((await Promise.all(early)).sort(), [false, true])
  assert.deepEqual([seen, waiting()], [[1], 0])
})

test('suspend ends the run when it is cancelled, or not resumed in time', async (t) => {
  for (const [ms, isCancelled] of [
    [HOUR_MS, true],
    [5, false],
  ]) {
    let ran = 0
    const ask = { run: ({ $ }) => void $.flow.suspend(ms) }
    const { start, url, waiting } = await serve(t, { ask, after: { run: () => ran++ } })
    const id = await start()
    if (isCancelled) assert.equal((await fetch(`${url}/cancel/${id}`)).status, 200)
    await ended(waiting)
    assert.equal((await fetch(`${url}/resume/${id}`)).status, 404)
    assert.equal(ran, 0)
  }
})

test('exit ends the run after the step, and no other path is served', async (t) => {
  let ran = 0
  const leave = { run: ({ $ }) => ($.flow.exit('enough'), ran++) }
  const { start, url, waiting } = await serve(t, { leave, after: { run: () => (ran += 10) } })
  await start()
  assert.deepEqual([ran, waiting()], [1, 0])
  assert.equal((await fetch(`${url}/resume/..%2f..%2fx`)).status, 404)
  assert.equal((await fetch(`${url}/other`)).status, 404)
  assert.equal((await fetch(url, { method: 'POST', body: '{' })).status, 400)
})
