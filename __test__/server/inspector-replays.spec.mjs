// Replays that the engine makes by itself, in the Inspector: plan, progress, cancel, reload, result.

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { deadLettersBehindAGate, until } from '../support/dead-letters.mjs'
import { inspected, openPage, violations } from '../support/page.mjs'
import { serve } from '../support/serving.mjs'

const READ = 'a-token-that-only-reads'
const ACT = 'a-token-that-may-act'

/** @param {import('playwright-core').Page} page */
const theDialog = (page) => page.getByRole('dialog')

test('a replay goes on behind the page, survives a reload, and is cancelled', async (t) => {
  const { engine, url, server, open } = await deadLettersBehindAGate(t, 40)
  const { page, errors } = await openPage(t, `${url}/?view=calls`)
  const dialog = theDialog(page)
  await page.getByRole('button', { name: 'Replay all failed' }).click()
  await dialog.getByText('the oldest of').waitFor()
  assert.match(await dialog.innerText(), /Failed with\s+ERR_SEND_STATUS\s+40/)
  /** @type {string[]} */
  const bodies = []
  page.on('request', (request) => {
    if (request.method() === 'POST') bodies.push(request.postData() ?? '')
  })
  await page.getByRole('button', { name: 'Replay 40 calls' }).click()
  await page.waitForURL(/[?&]replay=rep_[0-9a-f]{32}/)
  // As many as fit into memory are handed over; the others wait.
  await dialog.getByText(/^[1-9]\d* of 40 calls replayed$/).waitFor()
  assert.equal(bodies.length, 1)
  assert.match(bodies[0] ?? '', /^\{"plan":"plan_[0-9a-f]{32}","wait":false\}$/)
  assert.deepEqual(await violations(page), [])

  await page.reload()
  await dialog.getByText(/^[1-9]\d* of 40 calls replayed$/).waitFor()
  await dialog.getByRole('button', { name: 'Hide' }).click()
  await dialog.waitFor({ state: 'hidden' })
  assert.ok(!page.url().includes('replay='))
  const line = page.getByRole('status').filter({ hasText: /Replay under way: \d+ of 40 calls/ })
  await line.waitFor()
  assert.deepEqual(await violations(page), [])

  // A page without its id in the address finds it.
  await page.goto(url)
  await line.getByRole('button', { name: 'Show' }).click()
  await until(() => server.held() > 0 || undefined)
  await dialog.getByRole('button', { name: 'Cancel' }).click()
  const result = dialog.getByText(/^Replayed \d+ calls, then cancelled\.$/)
  await result.waitFor()
  const count = Number(/\d+/.exec(await result.innerText())?.[0])
  assert.ok(count > 0 && count < 40, String(count))
  await dialog.getByText('What was replayed stays.', { exact: false }).waitFor()
  assert.deepEqual(await violations(page), [])
  await dialog.getByRole('button', { name: 'Close' }).click()
  open()
  await engine.flush()
  const [row] = await engine.executions()
  assert.deepEqual([row?.delivered, row?.failed], [count, 40 - count])
  await page.goto(`${url}/?view=overview`)
  await page.getByRole('link', { name: `Replayed ${count} calls, then cancelled.` }).click()
  await dialog.getByText('What was replayed stays.', { exact: false }).waitFor()
  assert.deepEqual(errors, [])
})

test('a replay that ends behind the page says what it did', async (t) => {
  const { url, open } = await deadLettersBehindAGate(t, 20)
  const { page } = await openPage(t, `${url}/?view=calls`)
  await page.getByRole('button', { name: 'Replay all failed' }).click()
  await page.getByRole('button', { name: 'Replay 20 calls' }).click()
  await theDialog(page)
    .getByText(/^[1-9]\d* of 20 calls replayed$/)
    .waitFor()
  // Escape leaves it, and cancels nothing.
  await page.keyboard.press('Escape')
  await page.getByText('Replay under way: ').waitFor()
  open()
  const line = page.getByRole('status').filter({ hasText: 'Replayed 20 calls.' })
  await line.getByRole('button', { name: 'Close' }).click()
  await line.waitFor({ state: 'detached' })
})

