// Chromium with the page of an engine, for scripts.

import { chromium } from 'playwright-core'

import { browserPath, installBrowser } from '../browser.mjs'

/** Opens Chromium. */
export async function openBrowser() {
  installBrowser()
  return chromium.launch({
    executablePath: browserPath(),
    args: ['--no-sandbox', '--disable-background-networking', '--enable-precise-memory-info'],
  })
}
