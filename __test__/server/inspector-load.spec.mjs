// The Inspector while much arrives, and with large and hostile contents.

/* global document -- in the page */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'

import { dataDirectory } from '../support/data-dir.mjs'
import { until } from '../support/dead-letters.mjs'
import { inspected, openPage } from '../support/page.mjs'
import { longestTask } from '../support/tasks.mjs'

const DELIVERIES = 10_000
/** Milliseconds in which they arrive. */
const PERIOD = 10_000
const AT_ONCE = 100

/** @param {any} engine */
async function burst(engine) {
  const begun = performance.now()
  for (let made = 0; made < DELIVERIES; made += AT_ONCE) {
    const execution = engine.execution({ workflowId: `p_${made % 7}`, trigger: 'POST /hook' })
    const { $send } = execution.step('s')
    for (let count = 0; count < AT_ONCE; count++) $send.emit({ number: made + count })
    await execution.complete()
    await pause(Math.max(0, begun + (PERIOD * made) / DELIVERIES - performance.now()))
  }
}

test('10,000 deliveries in 10 s stop no reader', async (t) => {
  const log = { maxExecutionsPerWorkflow: 1000 }
  const { engine, url } = await inspected(t, {}, { log })
  for (let runs = 0; runs < 4; runs++) await engine.run({ workflowId: 'p_old' }, record)
  await engine.flush()
  const { page, errors } = await openPage(t, `${url}/?view=calls`)
  await page.locator('.call-row.row').first().waitFor()
  let isOver = false
  const longest = await longestTask(page, async () => {
    const made = burst(engine).finally(() => (isOver = true))
    await page.mouse.move(600, 400)
    for (let down = true; !isOver; down = !down) {
      for (let turns = 0; turns < 10; turns++) await page.mouse.wheel(0, down ? 300 : -250)
      await pause(50)
    }
    await made
  })
  t.diagnostic(`longest task: ${longest.toFixed(1)} ms of CPU`)
  assert.ok(longest <= 100, `a task took ${longest.toFixed(1)} ms`)
  // The reader is below the top: rows that came are counted, and moved nothing.
  const fresh = page.getByRole('button', { name: /^↑ 50\+ new calls$/ })
  await fresh.waitFor()
  const before = await page.locator('.virtual').evaluate((list) => list.scrollTop)
  assert.ok(before > 0)
  await fresh.click()
  await page.getByText('10,000+ calls').waitFor()
  assert.equal(await page.locator('.virtual').evaluate((list) => list.scrollTop), 0)
  assert.ok((await page.locator('.call-row.row').count()) < 100)
  assert.deepEqual(errors, [])
})

/** Milliseconds in which the server responds to a search, also in a build for debugging. */
const SEARCH_MS = 250

test('a search among 20,000 deliveries is answered in a bounded time', async (t) => {
  const log = { maxExecutionsPerWorkflow: 1000 }
  const { engine, url, run } = await inspected(t, {}, { log, dataDir: dataDirectory(t) })
  await run('p_rare', ['/fail'])
  for (let runs = 0; runs < 200; runs++) await engine.run({ workflowId: `p_${runs % 7}` }, record)
  await engine.flush()
  const { page, errors } = await openPage(t, `${url}/?view=calls`)
  const row = page.locator('.call-row.row')
  await row.first().waitFor()
  const box = page.getByRole('combobox', { name: 'Search' })
  /** Searches; returns the milliseconds from the request to the response. @param {string} text */
  const search = async (text) => {
    const isSearch = (/** @type {import('playwright-core').Request} */ request) =>
      new URL(request.url()).searchParams.get('search') === (text || null) &&
      request.url().includes('/v1/deliveries?')
    const finished = page.waitForEvent('requestfinished', isSearch)
    await box.fill(text)
    await box.press('Enter')
    const { requestStart, responseStart } = (await finished).timing()
    return responseStart - requestStart
  }
  // The index of what was just written is made in the background.
  let round = 0
  await until(async () => ((await search(`absent-${++round}`)) < SEARCH_MS / 2 ? true : undefined))
  const texts = ['status:failed', 'workflow:p_3', 'absent', 'code:ERR_SEND_STATUS since:1h', '']
  /** @type {Record<string, number[]>} */
  const times = Object.fromEntries(texts.map((text) => [text, []]))
  for (let rounds = 0; rounds < 3; rounds++)
    for (const text of texts) times[text]?.push(await search(text))
  for (const [text, all] of Object.entries(times)) {
    const [, median = Infinity] = all.sort((a, b) => a - b)
    t.diagnostic(`${text || 'all'}: ${median.toFixed(1)} ms`)
    assert.ok(median <= SEARCH_MS, `${text || 'all'} took ${median.toFixed(1)} ms`)
  }
  await search('status:failed')
  await until(async () => (await row.count()) === 1 || undefined)
  assert.match(await row.innerText(), /p_rare/)
  assert.deepEqual(errors, [])
})

/** @param {any} execution */
function record(execution) {
  const { $send } = execution.step('s')
  for (let count = 0; count < AT_ONCE; count++) $send.emit({ number: count })
}

test('a body of 1 MiB is shown in part at first, and as a whole on request', async (t) => {
  const http = { logBodyBytes: 1 << 20 }
  const { url, run } = await inspected(t, {}, { http })
  const data = { text: 'x'.repeat((1 << 20) - 100) }
  const [delivery] = await run('p_large', ['/ok'], { data })
  const { page, errors } = await openPage(t, url)
  const address = `${url}/?run=${delivery?.executionId}&call=${delivery?.id}`
  const longest = await longestTask(page, async () => {
    await page.goto(address)
    await page.getByText('200 OK').waitFor()
  })
  t.diagnostic(`longest task: ${longest.toFixed(1)} ms of CPU`)
  assert.ok(longest <= 200, `a task took ${longest.toFixed(1)} ms`)
  const body = page.getByLabel('Request body')
  assert.ok((await body.innerText()).length < 100_000)
  await body.getByRole('button').click()
  await page.waitForFunction(
    (least) => (document.querySelector('.body pre')?.textContent?.length ?? 0) >= least,
    1_000_000,
  )
  assert.deepEqual(errors, [])
})
