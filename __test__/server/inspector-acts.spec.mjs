// Acts in the Inspector: sign-in, replay, dismissal, in bulk; servers that go and come back.

/* global document, innerWidth, innerHeight -- in the page */

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { until } from '../support/dead-letters.mjs'
import { inspected, openPage, violations } from '../support/page.mjs'
import { serve } from '../support/serving.mjs'

const READ = 'a-token-that-only-reads'
const ACT = 'a-token-that-may-act'

test('a token signs in, and a role that reads has no acts', async (t) => {
  const tokens = [
    { token: READ, role: 'read' },
    { token: ACT, role: 'act' },
  ]
  const { url, run } = await inspected(t, { tokens })
  const [delivery] = await run('p_secret', ['/fail'])
  const { page } = await openPage(t, `${url}/?run=${delivery?.executionId}`)
  const signIn = async (/** @type {string} */ token) => {
    await page.getByLabel('Token of the server').fill(token)
    await page.getByRole('button', { name: 'Sign in' }).click()
  }
  await page.getByLabel('Token of the server').waitFor()
  assert.deepEqual(await violations(page), [])
  await signIn('not-a-token-of-this')
  await page.getByRole('alert').filter({ hasText: /token/ }).waitFor()
  await signIn(READ)
  await page.getByRole('heading', { name: 'p_secret' }).waitFor()
  assert.equal(await page.getByRole('button', { name: 'Replay' }).count(), 0)
  assert.ok(!page.url().includes('token'))
  await page.getByRole('button', { name: 'Sign out' }).click()
  await signIn(ACT)
  await page.getByRole('button', { name: 'Replay 1 failed' }).waitFor()
  await page.reload()
  await page.getByRole('button', { name: 'Replay 1 failed' }).waitFor()
})

test('a call is replayed after its plan was shown, and compared with its replay', async (t) => {
  const { url, run, target } = await inspected(t)
  const [delivery] = await run('p_replay', ['/fail'])
  const { page, errors } = await openPage(
    t,
    `${url}/?run=${delivery?.executionId}&call=${delivery?.id}`,
  )
  await page.getByText('422 Unprocessable Entity', { exact: true }).waitFor()
  target.repair()
  await page.keyboard.press('r')
  const dialog = page.getByRole('dialog', { name: 'Send 1 failed call again?' })
  assert.match(await dialog.innerText(), /http:\/\/127\.0\.0\.1:\d+\s+1[\s\S]+ERR_SEND_STATUS\s+1/)
  assert.deepEqual(await violations(page), [])
  await dialog.getByRole('button', { name: 'Replay 1 call' }).click()
  await page.getByText('Replayed 1 call.').waitFor()
  await page.getByRole('button', { name: 'Close' }).click()
  await page.locator('.run-title').getByText('Done').waitFor()
  await page.getByText('Resolved').first().waitFor()
  const menu = page.getByLabel('Compare with another call')
  await menu.selectOption({ index: 1 })
  const table = page.locator('.compare')
  await table.getByText('status: failed').waitFor()
  assert.match(await table.innerText(), /status: failed\s+status: delivered/)
  assert.match(await table.innerText(), /422 Unprocessable Entity\s+200 OK/)
  assert.deepEqual(errors, [])
})

test('a search is replayed and dismissed in bulk', async (t) => {
  const { engine, url, run, target } = await inspected(t)
  for (let count = 0; count < 3; count++) await run('p_bulk', Array(40).fill('/fail'))
  await run('p_other', ['/fail'])
  const { page } = await openPage(t, `${url}/?view=calls&q=workflow:p_bulk`)
  target.repair()
  await page.getByRole('button', { name: 'Replay all failed' }).click()
  await page.getByRole('button', { name: 'Replay 120 calls' }).click()
  await page.getByText('Replayed 120 calls.').waitFor()
  await page.getByRole('button', { name: 'Close' }).click()
  await engine.flush()
  const delivered = await engine.deliveries({
    workflowId: 'p_bulk',
    status: 'delivered',
    limit: 500,
  })
  assert.equal(delivered.length, 120)
  await page.getByRole('button', { name: 'Clear the search' }).click()
  await page.getByRole('button', { name: 'More acts' }).click()
  await page.getByRole('button', { name: 'Dismiss all failed' }).click()
  await page.getByRole('button', { name: 'Dismiss 1 call' }).click()
  await page.getByText('Dismissed 1 call.').waitFor()
  const [other] = await engine.deliveries({ workflowId: 'p_other' })
  assert.ok(other?.dismissedAt)
})