test('a plan says which calls it skips, and why', async (t) => {
  const { engine, url, run } = await inspected(t)
  const [one, two] = await run('p_skip', ['/fail', '/fail', '/fail'])
  const { page, errors } = await openPage(t, `${url}/?run=${one?.executionId}`, {
    viewport: { width: 360, height: 740 },
  })
  // The page has not seen the dismissals yet when it plans.
  await page.route('**/v1/replays', async (route) => {
    const ids = [one?.id ?? '', two?.id ?? '']
    if (route.request().method() === 'POST') await engine.dismiss({ ids })
    await route.continue()
  })
  await page.getByRole('button', { name: 'Replay 3 failed' }).click()
  const dialog = page.getByRole('dialog', { name: 'Send 1 failed call again?' })
  await dialog.getByText('2 other calls cannot be sent again.').waitFor()
  const table = dialog.getByRole('table', { name: 'Skipped' })
  assert.match(await table.innerText(), /^Skipped\s+this call was dismissed\s+2$/)
  assert.deepEqual(await violations(page), [])
  assert.deepEqual(errors, [])
})

test('a plan that became stale says how many calls were skipped, and why', async (t) => {
  const { engine, url, run, target } = await inspected(t)
  const [one, two] = await run('p_stale', ['/fail', '/fail', '/fail', '/fail'])
  const { page } = await openPage(t, `${url}/?view=calls`, {
    ...{ viewport: { width: 360, height: 740 }, colorScheme: 'dark' },
  })
  const dialog = theDialog(page)
  target.repair()
  await page.getByRole('button', { name: 'Replay all failed' }).click()
  await page.getByRole('button', { name: 'Replay 4 calls' }).waitFor()
  await engine.dismiss({ ids: [one?.id ?? ''] })
  await engine.replay({ ids: [two?.id ?? ''] })
  await engine.flush()
  // A call that failed after the plan was not agreed to.
  await engine.run({ workflowId: 'p_late' }, (execution) => {
    execution.step('s').$send.http({ method: 'POST', url: 'http://127.0.0.1:1/' })
  })
  await engine.flush()
  await page.getByRole('button', { name: 'Replay 4 calls' }).click()
  await dialog.getByText('Replayed 2 calls. Skipped 2 calls.').waitFor()
  const table = dialog.getByRole('table', { name: 'Skipped' })
  assert.match(await table.innerText(), /a replay has delivered this call\s+1/)
  assert.match(await table.innerText(), /this call was dismissed\s+1/)
  assert.deepEqual(await violations(page), [])
  await engine.flush()
  const [row] = await engine.deliveries({ workflowId: 'p_late' })
  assert.deepEqual([row?.status, row?.replayedBy], ['failed', undefined])
})

for (const width of [1280, 360]) {
  test(`a replay leads to its calls, and each call to the one that it repeats, ${width} px`, async (t) => {
    const { engine, url, run, target } = await inspected(t)
    const [one] = await run('p_linked', Array(60).fill('/fail'))
    await run('p_other', ['/ok'])
    target.repair()
    const { page, errors } = await openPage(t, `${url}/?view=calls`, {
      viewport: { width, height: 740 },
    })
    const dialog = theDialog(page)
    await page.getByRole('button', { name: 'Replay all failed' }).click()
    await page.getByRole('button', { name: 'Replay 60 calls' }).click()
    await dialog.getByText('Replayed 60 calls.').waitFor()
    await dialog.getByRole('link', { name: 'Show the replayed calls' }).click()
    await engine.flush()
    await page.getByRole('heading', { name: 'Calls of a replay' }).waitFor()
    await page.getByText('60 calls', { exact: true }).waitFor()
    await page.getByText('Replayed 60 calls.').waitFor({ state: 'detached' })
    assert.deepEqual(await violations(page), [])
    const table = page.getByRole('table', { name: 'Calls' })
    await until(async () => {
      await table.evaluate((list) => (list.scrollTop = list.scrollHeight))
      return (await table.getAttribute('aria-rowcount')) === '61' || undefined
    })
    await table.evaluate((list) => (list.scrollTop = 0))
    // The first rows are in the document again with the next frame.
    await table.locator('.day').waitFor()
    // In the order of the calls.
    await page.locator('.call-row.row a').first().click()
    const call = page.getByRole('article')
    await call.locator('.facts div').filter({ hasText: 'Replay of' }).getByRole('link').click()
    await page.waitForURL((address) => address.searchParams.get('call') === one?.id)
    const replay = call.locator('.facts div').filter({ hasText: 'Replayed by' })
    assert.match(await replay.innerText(), /^Replayed by\s+[0-9a-f]{8} Delivered$/)
    await replay.getByRole('link').click()
    await call.locator('.facts div').filter({ hasText: 'Replay of' }).waitFor()
    await page.keyboard.press('Escape')
    await page.keyboard.press('Escape')
    await page.getByRole('heading', { name: 'Calls of a replay' }).waitFor()
    await page.reload()
    await page.getByRole('button', { name: 'Show the replay' }).click()
    await dialog.getByText('Replayed 60 calls.').waitFor()
    await dialog.getByRole('button', { name: 'Close' }).click()
    await page.getByRole('link', { name: 'All calls' }).click()
    await page.getByText('121 calls', { exact: true }).waitFor()
    assert.deepEqual(errors, [])
  })
}

