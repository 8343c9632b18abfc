// Test calls in the Inspector, and what it shows of a run's beginning and end.

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { until } from '../support/dead-letters.mjs'
import { inspected, openPage, violations } from '../support/page.mjs'

test('the list shows what began a run and what it said at its end', async (t) => {
  const { engine, url } = await inspected(t)
  const trigger = { method: 'post', path: '/hooks/order?key=secret' }
  await engine.execution({ workflowId: 'p_one', trigger }).complete({ message: 'no new order' })
  await engine.execution({ workflowId: 'p_two' }).complete({ error: new Error('no such order') })
  const { page } = await openPage(t, url)
  const row = (/** @type {string} */ name) => page.locator('.run-row.row').filter({ hasText: name })
  await row('p_one').waitFor()
  assert.match(
    await row('p_one').innerText(),
    /Done\s+p_one\s+POST \/hooks\/order\s[\s\S]*no new order/,
  )
  assert.match(await row('p_two').innerText(), /Step failed\s+p_two[\s\S]*no such order/)
  await page.keyboard.press('/')
  await page.keyboard.type('trigger:/hooks')
  await page.getByRole('option', { name: 'POST /hooks/order' }).waitFor()
  await page.keyboard.press('Enter')
  await row('p_two').waitFor({ state: 'detached' })
  await row('p_one').getByRole('link').click()
  await page.getByText('Trigger', { exact: true }).waitFor()
  assert.match(
    await page.locator('.run-head').innerText(),
    /POST \/hooks\/order[\s\S]+no new order/,
  )
})

test('a test call is written, sent, and shown with its response', async (t) => {
  const { engine, url, target } = await inspected(t, { try: true })
  const { page, errors } = await openPage(t, `${url}/`)
  await page.getByRole('link', { name: 'Try' }).click()
  assert.deepEqual(await violations(page), [])
  await page.getByLabel('Address').fill(`${target.url}/ok`)
  await page.getByLabel('Headers').fill('x-one: 1\nno header')
  await page.getByLabel('Body').fill('{ "name": "Leia" }')
  await page.getByText('as JSON').waitFor()
  await page.keyboard.press('Control+Enter')
  await page.getByRole('alert').filter({ hasText: 'not no header' }).waitFor()
  await page.getByLabel('Headers').fill('x-one: 1')
  await page.getByRole('button', { name: 'Send' }).click()
  const result = page.getByRole('region', { name: 'Result' })
  await result.getByText('200 OK').waitFor()
  assert.match(await result.innerText(), /x-one\s+1/)
  assert.deepEqual(await violations(page), [])
  const [delivery] = await engine.deliveries()
  assert.deepEqual(delivery?.request.body, '{"name":"Leia"}')
  await page.getByRole('link', { name: 'Open in its run' }).click()
  await page.waitForURL(/run=/)
  await page.getByRole('button', { name: 'Edit and send …' }).click()
  assert.equal(await page.getByLabel('Address').inputValue(), `${target.url}/ok`)
  assert.match(await page.getByLabel('Headers').inputValue(), /^x-one: 1$/m)
  assert.deepEqual(errors, [])
})

test('on a narrow screen the result of a test call comes into view', async (t) => {
  const { url, target } = await inspected(t, { try: true })
  const viewport = { width: 360, height: 740 }
  const { page } = await openPage(t, `${url}/?view=try`, { viewport })
  await page.getByLabel('Address').fill(`${target.url}/ok`)
  await page.getByRole('button', { name: 'Send' }).click()
  const link = page.getByRole('link', { name: 'Open in its run' })
  await link.waitFor()
  await until(async () => ((await link.boundingBox())?.y ?? Infinity) < 300 || undefined)
})

