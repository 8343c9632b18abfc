// The Inspector in Chromium: lists, search, runs and calls.

/* global document, innerWidth -- in the page */

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { until } from '../support/dead-letters.mjs'
import { inspected, openPage, violations } from '../support/page.mjs'

test('the page and its assets are open, compressed, and allow no code but their own', async (t) => {
  const { url } = await inspected(t, { tokens: ['a-token-for-the-tests'] })
  const page = await fetch(`${url}/`)
  assert.equal(page.status, 200)
  assert.match(page.headers.get('content-type') ?? '', /^text\/html/)
  assert.equal(page.headers.get('cache-control'), 'no-cache')
  const policy = page.headers.get('content-security-policy') ?? ''
  assert.match(policy, /default-src 'none'; script-src 'self'; style-src 'self';/)
  assert.doesNotMatch(policy, /unsafe/)
  const html = await page.text()
  const assets = [...html.matchAll(/(?:src|href)="\.\/(assets\/[^"]+)"/g)].map(([, path]) => path)
  assert.equal(assets.length, 3)
  for (const path of assets) {
    const asset = await fetch(`${url}/${path}`)
    assert.equal(asset.status, 200, path)
    assert.match(asset.headers.get('cache-control') ?? '', /immutable/)
    assert.equal(asset.headers.get('content-encoding'), 'gzip')
    const plain = await fetch(`${url}/${path}`, { headers: { 'accept-encoding': 'identity' } })
    assert.equal(await plain.text(), await asset.text())
  }
  assert.equal((await fetch(`${url}/assets/unknown.js`)).status, 404)
  assert.equal((await fetch(`${url}/v1/executions`)).status, 401)
})

test('the list shows runs with their state, and follows the log', async (t) => {
  const { url, run } = await inspected(t)
  await run('p_first', ['/ok', '/fail'])
  const { page, errors } = await openPage(t, url)
  const rows = page.locator('.run-row.row')
  await rows.first().waitFor()
  assert.match(await rows.first().innerText(), /Call failed\s+p_first[\s\S]+1\/2/)
  await run('p_second', ['/ok'])
  await page.getByRole('link', { name: 'p_second' }).waitFor()
  // It may be seen before it is done.
  const isDone = /Done\s+p_second[\s\S]+1\/1/
  await until(async () => isDone.test(await rows.first().innerText()) || undefined)
  await page.getByRole('button', { name: 'Live: pause the list' }).click()
  await run('p_third', ['/ok'])
  await run('p_third', ['/ok'])
  await page.getByRole('button', { name: '2 new runs' }).waitFor()
  assert.equal(await rows.count(), 2)
  await page.getByRole('button', { name: 'Paused: go live' }).click()
  await page.getByRole('link', { name: 'p_third' }).first().waitFor()
  assert.equal(await rows.count(), 4)
  assert.deepEqual(errors, [])
})

test('a search is in the address, and its mistakes are named', async (t) => {
  const { url, run } = await inspected(t)
  await run('p_good', ['/ok'])
  await run('p_bad', ['/fail/contact'])
  const { page } = await openPage(t, url)
  await page.getByRole('link', { name: 'p_good' }).waitFor()
  await page.keyboard.press('/')
  await page.keyboard.type('work')
  await page.getByRole('option', { name: 'workflow:' }).waitFor()
  await page.keyboard.press('Tab')
  await page.keyboard.type('bad')
  await page.getByRole('option', { name: 'p_bad' }).waitFor()
  await page.keyboard.press('Enter')
  await page.waitForURL(/q=workflow%3Abad/)
  await page.getByRole('link', { name: 'p_good' }).waitFor({ state: 'detached' })
  await page.getByRole('link', { name: 'p_bad' }).waitFor()
  assert.equal(await page.locator('.run-row.row').count(), 1)
  await page.getByRole('link', { name: 'Calls' }).click()
  await page.getByRole('link', { name: '/fail/contact' }).waitFor()
  await page.goto(`${url}/?q=colour:red`)
  await page.getByRole('alert').filter({ hasText: 'at character 1' }).waitFor()
})

