// cargo-deny, which checks licences, bans and sources of the crates. It is built once, into
// target/tools.

import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const VERSION = '0.20.2'

/** Builds cargo-deny if it is not there: some minutes. Returns its path. */
export function installCargoDeny() {
  const folder = fileURLToPath(new URL(`../target/tools/cargo-deny-${VERSION}`, import.meta.url))
  const program = join(
    folder,
    'bin',
    process.platform === 'win32' ? 'cargo-deny.exe' : 'cargo-deny',
  )
  if (existsSync(program)) return program
  console.log(`Building cargo-deny ${VERSION} (crates.io) into target/tools …`)
  const args = [
    'install',
    'cargo-deny',
    '--version',
    VERSION,
    '--locked',
    '--quiet',
    '--root',
    folder,
  ]
  const { status } = spawnSync('cargo', args, { stdio: 'inherit' })
  if (status !== 0) throw new Error(`cargo ${args.join(' ')} failed`)
  return program
}