test('the calls of a replay that is not known any more are not listed', async (t) => {
  const { url } = await inspected(t)
  const { page } = await openPage(t, `${url}/?view=calls&replayed=rep_x`)
  await page.getByRole('alert').filter({ hasText: 'no such replay' }).waitFor()
})

test('a stale dismissal says how many calls it left', async (t) => {
  const { engine, url, run } = await inspected(t)
  const [one] = await run('p_stale', ['/fail', '/fail', '/fail'])
  const { page } = await openPage(t, `${url}/?view=calls`)
  await page.getByRole('button', { name: 'More acts' }).click()
  await page.getByRole('button', { name: 'Dismiss all failed' }).click()
  await page.getByRole('button', { name: 'Dismiss 3 calls' }).waitFor()
  await engine.dismiss({ ids: [one?.id ?? ''] })
  await run('p_late', ['/fail'])
  await page.getByRole('button', { name: 'Dismiss 3 calls' }).click()
  const said =
    'Dismissed 2 calls. 1 other call of the plan was resolved, dismissed or replayed since.'
  await page.getByText(said).waitFor()
  const [late] = await engine.deliveries({ workflowId: 'p_late' })
  assert.equal(late?.dismissedAt, undefined)
})

test('a role that reads sees a replay, and can neither begin nor cancel one', async (t) => {
  const tokens = [
    { token: READ, role: 'read' },
    { token: ACT, role: 'act' },
  ]
  const { engine, url, run } = await inspected(t, { tokens })
  await run('p_read', ['/fail'])
  const { page } = await openPage(t, `${url}/?view=calls`)
  await page.getByLabel('Token of the server').fill(READ)
  await page.getByRole('button', { name: 'Sign in' }).click()
  await page.locator('.call-row.row').waitFor()
  assert.equal(await page.getByRole('button', { name: /Replay|More acts/ }).count(), 0)
  const answer = await fetch(`${url}/v1/replays`, {
    method: 'POST',
    headers: { authorization: `Bearer ${ACT}`, 'content-type': 'application/json' },
    body: JSON.stringify({ status: 'failed', wait: false }),
  })
  const { data } = await answer.json()
  await engine.flush()
  let status = 'running'
  await page.route(`**/v1/replays/${data.id}*`, async (route) => {
    const response = await route.fetch()
    const json = await response.json()
    if (status === 'running') json.data.replay = { ...json.data.replay, status, total: 0 }
    await route.fulfill({ response, json })
  })
  await page.goto(`${url}/?replay=${data.id}`)
  const dialog = theDialog(page)
  // The number of calls is not known yet, so none is said.
  await dialog.getByText('Selecting the calls …').waitFor()
  assert.doesNotMatch(await dialog.getByRole('status').innerText(), /\d/)
  assert.equal(await dialog.getByRole('button', { name: 'Cancel' }).count(), 0)
  status = 'done'
  await dialog.getByText('Replayed 1 call.').waitFor()
  await page.unrouteAll({ behavior: 'ignoreErrors' })
})

test('a replay that the engine does not know is named as such', async (t) => {
  const { url } = await inspected(t)
  const { page } = await openPage(t, `${url}/?replay=rep_x%3Cimg%3E`)
  const dialog = theDialog(page)
  await dialog
    .getByRole('alert')
    .filter({ hasText: 'does not know this replay any more' })
    .waitFor()
  assert.doesNotMatch(await dialog.innerText(), /\d/)
  await dialog.getByRole('button', { name: 'Close' }).click()
  await dialog.waitFor({ state: 'hidden' })
  assert.ok(!page.url().includes('replay='))
})

