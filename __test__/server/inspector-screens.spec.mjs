// The Inspector in Chromium: what each screen says, from the list of runs to the overview.

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { dataDirectory } from '../support/data-dir.mjs'
import { until } from '../support/dead-letters.mjs'
import { inspected, openPage, violations } from '../support/page.mjs'
import { gate } from '../support/receiver.mjs'

/* global document, location, requestAnimationFrame -- in the page */

const DAY = 86_400_000

/** Returns the milliseconds of a duration such as `1.5 s`. @param {string} text */
function msOf(text) {
  const [, count, unit] = /([\d.]+) (ms|s)/.exec(text) ?? []
  return Number(count) * (unit === 's' ? 1000 : 1)
}

test('runs are grouped by day, with dates relative to today', async (t) => {
  const { url, run } = await inspected(t)
  await run('p_before', ['/ok'])
  await run('p_first', ['/ok'])
  await run('p_last', ['/ok'])
  const { page } = await openPage(t, 'about:blank')
  const now = Date.now()
  await page.route('**/v1/executions?*', async (route) => {
    const response = await route.fetch()
    const json = await response.json()
    json.data[2].startedAt = new Date(now - DAY).toISOString()
    await route.fulfill({ response, json })
  })
  const groups = async (/** @type {number} */ time) => {
    await page.clock.setFixedTime(time)
    await page.goto(url)
    await page.getByRole('link', { name: 'p_before' }).waitFor()
    const list = await page.getByRole('table', { name: 'Runs' }).innerText()
    return list.replace(/\s+/g, ' ')
  }
  assert.match(await groups(now), /Today .*p_last .*p_first .*Yesterday .*p_before/)
  assert.match(await groups(now + DAY), /Yesterday .*p_last .*p_first .*\d+ .*p_before/)
  const later = await groups(now + 3 * DAY)
  assert.doesNotMatch(later, /Today|Yesterday/)
  assert.match(later, new RegExp(`\\b${new Date(now).getDate()}\\b`))
  await page.unrouteAll({ behavior: 'ignoreErrors' })
})

test('the duration of a run leaves its destinations out', async (t) => {
  const { engine, url } = await inspected(t)
  const slow = await gate(t)
  const begun = Date.now()
  await engine.run({ workflowId: 'p_slow' }, (execution) => {
    execution.step('s').$send.http({ method: 'POST', url: slow.url })
  })
  await until(() => Date.now() - begun > 1500 || undefined)
  slow.open()
  await engine.flush()
  const { page } = await openPage(t, url)
  const row = page.locator('.run-row.row')
  const run = msOf(await row.locator('.c-duration').innerText())
  await page.getByRole('link', { name: 'p_slow' }).click()
  const took = msOf(await page.getByText(/^ ?· [\d.]+ s$/).innerText())
  assert.ok(run < 1000 && took >= 1000, `the run ${run} ms, its call ${took} ms`)
})

test('a search ignores case, finds parts and free text, and is shared by its address', async (t) => {
  const { url, run } = await inspected(t)
  await run('p_good', ['/ok'])
  await run('p_Orders', ['/fail/Contact'])
  const { page } = await openPage(t, url)
  const search = async (/** @type {string} */ text) => {
    await page.getByRole('combobox', { name: 'Search' }).fill(text)
    await page.keyboard.press('Enter')
    await page.waitForURL((address) => address.searchParams.get('q') === text)
  }
  for (const text of [
    'WORKFLOW:orders',
    'status:FAILED since:2h',
    'host:127.0 code:send_status',
    '"ANSWERED 422"',
    '/fail/contact',
  ]) {
    await search(text)
    await page.getByRole('link', { name: 'p_good' }).waitFor({ state: 'detached' })
    await page.getByRole('link', { name: 'p_Orders' }).waitFor()
    // The number of what a search finds is not known, and not said.
    assert.doesNotMatch(await page.locator('.bar').innerText(), /\d/)
    await page.getByRole('button', { name: 'Clear the search' }).click()
    await page.getByRole('link', { name: 'p_good' }).waitFor()
  }
  await search('status:failed "ANSWERED 422"')
  await page.getByRole('link', { name: 'p_Orders' }).click()
  await page.getByRole('link', { name: '/fail/Contact' }).click()
  await page.getByText('422 Unprocessable Entity', { exact: true }).waitFor()
  const { page: other } = await openPage(t, page.url())
  await other.getByText('422 Unprocessable Entity', { exact: true }).waitFor()
  const box = other.getByRole('combobox', { name: 'Search' })
  assert.equal(await box.inputValue(), 'status:failed "ANSWERED 422"')
})

