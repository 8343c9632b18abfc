import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { it } from 'node:test'
import { pathToFileURL } from 'node:url'

import { Engine, runStep } from '../../js/index.mjs'
import { receive } from '../support/recording-receiver.mjs'

/* global $send, $end */

const WORKFLOW = { workflowId: 'p_run_step' }

/** An engine that may talk to this machine, until the test ends. */
async function open(t) {
  const engine = await Engine.open({ egress: { allow: ['127.0.0.0/8'] } })
  t.after(() => engine.close({ timeoutMs: 1000 }))
  return engine
}

/** What the log has of a run, in call order. */
async function deliveriesOf(engine, executionId) {
  return (await engine.deliveries({ executionId })).reverse()
}

/** Resolves with the deliveries of a run that threw, once they are terminal. */
function settledOf(engine, executionId, count) {
  return new Promise((resolve) => {
    const check = async () => {
      const rows = await deliveriesOf(engine, executionId)
      if (rows.filter(({ status }) => status === 'delivered' || status === 'failed').length < count)
        return
      engine.off('delivery', check)
      resolve(rows)
    }
    engine.on('delivery', check)
    check()
  })
}

it('runStep with a v1 function: delivers what the global $send records', async (t) => {
  const { url, requests } = await receive(t)
  const result = await runStep(
    await open(t),
    async (event) => {
      $send.http({ method: 'POST', url: event.url, data: { name: 'Luke Skywalker' } })
    },
    { ...WORKFLOW, event: { url } },
  )
  const [delivery] = await result.execution.settled()
  assert.equal(delivery.status, 'delivered')
  assert.equal(delivery.step, 'code')
  assert.equal(delivery.workflowId, 'p_run_step')
  assert.deepEqual(requests, [{ method: 'POST', path: '/hook', body: '{"name":"Luke Skywalker"}' }])
})

it('runStep with a v1 function: passes event, steps, params and auths', async (t) => {
  let seen
  const options = {
    event: { id: 1 },
    steps: { one: { $return_value: 2 } },
    props: { channel: 'c' },
    auths: { app: { key: 'k' } },
  }
  await runStep(
    await open(t),
    (...args) => {
      seen = args
    },
    { ...WORKFLOW, ...options },
  )
  const [event, steps, ...others] = seen
  assert.deepEqual(
    [event, steps.one, ...others],
    [{ id: 1 }, { $return_value: 2 }, { channel: 'c' }, { app: { key: 'k' } }],
  )
  assert.equal(steps.trigger.event, event)
})

it('runStep with a v1 function: gives empty objects for what the caller leaves out', async (t) => {
  let seen
  await runStep(
    await open(t),
    (...args) => {
      seen = args
    },
    WORKFLOW,
  )
  const [event, steps, params, auths] = seen
  assert.deepEqual([event, Object.keys(steps), params, auths], [{}, ['trigger'], {}, {}])
})

it('runStep with a v1 function: exports what the step assigns to this, and its return value', async (t) => {
  const { exports, returnValue } = await runStep(
    await open(t),
    async function () {
      this.total = 3
      return 'done'
    },
    WORKFLOW,
  )
  assert.deepEqual(exports, { total: 3, $return_value: 'done' })
  assert.equal(returnValue, 'done')
})

const sources = {
  'v1.mjs': 'export default async (event) => event.n + 1',
  'v1.cjs': 'module.exports = async (event) => event.n + 1',
  'v2.mjs': 'export default { run: ({ steps }) => steps.trigger.event.n + 1 }',
  'compiled.cjs':
    'exports.__esModule = true; exports.default = { run: ({ steps }) => steps.trigger.event.n + 1 }',
  'named.mjs': 'export const run = ({ steps }) => steps.trigger.event.n + 1',
}
for (const [file, source] of Object.entries(sources)) {
  it(`runStep with a module: finds the step in ${file}`, async (t) => {
    const directory = await mkdtemp(join(tmpdir(), 'run-step-'))
    t.after(() => rm(directory, { recursive: true }))
    await writeFile(join(directory, file), source)
    const module = await import(pathToFileURL(join(directory, file)).href)
    const { returnValue } = await runStep(await open(t), module, { ...WORKFLOW, event: { n: 1 } })
    assert.equal(returnValue, 2)
  })
}

it('runStep when the step does not return: delivers what was recorded before a throw and rethrows the very error', async (t) => {
  const { url, requests } = await receive(t)
  const engine = await open(t)
  const boom = new Error('boom')
  const run = runStep(
    engine,
    async () => {
      $send.http({ method: 'POST', url, data: { before: true } })
      throw boom
    },
    { ...WORKFLOW, executionId: 'run-that-throws' },
  )
  assert.equal(await run.catch((error) => error), boom)
  const [delivery] = await settledOf(engine, 'run-that-throws', 1)
  assert.equal(delivery.status, 'delivered')
  assert.deepEqual(
    requests.map(({ body }) => body),
    ['{"before":true}'],
  )
})