test('a replay whose engine goes is not said to be over, nor to go on', async (t) => {
  const { engine, url, port } = await deadLettersBehindAGate(t, 20)
  const { page } = await openPage(t, `${url}/?view=calls`)
  const dialog = theDialog(page)
  await page.getByRole('button', { name: 'Replay all failed' }).click()
  await page.getByRole('button', { name: 'Replay 20 calls' }).click()
  await dialog.getByText(/^[1-9]\d* of 20 calls replayed$/).waitFor()
  const { page: other } = await openPage(t, url)
  const line = other.getByText('Replay under way: ')
  await line.waitFor()
  await engine.close({ timeoutMs: 0 })
  await dialog.getByText('The server does not respond.').waitFor()
  await serve(t, { port })
  await dialog.getByText('does not know this replay any more').waitFor()
  assert.doesNotMatch(await dialog.innerText(), /of 20|The server/)
  assert.equal(await dialog.getByRole('button', { name: 'Cancel' }).count(), 0)
  await line.waitFor({ state: 'detached' })
})

test('what waits of a search is retried, paused and resumed in bulk', async (t) => {
  const retry = { scheduleMs: [3_600_000], statuses: [422] }
  const { engine, url, begin, target } = await inspected(t, {}, { http: { retry } })
  await begin('p_wait', ['/fail', '/fail', '/fail'])
  await begin('p_other', ['/fail'])
  await until(() => engine.stats().retrying === 4 || undefined)
  const { page, errors } = await openPage(t, `${url}/?view=calls&q=workflow:p_wait`)
  const dialog = theDialog(page)
  const { host } = new URL(target.url)
  const act = async (/** @type {string} */ name) => {
    await page.getByRole('button', { name: 'More acts' }).click()
    await page.getByRole('button', { name }).click()
  }
  await act('Pause hosts of waiting')
  await dialog.getByRole('button', { name: 'Pause 1 host' }).waitFor()
  assert.match(await dialog.innerText(), new RegExp(`${host}\\s+3`))
  assert.deepEqual(await violations(page), [])
  await dialog.getByRole('button', { name: 'Pause 1 host' }).click()
  await dialog.getByText('Paused 1 host.').waitFor()
  assert.deepEqual(
    engine.stats().pauses.map((pause) => pause.host),
    [host],
  )
  await dialog.getByRole('button', { name: 'Close' }).click()
  await act('Resume hosts of waiting')
  await dialog.getByRole('button', { name: 'End 1 pause' }).click()
  await dialog.getByText('Ended 1 pause.').waitFor()
  assert.deepEqual(engine.stats().pauses, [])
  await dialog.getByRole('button', { name: 'Close' }).click()

  target.repair()
  await act('Retry all waiting now')
  await dialog.getByRole('button', { name: 'Retry 3 calls' }).waitFor()
  assert.match(await dialog.innerText(), /Failed with\s+ERR_SEND_STATUS\s+3/)
  await dialog.getByRole('button', { name: 'Retry 3 calls' }).click()
  await dialog.getByText('Attempting 3 calls now.').waitFor()
  await dialog.getByRole('button', { name: 'Close' }).click()
  await until(() => engine.stats().delivered === 3 || undefined)
  assert.equal(engine.stats().retrying, 1)
  await act('Retry all waiting now')
  await dialog.getByText('There is nothing to do').waitFor()
  assert.deepEqual(errors, [])
})

test('a retry in bulk is cancelled between two parts, and says how far it came', async (t) => {
  const breaker = { failures: 0 }
  const retry = { scheduleMs: [3_600_000], statuses: [422], breaker }
  const { engine, url, begin } = await inspected(t, {}, { http: { retry } })
  await begin('p_many', Array(600).fill('/fail'))
  await until(() => engine.stats().retrying === 600 || undefined)
  const { page } = await openPage(t, `${url}/?view=calls`)
  const dialog = theDialog(page)
  /** @type {() => void} */
  let release = () => {}
  const held = new Promise((resolve) => (release = () => resolve(undefined)))
  await page.route('**/v1/queues/retry-now', async (route) => {
    await held
    await route.continue()
  })
  await page.getByRole('button', { name: 'More acts' }).click()
  await page.getByRole('button', { name: 'Retry all waiting now' }).click()
  await dialog.getByRole('button', { name: 'Retry 600 calls' }).click()
  await dialog.getByText('0 of 600').waitFor()
  await dialog.getByRole('button', { name: 'Cancel' }).click()
  await dialog.getByText('stopping').waitFor()
  release()
  await dialog.getByText('Attempting 500 calls now, then cancelled.').waitFor()
})
