import assert from 'node:assert/strict'
import { it } from 'node:test'

import { Engine, runStep } from '../../js/index.mjs'
import { receive } from '../support/recording-receiver.mjs'

/* global $send */

const WORKFLOW = { workflowId: 'p_run_step' }

/** An engine that may talk to this machine, until the test ends. */
async function open(t) {
  const engine = await Engine.open({ egress: { allow: ['127.0.0.0/8'] } })
  t.after(() => engine.close({ timeoutMs: 1000 }))
  return engine
}

it('runStep with a component: runs a v2 step with $.send', async (t) => {
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

it('runStep with a component: lets a v2 step use the globals too', async (t) => {
  const { url, requests } = await receive(t)
  const component = {
    async run() {
      await $send.http({ method: 'POST', url, data: {} })
    },
  }
  await (await runStep(await open(t), component, WORKFLOW)).execution.settled()
  assert.equal(requests.length, 1)
})

it('runStep with a component: binds this to the props, their defaults and the methods', async (t) => {
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

it('runStep with a component: keeps null, false, 0 and the empty text as values of props that have defaults', async (t) => {
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

it('runStep with a component: gives apps among the props their account and methods', async (t) => {
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

it('runStep with a component: takes an app with methods as the value of a prop', async (t) => {
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

it('runStep with a component: leaves instances of classes among the props alone', async (t) => {
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

it('runStep with a component: collects $.export and $.respond', async (t) => {
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

it('runStep with a component: lets the step go on after $.flow.exit', async (t) => {
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
  it(`runStep with a component: says that $.flow.${name} is not supported`, async (t) => {
    const run = runStep(await open(t), { run: ({ $ }) => $.flow[name](1000) }, WORKFLOW)
    await assert.rejects(run, {
      code: 'ERR_SEND_NOT_SUPPORTED', // reaches ERR_SEND_NOT_SUPPORTED
      message: new RegExp(`\\$\\.flow\\.${name}\\(\\) is not supported`),
    })
  })
}
