// Chromium's own EventSource, on a page of another origin.

/* global EventSource -- in the page */

import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import { test } from 'node:test'

import { chromium } from 'playwright-core'

import { browserPath } from '../../scripts/browser.mjs'
import { listen } from '../support/servers/listen.mjs'
import { run, serve, TOKEN } from '../support/serving.mjs'

/**
 * A page of an origin of its own, in a browser.
 *
 * @param {{ after(fn: () => unknown): void }} t
 */
async function openPage(t) {
  const executablePath = browserPath()
  assert.ok(executablePath, 'there is no Chromium: apt-get install chromium')
  const pages = createServer((_request, response) => {
    response.setHeader('content-type', 'text/html')
    response.end('<!doctype html><title>a page</title>')
  })
  const { port } = await listen(t, pages)
  const browser = await chromium.launch({
    executablePath,
    args: ['--no-sandbox', '--disable-background-networking'],
  })
  t.after(() => browser.close())
  const page = await browser.newPage()
  await page.goto(`http://127.0.0.1:${port}/`)
  return { page, origin: `http://127.0.0.1:${port}` }
}

test('a page follows a stream through a signed URL, and comes back by itself', async (t) => {
  const { page, origin } = await openPage(t)
  const options = { tokens: [TOKEN], cors: [origin], sse: { signingKey: 'a key for signed URLs' } }
  const { engine, port } = await serve(t, options)
  const send = (/** @type {import('../../index.d.ts').Engine} */ to, /** @type {number} */ n) =>
    run(to, 'p_a', ($send) => $send.sse({ channel: 'tick', payload: { n, text: 'ä\n' } }))
  await send(engine, 1)
  await page.evaluate((url) => {
    const seen = /** @type {unknown[]} */ ([])
    const source = new EventSource(url)
    source.addEventListener('tick', ({ data }) => seen.push(JSON.parse(data)))
    source.onopen = () => seen.push('open')
    Object.assign(globalThis, { seen, source })
  }, engine.streamUrl('p_a'))
  const seen = async (/** @type {number} */ count) => {
    await page.waitForFunction((n) => /** @type {any} */ (globalThis).seen.length >= n, count)
    return page.evaluate(() => /** @type {any} */ (globalThis).seen)
  }
  await seen(2)
  await send(engine, 2)
  const tick = (/** @type {number} */ n) => ({ n, text: 'ä\n' })
  assert.deepEqual(await seen(3), ['open', tick(1), tick(2)])
  // The engine goes, and another one takes its place at the same address: the page finds it.
  await engine.close()
  const again = await serve(t, { ...options, port })
  await seen(4)
  await send(again.engine, 3)
  assert.deepEqual(await seen(5), ['open', tick(1), tick(2), 'open', tick(3)])
})

test('a page that is not named by CORS reads nothing', async (t) => {
  const { page } = await openPage(t)
  const { engine, url } = await serve(t, { cors: ['https://app.example.com'] })
  await run(engine, 'p_a', ($send) => $send.sse({ channel: 'tick', payload: [1] }))
  const outcome = await page.evaluate(
    (stream) =>
      new Promise((resolve) => {
        const source = new EventSource(stream)
        source.onopen = () => resolve('open')
        source.onerror = () =>
          resolve(source.readyState === EventSource.CLOSED ? 'closed' : 'error')
      }),
    `${url}/pipelines/p_a/sse`,
  )
  assert.equal(outcome, 'closed')
})
