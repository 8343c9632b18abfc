// Every act of the Inspector by the keyboard alone, wide and at 360 pixels, light and dark.

/* global document, getComputedStyle, innerHeight, innerWidth -- in the page */

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { inspected, openPage, violations } from '../support/page.mjs'

/** @typedef {import('playwright-core').Page} Page */

const SIZES = /** @type {const} */ ([
  ['wide and light', { viewport: { width: 1280, height: 800 }, colorScheme: 'light' }],
  ['narrow and dark', { viewport: { width: 360, height: 740 }, colorScheme: 'dark' }],
])
const MAX_TABS = 80

/** Returns the name of the focused element. @param {Page} page @returns {Promise<string>} */
function focused(page) {
  return page.evaluate(() => {
    const element = document.activeElement
    const label = element?.getAttribute('aria-label')
    const labelled = /** @type {any} */ (element)?.labels?.[0]?.textContent
    return (label ?? labelled ?? element?.textContent ?? '').trim()
  })
}

/** Moves the focus forward to an element by its name. @param {Page} page @param {string | RegExp} name */
async function tabTo(page, name) {
  const passed = []
  for (let tabs = 0; tabs < MAX_TABS; tabs++) {
    const at = await focused(page)
    passed.push(at.slice(0, 30))
    if (typeof name === 'string' ? at === name : name.test(at)) return
    await page.keyboard.press('Tab')
  }
  assert.fail(`no Tab leads to ${name}: ${passed.slice(0, 30).join(', ')}`)
}

/** @param {Page} page @param {...string} keys */
async function press(page, ...keys) {
  for (const key of keys) await page.keyboard.press(key)
}

/** The focused element must be seen, and its focus. @param {Page} page */
async function isSeen(page) {
  const { outline, inside } = await page.evaluate(() => {
    const element = /** @type {HTMLElement} */ (document.activeElement)
    const { top, bottom, left, right } = element.getBoundingClientRect()
    const own = getComputedStyle(element).outlineStyle
    const after = getComputedStyle(element, '::after').outlineStyle
    const inside = top >= -1 && left >= -1 && bottom <= innerHeight + 1 && right <= innerWidth + 1
    return { outline: own !== 'none' || after !== 'none', inside }
  })
  assert.ok(outline, `the focus of ${await focused(page)} is not shown`)
  assert.ok(inside, `${await focused(page)} is outside of the window`)
}