test('a run shows its steps in order, and says what each waiting call waits for', async (t) => {
  const retry = { scheduleMs: [1_800_000], statuses: [422] }
  const { engine, url, target } = await inspected(
    t,
    {},
    { http: { retry }, dataDir: dataDirectory(t) },
  )
  const send = (/** @type {any} */ execution, /** @type {string} */ step) =>
    execution.step(step).$send
  const execution = engine.execution({ workflowId: 'p_waits' })
  send(execution, 'zeta').http({ method: 'POST', url: `${target.url}/ok` })
  send(execution, 'alpha').http({ method: 'POST', url: `${target.url}/fail` })
  send(execution, 'mid').s3({ bucket: 'b', prefix: 'x/', payload: { a: 1 } })
  await execution.complete()
  await until(() => (engine.stats().retrying === 1 && engine.stats().delivered === 1) || undefined)
  const { page, errors } = await openPage(t, url)
  await page.getByRole('link', { name: 'p_waits' }).click()
  const tree = page.getByRole('region', { name: 'Calls of the run' })
  await tree.getByText(/until \d+:\d+:\d+.*, or until it is full/).waitFor()
  const text = (await tree.innerText()).replace(/\s+/g, ' ')
  assert.match(text, /zeta 1 call .*Delivered · [\d.]+ m?s 200 alpha 1 call .*mid 1 call/)
  assert.match(text, /Retrying · again in (29|30) min \d+ s/)
  const countdown = tree.getByText('again in')
  const before = await countdown.innerText()
  await until(async () => (await countdown.innerText()) !== before || undefined)
  await tree.getByRole('link', { name: '/fail' }).click()
  const call = page.getByRole('article')
  assert.match(await call.innerText(), /ERR_SEND_STATUS the server answered 422.* · again in/)
  await page.goBack()
  await tree.getByRole('link', { name: 'b', exact: true }).click()
  await call.getByText(/^In a batch until \d+:\d+:\d+.*, or until it is full$/).waitFor()
  const [batched] = await engine.deliveries({ status: 'batched' })
  const due = call.locator('.facts div').filter({ hasText: 'Due' }).locator('time')
  assert.equal(await due.getAttribute('datetime'), batched?.dueAt)
  assert.deepEqual(errors, [])
})

test('calls that wait for what is paused say so', async (t) => {
  const retry = { scheduleMs: [1_800_000], statuses: [422] }
  const { engine, url, begin, target } = await inspected(t, {}, { http: { retry } })
  const { host } = new URL(target.url)
  await begin('p_tried', ['/fail'])
  await until(() => engine.stats().retrying === 1 || undefined)
  await engine.pause({ host })
  await begin('p_held', ['/ok'])
  const { page, errors } = await openPage(t, `${url}/?view=calls`)
  const states = () => page.locator('.call-row.row .c-state').allInnerTexts()
  await until(async () => (await states()).join() === 'Paused,Paused' || undefined)
  assert.deepEqual(await violations(page), [])
  await page.getByRole('link', { name: '/ok' }).click()
  const tree = page.getByRole('region', { name: 'Calls of the run' })
  await tree.getByText(`Paused · while ${host} is paused`).waitFor()
  await page.getByRole('article').getByText(`Paused while ${host} is paused`).waitFor()
  // The next attempt of what failed before is not counted down: it is not made.
  await page.goto(`${url}/?view=calls&q=workflow:p_tried`)
  await page.getByRole('link', { name: '/fail' }).click()
  await page.getByRole('article').getByText(`· while ${host} is paused`).waitFor()
  assert.equal(await page.getByText('again in').count(), 0)

  await engine.resume({ host })
  await engine.pause({ workflowId: 'p_tried' })
  await engine.flush({ timeoutMs: 1 }).catch(() => {})
  await begin('p_held', ['/ok'])
  await page.goto(`${url}/?view=calls`)
  await until(async () => (await states()).join() === 'Delivered,Delivered,Paused' || undefined)
  assert.deepEqual(errors, [])
})

