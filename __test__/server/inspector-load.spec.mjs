// The Inspector while much arrives, and with large and hostile contents.

/* global document -- in the page */

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'

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
