// A log with many deliveries, and the time until Chromium shows its lists in the Inspector: from the
// beginning of the navigation to the frame that has rows, each time in a new context.

import { createRequire } from 'node:module'

import { chromium } from 'playwright-core'

import { browserPath } from '../../scripts/browser.mjs'
import { fill, optionsOf } from './filled.mjs'

/* global document, window, requestAnimationFrame, MutationObserver -- in the page */

const TIMES = 7
const VIEWS = { runs: '/', calls: '/?view=calls' }

const { entry, url, deliveries, dataDir } = JSON.parse(process.argv[2])
const { Engine } = createRequire(import.meta.url)(entry)

/** Notes when the first rows are on the screen. Runs in the page. */
function observe() {
  const observer = new MutationObserver(() => {
    if (!document.querySelector('.run-row.row, .call-row.row')) return
    observer.disconnect()
    requestAnimationFrame(() => requestAnimationFrame((at) => (window.rowsAt = at)))
  })
  observer.observe(document, { childList: true, subtree: true })
}

async function painted(browser, address) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 } })
  await context.addInitScript(observe)
  const page = await context.newPage()
  await page.goto(address)
  await page.waitForFunction(() => window.rowsAt !== undefined)
  const at = await page.evaluate(() => window.rowsAt)
  await context.close()
  return at
}

const engine = await Engine.open(optionsOf(dataDir))
await fill(engine, url, deliveries)
const { url: address } = engine.address()
const browser = await chromium.launch({
  executablePath: browserPath(),
  args: ['--no-sandbox', '--disable-background-networking'],
})
// The first page of a browser also starts its processes.
await painted(browser, address)
const times = {}
for (const [name, path] of Object.entries(VIEWS)) {
  times[name] = []
  for (let turn = 0; turn < TIMES; turn++) times[name].push(await painted(browser, address + path))
}
await browser.close()
console.log(JSON.stringify(times))
process.exit(0)