test('a call shows its request, response and phases, and can be copied', async (t) => {
  const { url, run } = await inspected(t)
  const headers = { authorization: 'Bearer secret', 'x-note': "it's" }
  await run('p_call', ['/ok?token=abc'], { headers })
  const { page } = await openPage(t, url, { permissions: ['clipboard-read', 'clipboard-write'] })
  await page.getByRole('link', { name: 'p_call' }).waitFor()
  for (const key of ['j', 'Enter']) await page.keyboard.press(key)
  await page.getByRole('link', { name: '/ok' }).waitFor()
  for (const key of ['j', 'Enter']) await page.keyboard.press(key)
  const call = page.getByRole('article')
  await call.getByText('200 OK').waitFor()
  const text = await call.innerText()
  assert.match(text, /First byte\s+[\d.]+ m?s/)
  assert.match(text, /authorization\s+redacted/)
  assert.match(text, /"path": "\/ok\?token=abc"/)
  await page.getByRole('group', { name: 'Body of the request' }).getByText('Raw').click()
  assert.match(await call.innerText(), /\{"path":"\/ok\?token=abc"\}/)
  await page.getByRole('button', { name: 'Copy as curl' }).click()
  await page.getByRole('button', { name: 'Copied' }).waitFor()
  const curl = await page.evaluate(() => navigator.clipboard.readText())
  assert.match(curl, /^curl -g -X 'POST' 'http:\/\/127\.0\.0\.1:\d+\/ok\?token='"\$SECRET"''/)
  assert.match(curl, /-H 'authorization: '"\$AUTHORIZATION"''/)
  assert.match(curl, /-H 'x-note: it'\\''s'/)
  assert.match(curl, /--data-raw '\{"path":"\/ok\?token=abc"\}'/)
  for (const pattern of [/run=[^&]+&attempt=1$/, /\/$/]) {
    await page.keyboard.press('Escape')
    await page.waitForURL(pattern)
  }
})

test('hostile texts are only texts', async (t) => {
  const { url, run } = await inspected(t)
  const script = '"><img src=x onerror=alert(1)><script>alert(1)</script>'
  const data = { html: script, bidi: 'abc\u202Egnp.exe', long: 'x'.repeat(100_000) }
  const path = `/ok/${encodeURIComponent(script)}${'a'.repeat(10_000)}`
  const [delivery] = await run(script.slice(0, 60), [path], { data, headers: { 'x-h': script } })
  const { page, errors } = await openPage(t, url)
  await page.locator('.run-row.row').first().waitFor()
  await page.goto(`${url}/?run=${delivery?.executionId}&call=${delivery?.id}`)
  const call = page.getByRole('article')
  await call.getByText('200 OK').waitFor()
  assert.match(await call.innerText(), /abc⟨U\+202E⟩gnp\.exe/)
  assert.equal(await page.locator('img, article script').count(), 0)
  const width = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth)
  assert.ok(width <= 0, `the page is ${width} pixels too wide`)
  assert.deepEqual(errors, [])
})

for (const colorScheme of /** @type {const} */ (['light', 'dark'])) {
  test(`axe finds nothing on any screen, ${colorScheme}, wide and narrow`, async (t) => {
    const { url, run } = await inspected(t, { try: true })
    const [delivery, failed] = await run('p_axe', ['/ok', '/fail'])
    const open = `?run=${delivery?.executionId}&call=${failed?.id}`
    const { page } = await openPage(t, url, { colorScheme })
    for (const width of [1280, 360]) {
      await page.setViewportSize({ width, height: 740 })
      const screens = ['', '?view=calls', '?view=overview', '?view=try', open]
      screens.push(`${open}&with=${delivery?.id}`)
      for (const screen of screens) {
        await page.goto(`${url}/${screen}`)
        await page.locator('h1, h2').first().waitFor()
        await page.waitForLoadState('load')
        assert.deepEqual(await violations(page), [], `${screen} at ${width}`)
        const over = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth)
        assert.ok(over <= 0, `${screen} is ${over} pixels too wide at ${width}`)
      }
    }
  })
}