test('a server that goes is noticed, and one that comes back is followed', async (t) => {
  const { engine, url, run } = await inspected(t)
  await run('p_before', ['/ok'])
  const { page } = await openPage(t, url)
  await page.getByRole('link', { name: 'p_before' }).waitFor()
  const { port } = /** @type {{ port: number }} */ (engine.address())
  await engine.close()
  await page.getByText('The server does not respond.').waitFor()
  const again = await serve(t, { port })
  const execution = again.engine.execution({ workflowId: 'p_after' })
  await execution.complete()
  await page.getByRole('link', { name: 'p_after' }).waitFor()
  await page.getByText('The server does not respond.').waitFor({ state: 'detached' })
})

test('a call that waits is retried at once', async (t) => {
  const retry = { scheduleMs: [3_600_000], statuses: [422] }
  const { url, begin, target } = await inspected(t, {}, { http: { retry } })
  const execution = await begin('p_wait', ['/fail'])
  const { page } = await openPage(t, `${url}/`)
  await page.getByRole('link', { name: 'p_wait' }).click()
  await page.getByText('again in').first().waitFor()
  await page.getByRole('link', { name: '/fail' }).click()
  await page.getByText('the server answered 422').first().waitFor()
  target.repair()
  await page.getByRole('button', { name: 'Retry now' }).click()
  const dialog = page.getByRole('dialog', { name: 'Retry the call now?' })
  await dialog.getByRole('button', { name: 'Retry now' }).click()
  await dialog.getByText('Attempting 1 call now.').waitFor()
  await dialog.getByRole('button', { name: 'Close' }).click()
  const [delivery] = await execution.settled()
  assert.equal(delivery?.status, 'delivered')
  await page.locator('.call').getByText('Delivered').first().waitFor()
})

test('a host is paused and resumed', async (t) => {
  const retry = { scheduleMs: [3_600_000], statuses: [422] }
  const { engine, url, begin } = await inspected(t, {}, { http: { retry } })
  await begin('p_pause', ['/fail'])
  const { page } = await openPage(t, `${url}/?view=overview`)
  await page.getByRole('button', { name: 'Pause 127.0.0.1' }).click()
  const dialog = page.getByRole('dialog')
  await dialog.getByRole('button', { name: 'Pause' }).click()
  await dialog.getByText(/^Paused 127\.0\.0\.1:\d+\.$/).waitFor()
  assert.equal(engine.stats().pauses.length, 1)
  await dialog.getByRole('button', { name: 'Close' }).click()
  await page.getByRole('cell', { name: 'Paused' }).waitFor()
  assert.deepEqual(await violations(page), [])
  await page.getByRole('button', { name: 'Resume' }).click()
  await dialog.getByRole('button', { name: 'Resume' }).click()
  await dialog.getByText(/^Resumed /).waitFor()
  assert.equal(engine.stats().pauses.length, 0)
})

test('the Pause button of a queue asks once, and leaves the queue as it is if it is cancelled', async (t) => {
  const tokens = [
    { token: READ, role: 'read' },
    { token: ACT, role: 'act' },
  ]
  const retry = { scheduleMs: [3_600_000], statuses: [422] }
  const { engine, url, begin } = await inspected(t, { tokens }, { http: { retry } })
  await begin('p_pause', ['/fail'])
  const { page, errors } = await openPage(t, `${url}/?view=overview`)
  const signIn = async (/** @type {string} */ token) => {
    await page.getByLabel('Token of the server').fill(token)
    await page.getByRole('button', { name: 'Sign in' }).click()
  }
  const pause = page.getByRole('button', { name: 'Pause 127.0.0.1' })
  const dialog = page.getByRole('dialog')
  await signIn(READ)
  await page.getByRole('rowheader', { name: 'http' }).waitFor()
  assert.equal(await pause.count(), 0)
  await page.getByRole('button', { name: 'Sign out' }).click()
  await signIn(ACT)
  for (const leave of ['Cancel', 'Escape']) {
    await pause.click()
    await dialog.getByText('Nothing is attempted there until it is resumed.').waitFor()
    if (leave === 'Escape') await page.keyboard.press('Escape')
    else await dialog.getByRole('button', { name: leave }).click()
    await dialog.waitFor({ state: 'hidden' })
    assert.deepEqual(engine.stats().pauses, [])
    // The keyboard goes on where it was.
    const label = await page.evaluate(() => document.activeElement?.getAttribute('aria-label'))
    assert.match(label ?? '', /^Pause 127\.0\.0\.1:\d+$/)
  }
  await page.keyboard.press('Enter')
  // It has the keyboard a moment after it is seen.
  await dialog.locator('button:focus').waitFor()
  await page.keyboard.press('Enter')
  await dialog.getByText(/^Paused 127\.0\.0\.1:\d+\.$/).waitFor()
  assert.equal(engine.stats().pauses.length, 1)
  await page.keyboard.press('Enter')
  await dialog.waitFor({ state: 'hidden' })
  // What is paused is not paused twice.
  assert.equal(await pause.count(), 0)
  assert.deepEqual(errors, [])
})