for (const thrown of ['a text', undefined, null, 0, Object.freeze({ code: 'X' })]) {
  it(`runStep when the step does not return: completes and rethrows ${JSON.stringify(thrown)}`, async (t) => {
    const { url } = await receive(t)
    const engine = await open(t)
    const executionId = 'run-that-throws-no-error'
    const step = () => {
      $send.http({ method: 'POST', url, data: {} })
      throw thrown
    }
    const caught = await runStep(engine, step, { ...WORKFLOW, executionId }).then(
      () => assert.fail('it resolved'),
      (error) => ({ error }),
    )
    assert.equal(caught.error, thrown)
    const [delivery] = await settledOf(engine, executionId, 1)
    assert.equal(delivery.status, 'delivered')
  })
}

it('runStep when the step does not return: takes $end for an end, not for a failure', async (t) => {
  const { url, requests } = await receive(t)
  const result = await runStep(
    await open(t),
    async () => {
      $send.http({ method: 'POST', url, data: {} })
      await $end('nothing to do')
      $send.http({ method: 'POST', url, data: { never: true } })
    },
    WORKFLOW,
  )
  await result.execution.settled()
  assert.equal(result.end.message, 'nothing to do')
  assert.match(result.end.ts, /^\d{4}-\d\d-\d\dT/)
  assert.equal(result.returnValue, undefined)
  assert.deepEqual(
    requests.map(({ body }) => body),
    ['{}'],
  )
})

it('runStep when the step does not return: keeps what a v1 step assigned to this before $end', async (t) => {
  const { exports } = await runStep(
    await open(t),
    function () {
      this.seen = 1
      $end()
    },
    WORKFLOW,
  )
  assert.deepEqual(exports, { seen: 1 })
})

it('runStep when the step does not return: throws an Error with an own __pd_end, which the step may catch', async (t) => {
  let caught
  const { returnValue, end } = await runStep(
    await open(t),
    () => {
      try {
        $end('x')
      } catch (error) {
        caught = error
      }
      return 'went on'
    },
    WORKFLOW,
  )
  assert.ok(caught instanceof Error && Object.hasOwn(caught, '__pd_end'))
  assert.equal(caught.__pd_end.message, 'x')
  assert.deepEqual([returnValue, end], ['went on', undefined])
})

it('runStep when the step does not return: attaches a refused completion to the error of the step', async (t) => {
  const engine = await open(t)
  const boom = new Error('boom')
  const refusal = Object.assign(new Error('no room'), { code: 'ERR_SEND_JOURNAL_FULL' })
  // The one thing that cannot be provoked from outside: an engine that refuses the hand-over.
  const refusing = {
    execution(options) {
      const execution = engine.execution(options)
      t.after(() => execution.discard())
      return {
        executionId: execution.executionId,
        step: (name) => execution.step(name),
        complete: () => Promise.reject(refusal),
      }
    },
  }
  const error = await runStep(
    refusing,
    () => {
      throw boom
    },
    WORKFLOW,
  ).catch((reason) => reason)
  assert.equal(error, boom)
  assert.equal(error.completionError, refusal)
})

it('runStep side by side: keeps the $send of concurrent steps apart', async (t) => {
  const { url } = await receive(t)
  const engine = await open(t)
  const turns = 50
  let arrived = 0
  let open_ = () => {}
  const all = new Promise((resolve) => {
    open_ = resolve
  })
  const step = async (event) => {
    const { http } = $send
    if (++arrived === turns) open_()
    await all
    http({ method: 'POST', url, data: { n: event.n } })
    await new Promise((resolve) => setImmediate(resolve))
    $send.http({ method: 'POST', url, data: { n: event.n } })
  }
  const runs = await Promise.all(
    Array.from({ length: turns }, (_, n) =>
      runStep(engine, step, { workflowId: `p_${n}`, stepName: `step_${n}`, event: { n } }),
    ),
  )
  for (const [n, { execution }] of runs.entries()) {
    const deliveries = await execution.settled()
    assert.deepEqual(
      deliveries.map(({ workflowId, step: name, request }) => [
        workflowId,
        name,
        JSON.parse(request.body).n,
      ]),
      Array(2).fill([`p_${n}`, `step_${n}`, n]),
    )
  }
})

for (const [what, target] of Object.entries({
  'a text': 'step.mjs',
  nothing: undefined,
  'an object without run': { props: {} },
  'an event source': { type: 'source', name: 'New thing', run() {} },
})) {
  it(`runStep refuses: ${what} as a step`, async (t) => {
    await assert.rejects(runStep(await open(t), target, WORKFLOW), {
      code: 'ERR_SEND_INVALID_ARGUMENT',
      message: /^runStep\(\): /,
    })
  })
}

it('runStep refuses: options that it does not know, and says which it knows', async (t) => {
  const run = runStep(await open(t), () => {}, { ...WORKFLOW, step: 'x' })
  await assert.rejects(run, {
    code: 'ERR_SEND_INVALID_ARGUMENT',
    message: /unknown option step\. Did you mean stepName\?/,
  })
})

it('runStep refuses: to run without a workflow', async (t) => {
  let ran = false
  await assert.rejects(
    runStep(
      await open(t),
      () => {
        ran = true
      },
      {},
    ),
    { code: 'ERR_SEND_INVALID_ARGUMENT' },
  )
  assert.equal(ran, false)
})