test('a call is copied as JSON and as a link, and says its sizes', async (t) => {
  const { url, run } = await inspected(t)
  const [delivery] = await run('p_copy', ['/ok'])
  const { page } = await openPage(t, `${url}/?run=${delivery?.executionId}&call=${delivery?.id}`, {
    permissions: ['clipboard-read', 'clipboard-write'],
  })
  const call = page.getByRole('article')
  await call.getByText('200 OK').waitFor()
  assert.match(await call.innerText(), /Sent\s+14 B\s+Received\s+11 B/)
  const copied = async (/** @type {string} */ name) => {
    await call.getByRole('button', { name }).click()
    await call.getByRole('button', { name: 'Copied' }).waitFor()
    return page.evaluate(() => navigator.clipboard.readText())
  }
  const json = JSON.parse(await copied('Copy as JSON'))
  assert.deepEqual([json.id, json.status], [delivery?.id, 'delivered'])
  await call.getByRole('button', { name: 'Copied' }).waitFor({ state: 'detached' })
  const link = await copied('Copy link to the call')
  const { page: other } = await openPage(t, link)
  await other.getByRole('article').getByText('200 OK').waitFor()
  assert.ok((await other.locator('.facts .id').last().innerText()).includes(delivery?.id ?? '?'))
})

test('the overview has the figures of its period, breakers, and the tables of the warehouse', async (t) => {
  const retry = { scheduleMs: [3_600_000], statuses: [422], breaker: { failures: 2 } }
  const options = { http: { retry }, dataDir: dataDirectory(t) }
  const { engine, url, begin, run, target } = await inspected(t, {}, options)
  await run('p_good', ['/ok', '/ok'])
  const execution = engine.execution({ workflowId: 'p_table' })
  execution.step('s').$send.sql({ table: 'orders', payload: { id: 7, name: '<b>Leia</b>' } })
  await execution.complete()
  await engine.flush()
  await begin('p_wait', ['/fail', '/fail'])
  await until(() => engine.stats().retrying === 2 || undefined)
  const { page, errors } = await openPage(t, `${url}/?view=overview`)
  const tile = (/** @type {string} */ name) =>
    page.locator('.tiles > div').filter({ has: page.getByText(name, { exact: true }) })
  await tile('Delivered').getByText('3', { exact: true }).waitFor()
  await tile('Waiting').getByText('2', { exact: true }).waitFor()
  await tile('Failed').getByText('0', { exact: true }).waitFor()
  await tile('2xx').getByText('2', { exact: true }).waitFor()
  assert.match(await tile('Oldest waiting').innerText(), /\d+ m?s$/)
  await page.getByRole('img', { name: 'Deliveries by hour, 3 in the busiest' }).waitFor()
  const { host } = new URL(target.url)
  const row = page.locator('.card').filter({ hasText: 'p95' }).getByRole('row')
  assert.match(
    await row.filter({ hasText: host }).innerText(),
    /\s2\s+0\s+2\s+[\d.]+ ms\s+[\d.]+ ms/,
  )
  await page.getByRole('cell', { name: 'Breaker open' }).waitFor()

  await page.getByRole('button', { name: '72h' }).click()
  await page.waitForURL(/period=72h/)
  await page.reload()
  await page.getByRole('button', { name: '72h', pressed: true }).waitFor()

  await page.getByRole('button', { name: 'Run', exact: true }).click()
  const result = page.getByRole('region', { name: 'Result of the query' })
  await result.getByRole('button', { name: 'orders' }).click()
  await result.getByText('<b>Leia</b>').waitFor()
  const box = page.getByRole('textbox', { name: 'Query to the warehouse' })
  await box.fill('SELECT * FROM range(1500)')
  await page.keyboard.press('Control+Enter')
  await page.getByText('The first 1,000 rows').waitFor()
  await box.fill('SELECT nothing FROM nowhere')
  await page.keyboard.press('Control+Enter')
  await page.getByRole('alert').filter({ hasText: 'nowhere' }).waitFor()
  assert.deepEqual(errors, [])
})