for (const [size, options] of SIZES) {
  test(`search, runs and calls by the keyboard, ${size}`, async (t) => {
    const { url, run } = await inspected(t)
    await run('p_good', ['/ok'])
    await run('p_bad', ['/fail', '/ok'])
    const { page, errors } = await openPage(t, url, options)
    await page.locator('.run-row.row').first().waitFor()
    await press(page, 'j', 'j')
    assert.equal(await focused(page), 'p_good')
    await isSeen(page)
    await press(page, 'k')
    assert.equal(await focused(page), 'p_bad')
    await press(page, '/')
    await page.keyboard.type('sta')
    await press(page, 'ArrowDown', 'Enter')
    await page.keyboard.type('failed')
    await press(page, 'Enter')
    await page.waitForURL(/q=status%3Afailed/)
    await page.getByRole('link', { name: 'p_good' }).waitFor({ state: 'detached' })
    await tabTo(page, 'p_bad')
    await press(page, 'Enter')
    await page.getByRole('heading', { name: 'p_bad' }).waitFor()
    await page.getByRole('link', { name: '/fail' }).waitFor()
    await press(page, 'j', 'Enter')
    await page.getByText('422 Unprocessable Entity', { exact: true }).waitFor()
    await tabTo(page, 'Raw')
    await isSeen(page)
    await press(page, 'Enter')
    await page.locator('.body pre', { hasText: '{"path":"/fail"}' }).waitFor()
    await page.getByLabel('Compare with another call').focus()
    await page.keyboard.type('POST')
    await page.getByText('Two calls side by side').waitFor()
    assert.deepEqual(await violations(page), [])
    await press(page, 'Escape', 'Escape', 'Escape')
    await page.waitForURL(/q=status/)
    await press(page, '?')
    const help = page.getByRole('dialog', { name: 'Keyboard and search' })
    await help.waitFor()
    assert.deepEqual(await violations(page), [])
    await press(page, 'Escape')
    await help.waitFor({ state: 'hidden' })
    assert.deepEqual(errors, [])
  })

  test(`replay, dismissal and both in bulk by the keyboard, ${size}`, async (t) => {
    const { engine, url, run, target } = await inspected(t)
    const [first] = await run('p_one', ['/fail', '/fail', '/fail'])
    const { page } = await openPage(
      t,
      `${url}/?run=${first?.executionId}&call=${first?.id}`,
      options,
    )
    await page.getByText('422 Unprocessable Entity', { exact: true }).waitFor()
    await tabTo(page, 'Dismiss')
    await isSeen(page)
    await press(page, 'Enter')
    const dialog = page.getByRole('dialog')
    await dialog.getByRole('button', { name: 'Dismiss 1 call' }).waitFor()
    assert.equal(await focused(page), 'Dismiss 1 call')
    assert.deepEqual(await violations(page), [])
    await press(page, 'Enter')
    await dialog.getByText('Dismissed 1 call.').waitFor()
    await press(page, 'Escape')
    await page.locator('.call').getByText('Dismissed').first().waitFor()

    target.repair()
    await press(page, 'Escape', 'r')
    await dialog.getByRole('button', { name: 'Replay 2 calls' }).waitFor()
    await press(page, 'Escape')
    await dialog.waitFor({ state: 'hidden' })
    assert.equal(engine.stats().delivered, 0)
    await page.goto(`${url}/?view=calls`)
    await page.locator('.call-row.row').first().waitFor()
    await tabTo(page, 'Replay all failed …')
    await isSeen(page)
    await press(page, 'Enter')
    await dialog.getByRole('button', { name: 'Replay 2 calls' }).waitFor()
    await press(page, 'Enter')
    await dialog.getByText('Replayed 2 calls.').waitFor()
    await press(page, 'Escape')
    await tabTo(page, 'More acts on what is found')
    await isSeen(page)
    await press(page, 'Enter')
    await page.getByRole('button', { name: 'Dismiss all failed …' }).waitFor()
    await press(page, 'Escape')
    await page.getByRole('button', { name: 'Dismiss all failed …' }).waitFor({ state: 'hidden' })
    await press(page, 'Enter')
    await tabTo(page, 'Dismiss all failed …')
    await isSeen(page)
    await press(page, 'Enter')
    await dialog.getByText('There is nothing to do').waitFor()
    await press(page, 'Escape')
    await tabTo(page, 'Live: pause the list')
    await press(page, 'Space')
    assert.equal(await focused(page), 'Paused: go live')
    await engine.flush()
    assert.equal(engine.stats().delivered, 2)
  })

  test(`retry now, pause, resume and Try by the keyboard, ${size}`, async (t) => {
    const retry = { scheduleMs: [3_600_000], statuses: [422] }
    const { engine, url, begin, target } = await inspected(t, { try: true }, { http: { retry } })
    const execution = await begin('p_wait', ['/fail'])
    const { page } = await openPage(t, `${url}/?view=overview`, options)
    const dialog = page.getByRole('dialog')
    await page.getByRole('button', { name: /^Pause 127/ }).waitFor()
    await tabTo(page, /^Pause 127/)
    await isSeen(page)
    await press(page, 'Enter')
    await dialog.getByRole('button', { name: 'Pause' }).waitFor()
    assert.equal(await focused(page), 'Pause')
    await press(page, 'Enter')
    await dialog.getByText(/^Paused /).waitFor()
    await press(page, 'Escape')
    await page.getByRole('button', { name: 'Resume' }).waitFor()
    await tabTo(page, 'Resume')
    await press(page, 'Enter')
    await dialog.getByRole('button', { name: 'Resume' }).waitFor()
    await press(page, 'Enter')
    await dialog.getByText(/^Resumed /).waitFor()
    await press(page, 'Escape')
    assert.deepEqual(engine.stats().pauses, [])

    await engine.pause({ destination: 'email' })
    await page.goto(`${url}/?view=try`)
    await tabTo(page, 'Address')
    await page.keyboard.type(`${target.url}/ok`)
    await press(page, 'Control+Enter')
    await page.getByRole('region', { name: 'Result' }).getByText('200 OK').waitFor()

    while (engine.stats().retrying < 1) await new Promise(setImmediate)
    target.repair()
    const [call] = await engine.deliveries({ workflowId: 'p_wait' })
    await page.goto(`${url}/?run=${call?.executionId}&call=${call?.id}`)
    await page.getByRole('button', { name: 'Retry now' }).waitFor()
    await tabTo(page, 'Retry now')
    await press(page, 'Enter')
    await dialog.getByRole('button', { name: 'Retry now' }).waitFor()
    await press(page, 'Enter')
    await dialog.getByText('Attempting 1 call now.').waitFor()
    const [delivery] = await execution.settled()
    assert.equal(delivery?.status, 'delivered')
  })
}

test('signing in and out by the keyboard', async (t) => {
  const token = 'a-token-of-some-length'
  const { url } = await inspected(t, { tokens: [token] })
  const { page } = await openPage(t, url)
  await page.getByLabel('Token of the server').waitFor()
  assert.equal(await focused(page), 'Token of the server')
  await page.keyboard.type(token)
  await press(page, 'Enter')
  await page.getByRole('heading', { name: 'Runs', exact: true }).waitFor()
  await tabTo(page, 'Sign out')
  await press(page, 'Enter')
  await page.getByLabel('Token of the server').waitFor()
})
