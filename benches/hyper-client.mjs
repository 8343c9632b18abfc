// Builds the Rust side of the comparison and tells where it is.

import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

let building

/** The path of the release build of `hyper_client.rs`, built at most once per run. */
export function hyperClientOf(settings) {
  if (settings.hyperClient) return Promise.resolve(settings.hyperClient)
  building ??= build()
  return building
}

async function build() {
  console.error(
    '# building benches/hyper_client/main.rs (release); the first time this takes minutes …',
  )
  const root = fileURLToPath(new URL('..', import.meta.url))
  const args = ['build', '--release', '--bench', 'hyper_client', '--message-format=json']
  const { stdout } = await promisify(execFile)('cargo', args, { cwd: root, maxBuffer: 2 ** 28 })
  const messages = stdout
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line))
  const executable = messages.findLast(
    (message) => message.target?.name === 'hyper_client' && message.executable,
  )
  if (!executable) throw new Error('cargo named no executable for hyper_client')
  return executable.executable
}
