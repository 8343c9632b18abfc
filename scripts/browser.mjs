// Chromium, for the tests with a page.

import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'

const PLACES = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome']

/** Where a browser is; `CHROMIUM` in the environment goes before the usual places. */
export function browserPath() {
  return process.env.CHROMIUM ?? PLACES.find((place) => existsSync(place))
}

/** Installs Debian's package if there is no browser and this is a Debian that lets us. */
export function installBrowser() {
  if (browserPath()) return
  console.log('Installing chromium (Debian) …')
  for (const args of [['update'], ['install', '-y', '--no-install-recommends', 'chromium']]) {
    const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
    const { status } = spawnSync('apt-get', ['-q', ...args], { stdio: 'ignore', env })
    if (status !== 0 && args[0] === 'install') {
      throw new Error(
        'The tests need Chromium. Install it, such as: apt-get install chromium; or say where one is: CHROMIUM=/path npm test',
      )
    }
  }
}
