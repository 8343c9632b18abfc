// Builds the addon when none fits: no prebuilt one for this platform loads, or a source file is
// newer than the one that is there.

import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))

export function ensureAddon() {
  if (isFresh()) return
  if (!existsSync(join(root, 'node_modules/@napi-rs/cli'))) {
    console.error(
      'The addon is not built, and the napi command that builds it is not installed. Run: npm ci',
    )
    process.exit(1)
  }
  console.log('Building the addon from source (a few minutes the first time) …')
  const built = spawnSync('npm', ['run', '--silent', 'build'], { cwd: root, stdio: 'inherit' })
  if (built.error || built.status !== 0) {
    console.error(
      'The addon could not be built. It needs a stable Rust toolchain (https://rustup.rs) and a C compiler.',
    )
    process.exit(built.status || 1)
  }
}

/** Returns whether an addon loads here that is not older than its sources. */
export function isFresh() {
  const addon = readdirSync(root).find((name) => name.endsWith('.node'))
  if (!addon || !existsSync(join(root, 'binding.cjs'))) return isInstalled()
  return statSync(join(root, addon)).mtimeMs >= newestSource() && loads()
}

/** A prebuilt addon comes as a package of its own; a checkout with sources does not use one. */
function isInstalled() {
  return !existsSync(join(root, 'src')) && loads()
}

function loads() {
  const tried = spawnSync(process.execPath, [
    '-e',
    `require(${JSON.stringify(join(root, 'js/index.cjs'))})`,
  ])
  return tried.status === 0
}

function newestSource() {
  const files = ['Cargo.toml', 'Cargo.lock', 'build.rs', 'js/types.d.ts']
  const sources = ['src', 'crates', 'inspector/src'].flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true }).map((name) => join(folder, String(name))),
  )
  return Math.max(...[...files, ...sources].map((name) => statSync(join(root, name)).mtimeMs))
}

if (process.argv[1] === fileURLToPath(import.meta.url)) ensureAddon()
