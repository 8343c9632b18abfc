import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { pathToFileURL } from 'node:url'

import { Engine, runStep } from '../js/index.mjs'
import { receive } from './recording-receiver.mjs'

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

describe('runStep with a v1 function', () => {
  it('delivers what the global $send records', async (t) => {
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
    assert.deepEqual(requests, [
      { method: 'POST', path: '/hook', body: '{"name":"Luke Skywalker"}' },
    ])
  })

  it('passes event, steps, params and auths', async (t) => {
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
    const steps = { trigger: { event: { id: 1 } }, one: { $return_value: 2 } }
    assert.deepEqual(seen, [{ id: 1 }, steps, { channel: 'c' }, { app: { key: 'k' } }])
  })

  it('gives empty objects for what the caller leaves out', async (t) => {
    let seen
    await runStep(
      await open(t),
      (...args) => {
        seen = args
      },
      WORKFLOW,
    )
    assert.deepEqual(seen, [{}, { trigger: { event: {} } }, {}, {}])
  })

  it('exports what the step assigns to this, and its return value', async (t) => {
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
})

describe('runStep with a component', () => {
  it('runs a v2 step with $.send', async (t) => {
    const { url, bodies } = await receive(t)
    const component = {
      async run({ steps, $ }) {
        for (const name of ['Luke', 'Leia', 'Han'])
          $.send.http({ method: 'POST', url: steps.trigger.event.url, data: { name } })
      },
    }
    const { execution, receipt } = await runStep(await open(t), component, {
      ...WORKFLOW,
      stepName: 'notify',
      event: { url },
    })
    const deliveries = await execution.settled()
    assert.equal(receipt.recorded, 3)
    assert.deepEqual(
      deliveries.map(({ step, status }) => [step, status]),
      Array(3).fill(['notify', 'delivered']),
    )
    assert.deepEqual(bodies(), [{ name: 'Han' }, { name: 'Leia' }, { name: 'Luke' }])
  })

  it('lets a v2 step use the globals too', async (t) => {
    const { url, requests } = await receive(t)
    const component = {
      async run() {
        await $send.http({ method: 'POST', url, data: {} })
      },
    }
    await (await runStep(await open(t), component, WORKFLOW)).execution.settled()
    assert.equal(requests.length, 1)
  })

  it('binds this to the props, their defaults and the methods', async (t) => {
    const component = {
      key: 'example-action',
      name: 'Example',
      version: '0.0.1',
      type: 'action',
      props: {
        name: { type: 'string' },
        greeting: { type: 'string', default: 'Hello' },
        extra: { type: 'string', optional: true },
      },
      methods: {
        greet() {
          return `${this.greeting}, ${this.name}`
        },
      },
      run() {
        return [this.greet(), Object.hasOwn(this, 'extra'), this.other]
      },
    }
    const { returnValue } = await runStep(await open(t), component, {
      ...WORKFLOW,
      props: { name: 'Luke', other: 1 },
    })
    assert.deepEqual(returnValue, ['Hello, Luke', false, 1])
  })

  it('keeps null, false, 0 and the empty text as values of props that have defaults', async (t) => {
    const names = ['a', 'b', 'c', 'd']
    const component = {
      props: Object.fromEntries(names.map((name) => [name, { default: 'default' }])),
      run() {
        return names.map((name) => this[name])
      },
    }
    const { returnValue } = await runStep(await open(t), component, {
      ...WORKFLOW,
      props: { a: null, b: false, c: 0, d: '' },
    })
    assert.deepEqual(returnValue, [null, false, 0, ''])
  })

  it('gives apps among the props their account and methods', async (t) => {
    const app = {
      type: 'app',
      app: 'slack',
      propDefinitions: { channel: { type: 'string', default: 'general' } },
      methods: {
        token() {
          return this.$auth.oauth_access_token
        },
        header() {
          return `Bearer ${this.token()}`
        },
      },
    }
    const component = {
      props: { slack: app, channel: { propDefinition: [app, 'channel'] } },
      run() {
        const { header } = this.slack
        return [header(), this.channel]
      },
    }
    const engine = await open(t)
    const account = { oauth_access_token: 'x' }
    for (const given of [{ auths: { slack: account } }, { props: { slack: { $auth: account } } }]) {
      const { returnValue } = await runStep(engine, component, { ...WORKFLOW, ...given })
      assert.deepEqual(returnValue, ['Bearer x', 'general'])
    }
  })

  it('takes an app with methods as the value of a prop', async (t) => {
    const props = {
      store: {
        prefix: 'p',
        methods: {
          key(name) {
            return `${this.prefix}:${name}`
          },
        },
      },
    }
    const { returnValue } = await runStep(
      await open(t),
      {
        run() {
          return this.store.key('a')
        },
      },
      { ...WORKFLOW, props },
    )
    assert.equal(returnValue, 'p:a')
  })

  it('leaves instances of classes among the props alone', async (t) => {
    class Counter {
      #count = 0
      add() {
        return ++this.#count
      }
    }
    const counter = new Counter()
    const { returnValue } = await runStep(
      await open(t),
      {
        run() {
          return this.counter.add()
        },
      },
      { ...WORKFLOW, props: { counter } },
    )
    assert.equal(returnValue, 1)
  })

  it('collects $.export and $.respond', async (t) => {
    const component = {
      run({ $ }) {
        $.export('$summary', 'Sent')
        $.export('__proto__', 1)
        $.respond({ status: 202, body: 'ok' })
        return 7
      },
    }
    const { exports, response } = await runStep(await open(t), component, WORKFLOW)
    assert.deepEqual(Object.entries(exports), [
      ['$summary', 'Sent'],
      ['__proto__', 1],
      ['$return_value', 7],
    ])
    assert.deepEqual(response, { status: 202, body: 'ok' })
  })

  it('lets the step go on after $.flow.exit', async (t) => {
    const { url, requests } = await receive(t)
    const component = {
      run({ $ }) {
        $.flow.exit('enough')
        $.flow.exit('again')
        $.send.http({ method: 'POST', url, data: { after: true } })
        return 'still returned'
      },
    }
    const result = await runStep(await open(t), component, WORKFLOW)
    await result.execution.settled()
    assert.deepEqual(result.exit, { reason: 'enough' })
    assert.equal(result.returnValue, 'still returned')
    assert.equal(requests.length, 1)
  })

  for (const name of ['suspend', 'delay', 'rerun']) {
    it(`says that $.flow.${name} is not supported`, async (t) => {
      const run = runStep(await open(t), { run: ({ $ }) => $.flow[name](1000) }, WORKFLOW)
      await assert.rejects(run, {
        code: 'ERR_SEND_NOT_SUPPORTED',
        message: new RegExp(`\\$\\.flow\\.${name}\\(\\) is not supported`),
      })
    })
  }
})

describe('runStep with a module', () => {
  const sources = {
    'v1.mjs': 'export default async (event) => event.n + 1',
    'v1.cjs': 'module.exports = async (event) => event.n + 1',
    'v2.mjs': 'export default { run: ({ steps }) => steps.trigger.event.n + 1 }',
    'compiled.cjs':
      'exports.__esModule = true; exports.default = { run: ({ steps }) => steps.trigger.event.n + 1 }',
    'named.mjs': 'export const run = ({ steps }) => steps.trigger.event.n + 1',
  }
  for (const [file, source] of Object.entries(sources)) {
    it(`finds the step in ${file}`, async (t) => {
      const directory = await mkdtemp(join(tmpdir(), 'run-step-'))
      t.after(() => rm(directory, { recursive: true }))
      await writeFile(join(directory, file), source)
      const module = await import(pathToFileURL(join(directory, file)).href)
      const { returnValue } = await runStep(await open(t), module, { ...WORKFLOW, event: { n: 1 } })
      assert.equal(returnValue, 2)
    })
  }
})

describe('runStep when the step does not return', () => {
  it('delivers what was recorded before a throw and rethrows the very error', async (t) => {
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
    it(`completes and rethrows ${JSON.stringify(thrown)}`, async (t) => {
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

  it('takes $end for an end, not for a failure', async (t) => {
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

  it('keeps what a v1 step assigned to this before $end', async (t) => {
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

  it('throws an Error with an own __pd_end, which the step may catch', async (t) => {
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

  it('attaches a refused completion to the error of the step', async (t) => {
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
})

describe('runStep side by side', () => {
  it('keeps the $send of concurrent steps apart', async (t) => {
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

  it('refuses $send of a step that is over', async (t) => {
    let late
    const engine = await open(t)
    await runStep(
      engine,
      () => {
        late = () => $send.http({ method: 'POST', url: 'http://127.0.0.1/' })
        late.bound = new Promise((resolve) => setImmediate(() => resolve(outcomeOf(late))))
      },
      WORKFLOW,
    )
    assert.equal((await late.bound).code, 'ERR_SEND_EXECUTION_COMPLETED')
  })
})

/** What a function throws. */
function outcomeOf(fn) {
  try {
    return { returned: fn() }
  } catch (error) {
    return error
  }
}

describe('runStep refuses', () => {
  for (const [what, target] of Object.entries({
    'a text': 'step.mjs',
    nothing: undefined,
    'an object without run': { props: {} },
    'an event source': { type: 'source', name: 'New thing', run() {} },
  })) {
    it(`${what} as a step`, async (t) => {
      await assert.rejects(runStep(await open(t), target, WORKFLOW), {
        code: 'ERR_SEND_INVALID_ARGUMENT',
        message: /^runStep\(\): /,
      })
    })
  }

  it('options that it does not know, and says which it knows', async (t) => {
    const run = runStep(await open(t), () => {}, { ...WORKFLOW, step: 'x' })
    await assert.rejects(run, {
      code: 'ERR_SEND_INVALID_ARGUMENT',
      message: /unknown option step; known are workflowId, .*stepName/,
    })
  })

  it('to run without a workflow', async (t) => {
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
})