test('the page says no number before it knows it', async (t) => {
  const { url, run } = await inspected(t)
  await run('p_one', ['/ok', '/fail'])
  const { page } = await openPage(t, 'about:blank')
  /** @type {() => void} */
  let release = () => {}
  const held = new Promise((resolve) => (release = () => resolve(undefined)))
  await page.route(/\/(overview\?|v1\/queues)/, async (route) => {
    await held
    const response = await route.fetch()
    const json = await response.json()
    // A part of the deliveries, as of a large log.
    if (route.request().url().includes('overview')) json.sampled = true
    await route.fulfill({ response, json })
  })
  await page.goto(`${url}/?view=overview`)
  await page.locator('.tiles').waitFor()
  assert.doesNotMatch(await page.locator('.tiles').innerText(), /\d/)
  assert.doesNotMatch(await page.locator('.chart .line-with-button').innerText(), /\d/)
  assert.equal(await page.getByText('No queue has work').count(), 0)
  release()
  const tiles = page.locator('.tiles')
  await tiles.getByText('1+').first().waitFor()
  assert.match(await tiles.innerText(), /Delivered\s+1\+\s+Failed\s+1\+\s+Waiting\s+0\s/)
  await page.getByText('Only the newest 50,000 deliveries').waitFor()
  // Hours before the sample are not shown as empty ones.
  assert.equal(await page.locator('.chart g').count(), 1)
  await page.unrouteAll({ behavior: 'ignoreErrors' })
})

test('a list whose length is not known does not say it', async (t) => {
  const { url, engine } = await inspected(t)
  await engine.run({ workflowId: 'p_many' }, (execution) => {
    for (let n = 0; n < 170; n++) execution.step('s').$send.emit({ n })
  })
  await engine.flush()
  const { page } = await openPage(t, `${url}/?view=calls&q=workflow:p_many`)
  await page.locator('.call-row.row').first().waitFor()
  const table = page.getByRole('table', { name: 'Calls' })
  assert.equal(await table.getAttribute('aria-rowcount'), '-1')
  await until(async () => {
    await table.evaluate((list) => (list.scrollTop = list.scrollHeight))
    // With the line of the day.
    return (await table.getAttribute('aria-rowcount')) === '171' || undefined
  })
  await page.goto(`${url}/?view=calls`)
  await page.getByText('170 calls').waitFor()
})

