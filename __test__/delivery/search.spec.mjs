// The search language of the log, over the REST API.

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { dataDirectory } from '../support/data-dir.mjs'
import { receiver } from '../support/receiver.mjs'
import { run, serve, TOKEN } from '../support/serving.mjs'

/** Searches of deliveries, and what they find. @param {string} host @returns {[string, string[]][]} */
function searches(host) {
  const [one, two, three, four, five] = [
    'p_First/0',
    'p_First/1',
    'p_second/0',
    'p_second/1',
    'p_open/0',
  ]
  return [
    ['', [five, four, three, two, one]],
    ['status:failed', [three, two]],
    ['STATUS:FAIL', [three, two]],
    ['status:deliv', [four, one]],
    ['status:recorded', [five]],
    ['status:failed status:delivered', []],
    [`host:${host}`, [two, one]],
    ['host:9.8', [three]],
    ['host:LATER', [five]],
    ['workflow:first', [two, one]],
    ['workflow:p_', [five, four, three, two, one]],
    ['code:send_egress', [three]],
    ['destination:sse', [four]],
    ['execution:run-of', [five]],
    ['works', [one]],
    ['FAILS/2', [two]],
    ['"fails/2" status:failed', [two]],
    ['fails works', []],
    ['news-chan', [four]],
    ['named', [five]],
    ['since:1h', [five, four, three, two, one]],
    ['until:1h', []],
    ['since:2020-01-01 until:2021-01-01T00:00:00Z', []],
    // What may be secret is not searched.
    ['query-text', []],
    ['pass', []],
    ["' OR 1=1 --", []],
    ['%', []],
    ['"\u0000"', []],
    ['"\u202e"', []],
  ]
}

/** Searches of executions. @type {[string, string[]][]} */
const EXECUTIONS = [
  ['', ['p_open', 'p_second', 'p_First']],
  ['status:failed', ['p_second', 'p_First']],
  ['status:running', ['p_open']],
  ['status:completed', ['p_second', 'p_First']],
  ['host:9.8', ['p_second']],
  ['status:failed destination:sse', []],
  ['works', ['p_First']],
  ['workflow:open named', ['p_open']],
  ['until:1h', []],
]

for (const durable of [false, true]) {
  const where = durable ? 'on disk' : 'in memory'
  test(`deliveries and executions are searched, ${where}`, async (t) => {
    const server = await receiver(t, (request, response) => {
      response.statusCode = request.path.includes('/fails/') ? 400 : 200
      response.end()
    })
    const own = new URL(server.url)
    const { engine, ask } = await serve(t, {}, durable ? { dataDir: dataDirectory(t) } : {})
    await run(engine, 'p_First', ($send) => {
      $send.http({ method: 'GET', url: `${server.url}/Works/1?secret=query-text` })
      $send.http({ method: 'GET', url: `${server.url}/fails/2` })
    })
    await run(engine, 'p_second', ($send) => {
      $send.http({ method: 'GET', url: 'http://10.9.8.7/blocked' })
      $send.sse({ channel: 'news-channel', payload: {} })
    })
    const open = engine.execution({ workflowId: 'p_open', executionId: 'run-of-p_open' })
    open.step('Named').$send.http({ method: 'GET', url: 'https://u:pass@Later.Example/x' })

    /** @param {string} list @param {string} search */
    const found = async (list, search) => {
      const { status, body } = await ask(`/v1/${list}?${new URLSearchParams({ search })}`)
      assert.equal(status, 200, JSON.stringify(body))
      assert.deepEqual([body.page_info.total_count, body.page_info.count], [null, body.data.length])
      return body.data
    }
    const deliveries = async (/** @type {string} */ search) =>
      (await found('deliveries', search)).map(
        (/** @type {any} */ { workflowId, index }) => `${workflowId}/${index}`,
      )
    for (const [search, expected] of searches(own.host)) {
      assert.deepEqual(await deliveries(search), expected, search)
    }

    const executions = async (/** @type {string} */ search) =>
      (await found('executions', search)).map((/** @type {any} */ row) => row.workflowId)
    for (const [search, expected] of EXECUTIONS) {
      assert.deepEqual(await executions(search), expected, search)
    }

    const pages = []
    for (let after = ''; ;) {
      const { body } = await ask(`/v1/deliveries?search=workflow:p_&limit=2${after}`)
      if (body.data.length === 0) break
      pages.push(body.data.length)
      after = `&after=${body.page_info.end_cursor}`
    }
    assert.deepEqual(pages, [2, 2, 1])
    const plan = await ask('/v1/replays?dry_run=true&search=fails', { method: 'POST' })
    assert.deepEqual([plan.status, plan.body.data.count], [200, 1])
    open.discard()
  })
}

test('a search that cannot be read names the place and the known words', async (t) => {
  const { ask } = await serve(t, { tokens: [TOKEN] })
  const headers = { authorization: `Bearer ${TOKEN}` }
  for (const list of ['deliveries', 'executions']) {
    const refused = async (/** @type {string} */ search) => {
      const query = new URLSearchParams({ search })
      const { status, body } = await ask(`/v1/${list}?${query}`, { headers })
      assert.equal(status, 400, search)
      return body.error
    }
    assert.match(
      await refused('abc hots:x'),
      /^search: at character 5: unknown word "hots"\. Did you mean host\? Known: status, host, workflow, code, destination, execution, trigger, since, until/,
    )
    assert.match(await refused('status:nope'), /at character 8: unknown status "nope".*in-flight/)
    assert.match(await refused('since:soon'), /at character 7: "soon" is neither a duration/)
    assert.match(await refused('"a'), /at character 1: the quote does not end/)
    assert.match(await refused('x'.repeat(1001)), /1000 characters or less/)
    assert.match(await refused('a '.repeat(21)), /more than 20 terms at character 41/)
  }
})
