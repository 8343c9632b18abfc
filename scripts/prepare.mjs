// Runs before the repository itself is packed or installed elsewhere, from git or as a folder: what
// comes of it must have an addon. In the repository's own `npm install` it does nothing.

import { spawnSync } from 'node:child_process'
import { resolve } from 'node:path'

import { ensureAddon, isFresh } from './ensure-addon.mjs'
import { fail } from './run.mjs'
import { ROOT } from './targets.mjs'

if (process.argv[2] === 'publish') {
  fail(
    'The repository is not published itself: it has the addon of one platform. Run npm run package, ' +
      'and publish what is in dist/publish, as .github/workflows/release.yml does.',
  )
}

/** Whether npm installs the dependencies of this folder, its own or those of a clone that is packed next. */
function isOwnInstall() {
  const { npm_command: command, npm_config_local_prefix: prefix } = process.env
  return command !== 'pack' && prefix !== undefined && resolve(prefix) === resolve(ROOT)
}

if (!isOwnInstall() && !isFresh()) {
  if (spawnSync('cargo', ['--version']).error) {
    fail(
      'dollar-send has no addon for this machine here, and Rust (cargo) to build it was not found. ' +
        'Install a published package instead, or a stable Rust toolchain, 1.89 or later ' +
        '(https://rustup.rs), and a C compiler.',
    )
  }
  ensureAddon()
}