test('a list that is scrolled to its end while it reads again loads the next page after', async (t) => {
  const { url, engine } = await inspected(t)
  await engine.run({ workflowId: 'p_many' }, (execution) => {
    for (let n = 0; n < 90; n++) execution.step('s').$send.emit({ n })
  })
  await engine.flush()
  const { page } = await openPage(t, `${url}/?view=calls&q=workflow:p_many`)
  await page.setViewportSize({ width: 1280, height: 600 })
  await page.locator('.call-row.row').first().waitFor()
  const table = page.getByRole('table', { name: 'Calls' })
  const height = () => table.evaluate((list) => list.scrollHeight)
  const first = await height()
  // Away from the top, and not yet so near the end that the next page is read.
  await table.evaluate((list) => (list.scrollTop = 60))
  let release = () => {}
  const released = new Promise((resolve) => (release = () => resolve(undefined)))
  const held = new Promise((resolve) => {
    void page.route('**/v1/deliveries?*', async (route) => {
      resolve(undefined)
      await released
      await route.continue()
    })
  })
  // It reads again when it is shown again.
  await page.evaluate(() => document.dispatchEvent(new Event('visibilitychange')))
  await held
  await table.evaluate(async (list) => {
    list.scrollTop = list.scrollHeight
    // The list hears of it with the next frame.
    for (let n = 0; n < 2; n++) await new Promise((done) => requestAnimationFrame(done))
  })
  release()
  await until(async () => (await height()) > first || undefined)
  await page.unrouteAll({ behavior: 'ignoreErrors' })
})

test('hostile names are only texts in plans, pauses, replays and streams', async (t) => {
  const evil = '<img src=x onerror=alert(1)>\u202E'
  const { engine, url, run } = await inspected(t)
  await run(evil, ['/fail'])
  await engine.pause({ workflowId: evil })
  await fetch(`${url}/pipelines/${encodeURIComponent('<img>')}/sse`).then((r) => r.body?.cancel())
  const { page, errors } = await openPage(t, `${url}/?view=overview`)
  await page.getByText('was paused').waitFor()
  assert.match(
    await page.locator('.overview').innerText(),
    /<img src=x onerror=alert\(1\)>⟨U\+202E⟩/,
  )
  await page.route('**/v1/replays', async (route) => {
    const json = {
      data: {
        ...{ id: 'plan_x', count: 1, bytes: 1, skipped: 1, oldest: new Date().toISOString() },
        ...{ hosts: { [evil]: 1 }, errors: { [evil]: 1 }, reasons: { [evil]: 1 } },
      },
    }
    if (route.request().method() === 'POST') await route.fulfill({ json })
    else await route.continue()
  })
  await page.goto(`${url}/?view=calls`)
  await page.getByRole('button', { name: 'Replay all failed' }).click()
  const dialog = page.getByRole('dialog')
  await dialog.getByText('Failed with').waitFor()
  await dialog.getByRole('table', { name: 'Skipped' }).getByText('U+202E').waitFor()
  assert.match(await dialog.innerText(), /To\s+<img src=x onerror=alert\(1\)>⟨U\+202E⟩\s+1/)
  assert.equal(await page.locator('img').count(), 0)
  await page.unrouteAll({ behavior: 'ignoreErrors' })
  assert.deepEqual(errors, [])
})

test('the page asks only its own server, and no script reads the session', async (t) => {
  const token = 'a-token-of-some-length'
  const { url, run } = await inspected(t, { tokens: [token], try: true })
  const [delivery] = await run('p_own', ['/ok'])
  const { page } = await openPage(t, 'about:blank')
  /** @type {string[]} */
  const addresses = []
  page.on('request', (request) => addresses.push(request.url()))
  await page.goto(url)
  await page.getByLabel('Token of the server').fill(token)
  await page.getByRole('button', { name: 'Sign in' }).click()
  await page.getByRole('link', { name: 'p_own' }).waitFor()
  for (const screen of ['?view=overview', '?view=try', `?run=${delivery?.executionId}`]) {
    await page.goto(`${url}/${screen}`)
    await page.locator('h1').first().waitFor()
  }
  assert.deepEqual(
    addresses.filter((address) => !address.startsWith(`${url}/`)),
    [],
  )
  assert.ok(addresses.every((address) => !address.includes(token)))
  const seen = await page.evaluate(() => [document.cookie, location.href].join())
  assert.doesNotMatch(seen, /session|token/)
  const [cookie] = await page.context().cookies()
  assert.deepEqual([cookie?.httpOnly, cookie?.sameSite], [true, 'Strict'])
})
