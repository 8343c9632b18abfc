// The Inspector in Chromium: the attempts of a call, and two of them side by side.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'

/* global document, innerWidth -- in the page */

import { inspected, openPage, violations } from '../support/page.mjs'
import { certificates } from '../support/servers/certificates.mjs'
import { secureServer } from '../support/servers/secure.mjs'

test('each attempt has its waterfall, and two are compared', async (t) => {
  const retry = { statuses: [422], scheduleMs: [10, 20] }
  const { url, run } = await inspected(t, {}, { http: { retry } })
  const [delivery] = await run('p_retried', ['/fail'])
  const { page, errors } = await openPage(t, url)
  await page.goto(`${url}/?run=${delivery?.executionId}&call=${delivery?.id}`)
  const attempts = page.getByRole('region', { name: 'Attempts' })
  await attempts.getByText('Attempt 3', { exact: false }).first().waitFor()
  assert.equal(await attempts.getByRole('listitem').count(), 3)
  assert.match(await attempts.innerText(), /again at[\s\S]+again at[\s\S]+First byte\s+[\d.]+ m?s/)

  await attempts.getByRole('link', { name: '1', exact: true }).click()
  await page.waitForURL(/try=1/)
  const waterfall = attempts.getByRole('table')
  assert.match(await waterfall.innerText(), /Attempt 1[\s\S]+Connect\s+[\d.]+ m?s/)
  await attempts.getByRole('combobox').selectOption('3')
  await page.waitForURL(/against=3/)
  const text = await waterfall.innerText()
  assert.match(text, /Attempt 3\s+Attempt 1/)
  assert.match(text, /Status\s+422\s+422/)
  assert.match(text, /Error\s+ERR_SEND_STATUS\s+ERR_SEND_STATUS/)
  assert.equal(await waterfall.locator('tr.differs', { hasText: 'Message' }).count(), 1)
  assert.deepEqual(await violations(page), [])

  await page.setViewportSize({ width: 360, height: 740 })
  const over = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth)
  assert.ok(over <= 0, `the page is ${over} pixels too wide`)
  await page.reload()
  await waterfall.getByRole('columnheader', { name: 'Attempt 3' }).waitFor()
  assert.deepEqual(errors, [])
})

test('the waterfall of a call over HTTPS has each phase, in its order', async (t) => {
  const authority = await certificates(t)
  const server = await secureServer(t, authority.valid)
  const options = {
    egress: { allow: ['127.0.0.0/8', 'localhost'] },
    http: { tls: { ca: readFileSync(authority.ca, 'utf8') } },
  }
  const { engine, url } = await inspected(t, {}, options)
  const secure = server.url.replace('127.0.0.1', 'localhost')
  await engine.run({ workflowId: 'p_secure' }, (execution) => {
    execution.step('s').$send.http({ method: 'POST', url: secure, data: {} })
  })
  await engine.flush()
  const [delivery] = await engine.deliveries()
  const { page } = await openPage(t, `${url}/?run=${delivery?.executionId}&call=${delivery?.id}`)
  const waterfall = page.getByRole('region', { name: 'Attempts' }).getByRole('table')
  await waterfall.getByText('First byte').waitFor()
  const names = await waterfall.getByRole('rowheader').allInnerTexts()
  const order = ['Queue', 'DNS', 'Connect', 'TLS', 'First byte', 'Body']
  assert.deepEqual(
    names,
    order.filter((name) => names.includes(name)),
  )
  for (const name of ['DNS', 'Connect', 'TLS', 'First byte']) assert.ok(names.includes(name), name)
  // Each bar begins where the one before ends.
  const bars = await waterfall
    .locator('rect')
    .evaluateAll((all) =>
      all.map((bar) =>
        [bar.getAttribute('x'), bar.getAttribute('width')].map((n) => parseFloat(n ?? '')),
      ),
    )
  for (const [index, [x = 0]] of bars.entries()) {
    const [before = 0, width = 0] = bars[index - 1] ?? []
    // A bar that is too narrow to be seen is drawn half a percent wide, within the table.
    assert.ok(x >= before && x <= Math.min(before + width, 100) + 0.01, `${names[index]} at ${x} %`)
  }
})
