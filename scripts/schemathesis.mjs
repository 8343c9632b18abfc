// schemathesis, a Python program that sends a server what its OpenAPI document allows and forbids.

import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** A later version may find more, which is no reason for a test to fail on another day. */
const VERSION = '4.32.5'

const folder = fileURLToPath(new URL(`../target/tools/schemathesis-${VERSION}`, import.meta.url))

/** The program. */
export const SCHEMATHESIS = join(folder, 'bin', 'schemathesis')

/** Installs it from PyPI, into a folder of its own under target, if it is not there. */
export function installSchemathesis() {
  if (existsSync(SCHEMATHESIS)) return
  console.log(`Installing schemathesis ${VERSION} (PyPI) into target/tools …`)
  const steps = [
    ['python3', '-m', 'venv', folder],
    [join(folder, 'bin', 'pip'), 'install', '--quiet', `schemathesis==${VERSION}`],
  ]
  for (const [command, ...args] of steps) {
    const { status, error } = spawnSync(command, args, { stdio: 'inherit' })
    if (status === 0) continue
    throw new Error(
      `${command} ${args.join(' ')} failed${error ? `: ${error.message}` : ''}. Install Python 3.10 ` +
        'or later with venv and pip, such as: apt-get install python3-venv',
    )
  }
}
