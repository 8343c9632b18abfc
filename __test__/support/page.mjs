// The Inspector in Chromium, of an engine with some runs.

import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import { createRequire } from 'node:module'

import { chromium } from 'playwright-core'

import { browserPath } from '../../scripts/browser.mjs'
import { listen } from './servers/listen.mjs'
import { serve } from './serving.mjs'

const AXE = createRequire(import.meta.url).resolve('axe-core/axe.min.js')

/** @typedef {{ after(fn: () => unknown): void }} Context */
/** @typedef {import('playwright-core').Page} Page */

/**
 * A receiver that fails calls to `/fail` until it is repaired, and calls to `/busy` always.
 *
 * @param {Context} t
 */
async function receiver(t) {
  let isRepaired = false
  const server = createServer((request, response) => {
    request.resume()
    const isFailing = request.url?.startsWith('/fail') && !isRepaired
    const isBusy = request.url?.startsWith('/busy')
    const refusal = isBusy ? 503 : 422
    response.writeHead(isFailing || isBusy ? refusal : 200, { 'content-type': 'application/json' })
    response.end(isFailing ? '{"error":"no such contact"}' : '{"ok":true}')
  })
  const { port } = await listen(t, server)
  return { url: `http://127.0.0.1:${port}`, repair: () => (isRepaired = true) }
}

/**
 * An engine with a server, a receiver, and a function that makes runs.
 *
 * @param {Context} t
 * @param {object} [server]
 * @param {object} [options] of the engine
 */
export async function inspected(t, server = {}, options = {}) {
  const { engine, url } = await serve(t, server, options)
  const target = await receiver(t)
  /**
   * @param {string} workflowId
   * @param {string[]} paths
   * @param {object} [more] further arguments of the calls
   */
  const run = async (workflowId, paths, more = {}) => {
    const execution = engine.execution({ workflowId })
    const { $send } = execution.step('notify')
    for (const path of paths) {
      $send.http({ method: 'POST', url: target.url + path, data: { path }, ...more })
    }
    await execution.complete()
    return execution
  }
  const settled = async (/** @type {Parameters<typeof run>} */ ...args) =>
    (await run(...args)).settled()
  return { engine, url, target, begin: run, run: settled }
}

/**
 * Opens a page that may not log errors.
 *
 * @param {Context} t
 * @param {string} url
 * @param {import('playwright-core').BrowserContextOptions} [options]
 * @param {string[]} [flags] of Chromium
 */
export async function openPage(t, url, options = {}, flags = []) {
  const executablePath = browserPath()
  assert.ok(executablePath, 'there is no Chromium: apt-get install chromium')
  const browser = await chromium.launch({
    executablePath,
    args: ['--no-sandbox', '--disable-background-networking', ...flags],
  })
  t.after(() => browser.close())
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, ...options })
  const page = await context.newPage()
  /** @type {string[]} */
  const errors = []
  page.on('pageerror', (error) => errors.push(error.message))
  page.on('dialog', (dialog) => errors.push(`a dialog: ${dialog.message()}`))
  page.setDefaultTimeout(20_000)
  await page.goto(url)
  return { page, errors }
}

/**
 * Returns the violations of WCAG AA that axe finds.
 *
 * @param {Page} page
 */
export async function violations(page) {
  // The policy of the page allows no script of others; DevTools may add one.
  const session = await page.context().newCDPSession(page)
  const { readFileSync } = await import('node:fs')
  await session.send('Runtime.evaluate', { expression: readFileSync(AXE, 'utf8') })
  const { result } = await session.send('Runtime.evaluate', {
    expression: `axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa'] })
      .then(({ violations }) => JSON.stringify(violations.map(({ id, nodes }) =>
        id + ': ' + nodes.slice(0, 3).map(({ html }) => html.slice(0, 160)).join(' '))))`,
    awaitPromise: true,
    returnByValue: true,
  })
  await session.detach()
  return JSON.parse(result.value)
}