test('the calls of a step fill the form, and nothing of the step runs', async (t) => {
  const { engine, url } = await inspected(t, { try: true })
  const { page } = await openPage(t, `${url}/?view=try`)
  await page.getByText('From a step').click()
  await page.getByLabel('Text of a step').fill(`
    export default defineComponent({
      async run({ steps, $ }) {
        fetch('http://127.0.0.1:1/')
        await $.send.http({
          method: "post", // a comment
          url: 'https://api.example.com/hook',
          headers: { 'x-key': \`k\`, authorization: \`Bearer \${process.env.KEY}\` },
          params: { page: 2 },
          data: { name: "Luke", list: [1, -2.5, true, null], event: steps.trigger.event, },
        })
        $send.http({ url: steps.trigger.event.url })
        $send.sse({ channel: 'c' })
      },
    })`)
  await page.getByText('2 calls').waitFor()
  await page.getByRole('button', { name: 'Use POST https://api.example.com/hook' }).click()
  assert.equal(await page.getByLabel('Method').inputValue(), 'POST')
  assert.equal(await page.getByLabel('Address').inputValue(), 'https://api.example.com/hook?page=2')
  assert.equal(
    await page.getByLabel('Headers').inputValue(),
    'x-key: k\nauthorization: ‹`Bearer ${process.env.KEY}`›',
  )
  assert.deepEqual(JSON.parse(await page.getByLabel('Body').inputValue()), {
    name: 'Luke',
    list: [1, -2.5, true, null],
    event: '‹steps.trigger.event›',
  })
  await page.getByRole('button', { name: 'Use GET ‹steps.trigger.event.url›' }).waitFor()
  assert.deepEqual(await engine.executions(), [])
})

test('without the permission there is no Try, whatever the address says', async (t) => {
  const { url, run } = await inspected(t)
  await run('p_one', ['/ok'])
  const { page } = await openPage(t, `${url}/?view=try`)
  await page.getByRole('link', { name: 'p_one' }).waitFor()
  assert.equal(await page.getByRole('link', { name: 'Try' }).count(), 0)
})

test('a host, a destination and one of your own lead from the overview to their calls', async (t) => {
  const { engine, url, run } = await inspected(t)
  engine.destination('own', { deliver: () => undefined })
  await run('p_host', ['/ok'])
  await engine.run({ workflowId: 'p_own' }, (execution) => {
    const { $send } = execution.step('s')
    /** @type {any} */ $send.own({ n: 1 })
    $send.emit({ n: 1 })
  })
  await engine.flush()
  // One that has not delivered anything yet.
  engine.destination('later', { deliver: () => undefined })
  await engine.pause({ destination: 'later' })
  const waits = engine.execution({ workflowId: 'p_later' })
  /** @type {any} */ waits.step('s').$send.later({ n: 2 })
  await waits.complete()
  const { page, errors } = await openPage(t, `${url}/?view=overview`)
  for (const [name, workflow] of [
    [/^127\.0\.0\.1:\d+$/, 'p_host'],
    ['own', 'p_own'],
    ['emit', 'p_own'],
    ['later', 'p_later'],
  ]) {
    await page.goto(`${url}/?view=overview`)
    await page.getByRole('rowheader', { name }).getByRole('link').click()
    const row = page.locator('.call-row.row')
    await row.first().waitFor()
    assert.equal(await row.count(), 1, String(name))
    assert.match(
      String(await row.locator('.c-workflow').textContent()),
      new RegExp(`^${workflow}$`),
    )
  }
  assert.deepEqual(errors, [])
})

test('the overview shows what waits by host, the streams, and their followers', async (t) => {
  const retry = { scheduleMs: [3_600_000], statuses: [422] }
  const { engine, url, begin, run, target } = await inspected(t, {}, { http: { retry } })
  await run('p_good', ['/ok'])
  await begin('p_wait', ['/fail', '/fail'])
  while (engine.stats().retrying < 2) await new Promise(setImmediate)
  const followed = await fetch(`${url}/pipelines/p_news/sse`)
  // An unreferenced response is garbage-collected, which closes its connection.
  t.after(() => followed.body?.cancel())
  const { page } = await openPage(t, `${url}/?view=overview`)
  const { host } = new URL(target.url)
  const hosts = page.locator('.card').filter({ hasText: 'Hosts' }).getByRole('row')
  await hosts.filter({ hasText: host }).waitFor()
  assert.match(await hosts.filter({ hasText: host }).innerText(), /:\d+\s+1\s+0\s+2\s/)
  const streams = page.locator('.card').filter({ hasText: 'Followers' }).getByRole('row')
  assert.match(await streams.filter({ hasText: 'p_news' }).innerText(), /p_news\s+1\s+0/)
  assert.deepEqual(await violations(page), [])
})
