import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import { once } from 'node:events'
import { it } from 'node:test'

import { runStep } from '../../js/index.mjs'
import { openEngine } from '../support/engine.mjs'

const WORKFLOW = { workflowId: 'p_props' }

/** Runs a component with props and returns the result. */
async function run(t, component, options = {}) {
  return runStep(await openEngine(t), component, { ...WORKFLOW, ...options })
}

it('props: all required ones that are missing are named before the step runs', async (t) => {
  let ran = false
  const app = { type: 'app', app: 'x', propDefinitions: { channel: { type: 'string' } } }
  const component = {
    name: 'Send it',
    props: {
      app,
      to: { type: 'string' },
      channel: { propDefinition: [app, 'channel'] },
      text: { type: 'string', default: '' },
      note: { type: 'string', optional: true },
      hint: { type: 'alert' },
      anything: { type: 'any' },
      db: '$.service.db',
    },
    run() {
      ran = true
    },
  }
  const engine = await openEngine(t)
  await assert.rejects(runStep(engine, component, WORKFLOW), {
    code: 'ERR_SEND_INVALID_ARGUMENT',
    message: 'Send it: the props to, channel are required, pass props: { to, channel }',
  })
  assert.equal(ran, false)
  const given = { ...WORKFLOW, props: { to: 'a', channel: 'b' } }
  assert.equal((await runStep(engine, component, given)).status, 'returned')
})

it('props: a value of another type is passed on with a warning', async (t) => {
  const component = {
    props: {
      count: { type: 'integer' },
      tags: { type: 'string[]' },
      flag: { type: 'boolean' },
      fine: { type: 'object' },
      own: { type: '$.airtable.baseId' },
    },
    run() {
      return [this.count, this.tags, this.flag]
    },
  }
  const props = { count: '5', tags: ['a', 1], flag: true, fine: {}, own: 1 }
  const { returnValue, warnings } = await run(t, component, { props })
  assert.deepEqual(returnValue, ['5', ['a', 1], true])
  assert.deepEqual(warnings, [
    "prop count is declared as integer, its value is '5'",
    "prop tags is declared as string[], its value is [ 'a', 1 ]",
  ])
})

it('props: a default is new for each run', async (t) => {
  const engine = await openEngine(t)
  const component = {
    props: { list: { type: 'string[]', default: ['a'] } },
    run() {
      return this.list.push('b')
    },
  }
  const first = await runStep(engine, component, WORKFLOW)
  const second = await runStep(engine, component, WORKFLOW)
  assert.deepEqual([first.returnValue, second.returnValue], [2, 2])
})

it('props: an app without an account says so at the first use of $auth', async (t) => {
  const app = {
    type: 'app',
    app: 'slack',
    methods: {
      token() {
        return this.$auth.token
      },
      plain() {
        return JSON.stringify(this)
      },
    },
  }
  const component = {
    props: { slack: app },
    run() {
      return [this.slack.plain(), this.slack.token()]
    },
  }
  await assert.rejects(run(t, component), {
    code: 'ERR_SEND_INVALID_ARGUMENT',
    message: /this\.slack\.\$auth: no account was given, pass auths: \{ slack \}/,
  })
})

it('props: async options and additionalProps of a component are never called', async (t) => {
  const fail = () => assert.fail('called')
  const component = {
    props: { to: { type: 'string', options: fail, reloadProps: true } },
    additionalProps: fail,
    run() {
      return this.extra
    },
  }
  const { returnValue } = await run(t, component, { props: { to: 'a', extra: 1 } })
  assert.equal(returnValue, 1)
})

for (const props of ['text', 7, null, [], () => {}]) {
  it(`props: a component may declare ${JSON.stringify(props)} as props`, async (t) => {
    const { returnValue } = await run(t, { props, run: () => 1 })
    assert.equal(returnValue, 1)
  })
}

it('this: new names are exported, props and methods are not', async (t) => {
  const component = {
    props: { to: { type: 'string', default: 'a' } },
    methods: { greet: () => 'hi' },
    run() {
      this.total = 3
      this.to = 'changed'
      this.helper = () => {}
    },
  }
  assert.deepEqual((await run(t, component)).exports, { total: 3 })
})

it('$.interface.http as a prop: responds', async (t) => {
  const component = {
    props: { http: { type: '$.interface.http' } },
    run() {
      return this.http.respond({ status: 204 })
    },
  }
  assert.deepEqual((await run(t, component)).response, { status: 204 })
})

/** A server that answers with what it was sent. */
async function echo(t) {
  const server = createServer(async (request, response) => {
    let body = ''
    for await (const chunk of request) body += chunk
    const { method, url, headers } = request
    response.writeHead(url.startsWith('/teapot') ? 418 : 200, {
      'content-type': 'application/json',
    })
    response.end(JSON.stringify({ method, url, headers, body }))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => server.close())
  return `http://127.0.0.1:${server.address().port}`
}

const request = {
  props: { request: { type: 'http_request', default: { method: 'GET', url: 'not a url' } } },
  async run() {
    const { status, data } = await this.request.execute()
    return { status, ...data, settings: this.request.method }
  },
}

it('http_request: execute() sends with the settings of the prop', async (t) => {
  const url = await echo(t)
  const settings = {
    method: 'POST',
    url: `${url}/path?a=1`,
    params: [
      { name: 'b', value: '2' },
      { name: 'off', value: '3', disabled: true },
    ],
    headers: [{ name: 'x-own', value: 'yes' }],
    auth: { type: 'bearer', token: 'secret' },
    body: { contentType: 'application/json', mode: 'raw', raw: '{"n":1}' },
  }
  const { returnValue } = await run(t, request, { props: { request: settings } })
  assert.equal(returnValue.url, '/path?a=1&b=2')
  assert.deepEqual(
    [returnValue.status, returnValue.method, returnValue.body, returnValue.settings],
    [200, 'POST', '{"n":1}', 'POST'],
  )
  const { authorization, 'x-own': own, 'content-type': type } = returnValue.headers
  assert.deepEqual([authorization, own, type], ['Bearer secret', 'yes', 'application/json'])
})

for (const [contentType, expected] of [
  ['application/json', '{"a":"1 2"}'],
  ['application/x-www-form-urlencoded', 'a=1+2'],
]) {
  it(`http_request: fields become ${contentType}`, async (t) => {
    const body = { mode: 'fields', contentType, fields: [{ name: 'a', value: '1 2' }] }
    const auth = { type: 'basic', username: 'u', password: 'p' }
    const settings = { method: 'put', url: await echo(t), body, auth }
    const { returnValue } = await run(t, request, { props: { request: settings } })
    const { method, headers } = returnValue
    assert.deepEqual([method, returnValue.body], ['PUT', expected])
    assert.equal(headers.authorization, `Basic ${Buffer.from('u:p').toString('base64')}`)
  })
}

it('http_request: a status that is not 2xx rejects with the response', async (t) => {
  const settings = { url: `${await echo(t)}/teapot` }
  const error = await run(t, request, { props: { request: settings } }).catch((reason) => reason)
  assert.equal(error.message, 'Request failed with status code 418')
  assert.equal(error.response.data.url, '/teapot')
})

it('http_request: without a valid url execute() says which prop it is', async (t) => {
  await assert.rejects(run(t, request), { message: /this\.request\.execute\(\): .* no valid url/ })
})
