// Axe on what opens above a screen: dialogs, the menu, suggestions, the help, and signing in.

/* global document, innerWidth -- in the page */

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { until } from '../support/dead-letters.mjs'
import { inspected, openPage, violations } from '../support/page.mjs'

const TOKEN = 'a-token-that-may-act'

const SIZES = /** @type {const} */ ([
  ['wide and light', { viewport: { width: 1280, height: 800 }, colorScheme: 'light' }],
  ['narrow and dark', { viewport: { width: 360, height: 740 }, colorScheme: 'dark' }],
])

/**
 * Fails if axe finds something, or the page is wider than its window.
 *
 * @param {import('playwright-core').Page} page
 * @param {string} what
 */
async function isWell(page, what) {
  // Colors that change are not those that are read in the end.
  await page.evaluate(() => Promise.all(document.getAnimations().map(({ finished }) => finished)))
  assert.deepEqual(await violations(page), [], what)
  const over = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth)
  assert.ok(over <= 0, `${what} is ${over} pixels too wide`)
}

for (const [size, options] of SIZES) {
  test(`axe finds nothing in the dialogs, ${size}`, async (t) => {
    const retry = { scheduleMs: [3_600_000], statuses: [422] }
    const { engine, url, begin, target } = await inspected(t, {}, { http: { retry } })
    await begin('p_waits', ['/fail'])
    await engine.run({ workflowId: 'p_dead' }, (execution) => {
      execution.step('s').$send.http({ method: 'POST', url: 'ftp://127.0.0.1/' })
      execution.step('s').$send.http({ method: 'POST', url: 'ftp://127.0.0.1/b' })
    })
    await until(() => (engine.stats().retrying === 1 && engine.stats().failed === 2) || undefined)
    const { page, errors } = await openPage(t, `${url}/?view=calls`, options)
    const dialog = page.getByRole('dialog')
    const button = (/** @type {string} */ name) => dialog.getByRole('button', { name })

    // A plan that takes its time, the plan, the replay, and its result.
    /** @type {() => void} */
    let release = () => {}
    const held = new Promise((resolve) => (release = () => resolve(undefined)))
    await page.route('**/v1/replays', async (route) => {
      await held
      await route.continue()
    })
    await page.getByRole('button', { name: 'Replay all failed' }).click()
    await dialog.getByText('Making the plan').waitFor()
    await isWell(page, 'planning')
    release()
    await button('Replay 2 calls').waitFor()
    await isWell(page, 'the plan of a replay')
    await button('Replay 2 calls').click()
    await dialog.getByText('Replayed 2 calls.').waitFor()
    await isWell(page, 'the result of a replay')
    await button('Close').click()

    for (const [act, verb, said] of [
      ['Dismiss all failed', 'Dismiss 2 calls', 'Dismissed 2 calls.'],
      ['Pause hosts of waiting', 'Pause 1 host', 'Paused 1 host.'],
      ['Resume hosts of waiting', 'End 1 pause', 'Ended 1 pause.'],
      ['Retry all waiting now', 'Retry 1 call', 'Attempting 1 call now.'],
      ['Dismiss all failed', '', 'There is nothing to do'],
    ]) {
      await page.getByRole('button', { name: 'More acts' }).click()
      await isWell(page, 'the menu')
      if (act === 'Retry all waiting now') target.repair()
      await page.getByRole('button', { name: act }).click()
      if (verb !== '') {
        await button(verb ?? '').waitFor()
        await isWell(page, `the plan of ${act}`)
        await button(verb ?? '').click()
      }
      await dialog.getByText(said ?? '').waitFor()
      await isWell(page, `the result of ${act}`)
      await dialog.getByRole('button').first().click()
    }

    // A refusal.
    await page.route('**/v1/replays', (route) =>
      route.fulfill({ status: 503, json: { error: 'the engine is closed', code: 'X' } }),
    )
    await page.getByRole('button', { name: 'Replay all failed' }).click()
    await dialog.getByRole('alert').waitFor()
    await isWell(page, 'a problem')
    await page.unrouteAll({ behavior: 'ignoreErrors' })
    assert.deepEqual(errors, [])
  })

  test(`axe finds nothing in the help and in suggestions, ${size}`, async (t) => {
    const { url, run } = await inspected(t)
    await run('p_help', ['/ok'])
    const { page, errors } = await openPage(t, url, options)
    await page.getByRole('link', { name: 'p_help' }).waitFor()
    await page.getByRole('button', { name: 'Keyboard shortcuts' }).click()
    await page.getByRole('dialog', { name: 'Keyboard and search' }).waitFor()
    await isWell(page, 'the help')
    await page.keyboard.press('Escape')
    await page.getByRole('dialog').waitFor({ state: 'hidden' })
    await page.getByRole('combobox', { name: 'Search' }).fill('s')
    await page.getByRole('option', { name: /^status:/ }).waitFor()
    await page.keyboard.press('ArrowDown')
    await isWell(page, 'suggestions')
    assert.deepEqual(errors, [])
  })

  test(`axe finds nothing where one signs in, ${size}`, async (t) => {
    const tokens = [{ token: TOKEN, role: 'act' }]
    const { url } = await inspected(t, { tokens })
    const { page, errors } = await openPage(t, url, options)
    await page.getByLabel('Token of the server').waitFor()
    await isWell(page, 'signing in')
    await page.getByLabel('Token of the server').fill('wrong')
    await page.getByRole('button', { name: 'Sign in' }).click()
    await page.getByRole('alert').waitFor()
    await isWell(page, 'a wrong token')
    await page.getByLabel('Token of the server').fill(TOKEN)
    await page.keyboard.press('Enter')
    await page.getByRole('heading', { name: 'No runs yet' }).waitFor()
    await isWell(page, 'the first screen')
    assert.deepEqual(errors, [])
  })
}
