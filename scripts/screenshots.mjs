// Screenshots of the Inspector for README and documents, light and dark, from a seeded engine:
// node scripts/screenshots.mjs

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { day } from './inspector/day.mjs'
import { createJournal, writeRuns } from './inspector/journal.mjs'
import { present } from './inspector/live.mjs'
import { openBrowser } from './inspector/page.mjs'
import { fail } from './run.mjs'
import { ROOT } from './targets.mjs'

const FOLDER = join(ROOT, 'docs', 'images')
/** Bytes that all of them together may have. */
const BUDGET = 600_000
const SIZE = { width: 1280, height: 760 }
/** Pixels of the image for one of the page. */
const SCALE = 1.5
const QUALITY = 82

/** Returns the screens by name, as addresses. @param {any} engine @param {(text: string) => string} named */
async function screensOf(engine, named) {
  const [order] = await engine.executions({ workflowId: 'p_orders', limit: 1 })
  const calls = await engine.deliveries({ executionId: order.executionId })
  const call = calls.find((/** @type {any} */ { request }) =>
    named(request.url ?? '').includes('ledger'),
  )
  return {
    runs: '/?q=until:350m',
    run: `/?run=${order.executionId}&call=${call.id}`,
    overview: '/?view=overview',
  }
}

/** @param {import('playwright-core').Browser} browser @param {'light' | 'dark'} colorScheme @param {(text: string) => string} named */
async function pageOf(browser, colorScheme, named) {
  const context = await browser.newContext({
    viewport: SIZE,
    deviceScaleFactor: SCALE,
    colorScheme,
    locale: 'en-GB',
  })
  const page = await context.newPage()
  // No name server knows the names of the seeded hosts.
  await page.route(/\/(v1\/|overview\?)/, async (route) => {
    const response = await route.fetch()
    await route.fulfill({ response, body: named(await response.text()) })
  })
  return page
}

/** Returns the page as WebP. @param {import('playwright-core').Page} page */
async function imageOf(page) {
  const session = await page.context().newCDPSession(page)
  const { data } = await session.send('Page.captureScreenshot', {
    format: 'webp',
    quality: QUALITY,
  })
  await session.detach()
  return Buffer.from(data, 'base64')
}

const dataDir = mkdtempSync(join(tmpdir(), 'dollar-send-screenshots-'))
await createJournal(dataDir)
writeRuns(dataDir, day(Date.now()))
const { engine, url, named, close } = await present(dataDir)
const browser = await openBrowser()
mkdirSync(FOLDER, { recursive: true })
let bytes = 0
for (const scheme of /** @type {const} */ (['light', 'dark'])) {
  const page = await pageOf(browser, scheme, named)
  for (const [name, address] of Object.entries(await screensOf(engine, named))) {
    await page.goto(url + address)
    await page.locator('.row, .tiles dd').first().waitFor()
    await page.waitForTimeout(1500)
    const path = join(FOLDER, `inspector-${name}-${scheme}.webp`)
    const image = await imageOf(page)
    writeFileSync(path, image)
    bytes += image.length
    console.log(`${path}: ${Math.round(image.length / 1000)} kB`)
  }
}
await browser.close()
await close()
rmSync(dataDir, { recursive: true, force: true })
if (bytes > BUDGET)
  fail(`The screenshots have ${bytes} bytes together, and their budget is ${BUDGET}.`)
process.exit(0)