test('the Pause button of a list holds it, counts what arrives, and shows it on the way back', async (t) => {
  const { url, run } = await inspected(t)
  await run('p_old', ['/ok'])
  const { page, errors } = await openPage(t, `${url}/?view=calls`)
  const rows = page.locator('.call-row.row')
  await rows.first().waitFor()
  const live = page.getByRole('button', { name: 'Live: pause the list' })
  assert.equal(await live.getAttribute('aria-pressed'), 'true')
  await live.click()
  const paused = page.getByRole('button', { name: 'Paused: go live' })
  assert.equal(await paused.getAttribute('aria-pressed'), 'false')
  await run('p_new', ['/ok', '/ok', '/ok'])
  await page.getByRole('button', { name: '3 new calls' }).waitFor()
  assert.match(await rows.first().innerText(), /p_old/)
  await page.getByRole('button', { name: '3 new calls' }).click()
  await until(async () => (await rows.count()) === 4 || undefined)
  // The list is shown once, and is paused as before.
  await run('p_newer', ['/ok'])
  await page.getByRole('button', { name: '1 new call' }).waitFor()
  assert.equal(await rows.count(), 4)
  await paused.click()
  await until(async () => (await rows.count()) === 5 || undefined)
  await page.getByRole('button', { name: 'new call' }).waitFor({ state: 'detached' })
  await run('p_newest', ['/ok'])
  await until(async () => (await rows.count()) === 6 || undefined)
  assert.deepEqual(errors, [])
})

test('at 360 pixels every act can be seen and pressed', async (t) => {
  const retry = { scheduleMs: [3_600_000], statuses: [503] }
  const { engine, url, begin, run } = await inspected(t, { try: true }, { http: { retry } })
  const [dead] = await run('p_a_workflow_with_a_long_name', ['/fail', '/fail', '/ok'])
  const waiting = await begin('p_waits', ['/busy'])
  await until(() => engine.stats().retrying === 1 || undefined)
  const [retrying] = await engine.deliveries({ workflowId: 'p_waits' })
  const { page, errors } = await openPage(t, url, { viewport: { width: 360, height: 740 } })
  const acts = async (/** @type {string} */ query, /** @type {string} */ place) => {
    await page.goto(`${url}/${query}`)
    const elements = page
      .locator(place)
      .locator('button, select, a.button')
      .filter({ visible: true })
    await elements.first().waitFor()
    const names = []
    for (const element of await elements.all()) {
      await element.scrollIntoViewIfNeeded()
      const { name, size, isInside, isOnTop } = await element.evaluate((it) => {
        const { left, right, top, bottom, width, height } = it.getBoundingClientRect()
        const hit = document.elementFromPoint((left + right) / 2, (top + bottom) / 2)
        return {
          name: it.getAttribute('aria-label') ?? it.textContent ?? '',
          size: Math.min(width, height),
          isInside: left >= 0 && top >= 0 && right <= innerWidth && bottom <= innerHeight,
          isOnTop: hit !== null && it.contains(hit),
        }
      })
      assert.ok(isInside && isOnTop, `${name} cannot be pressed`)
      assert.ok(size >= 24, `${name} is ${size} pixels small`)
      names.push(name)
    }
    return names.join(', ')
  }
  const ofDead = await acts(`?run=${dead?.executionId}&call=${dead?.id}`, '.call')
  assert.match(
    ofDead,
    /^Replay, Dismiss, Copy as curl, Edit and send …, Copy as JSON, Compare with another call, /,
  )
  assert.match(ofDead, /Copy link to the call/)
  const ofRetrying = await acts(`?run=${waiting.executionId}&call=${retrying?.id}`, '.call')
  assert.match(ofRetrying, /^Retry now, Copy as curl, /)
  assert.match(await acts(`?run=${dead?.executionId}`, '.run-head'), /^Replay 2 failed, Dismiss, /)
  assert.match(
    await acts('?view=calls', '.bar'),
    /^Replay all failed …, More acts on what is found, Live: pause the list$/,
  )
  assert.match(await acts('?view=overview', '.card'), /Pause 127\.0\.0\.1/)
  assert.deepEqual(errors, [])
})
