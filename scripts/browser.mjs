// Chromium, for the tests with a page.

import { existsSync } from 'node:fs'

import { installDebian } from './debian.mjs'

const PLACES = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome']

/** Where a browser is; `CHROMIUM` in the environment goes before the usual places. */
export function browserPath() {
  return process.env.CHROMIUM ?? PLACES.find((place) => existsSync(place))
}

/** Installs Debian's package if there is no browser and this is a Debian that lets us. */
export function installBrowser() {
  if (browserPath()) return
  installDebian(
    ['chromium'],
    'The tests need Chromium. Install it, such as: apt-get install chromium; or say where one is: CHROMIUM=/path npm test',
  )
}
