// Publishes the tarballs of dist/publish with provenance: the packages of the platforms first, so that
// the package that names them is never there without them. What is published already is left out, so
// that a failed release can be run again. `--dry-run` only prints the commands.

import { spawnSync } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'

import { run } from './run.mjs'
import { readManifest, ROOT } from './targets.mjs'

const { name: main, version } = readManifest()
const folder = join(ROOT, 'dist', 'publish')
const isDry = process.argv.includes('--dry-run')
const tag = version.includes('-') ? 'next' : 'latest'

const names = readdirSync(folder)
  .filter((file) => file.endsWith(`-${version}.tgz`))
  .map((file) => file.slice(0, -`-${version}.tgz`.length))
  .sort((one, other) => Number(one === main) - Number(other === main))

for (const name of names) {
  const tarball = join(folder, `${name}-${version}.tgz`)
  const args = ['publish', tarball, '--provenance', '--access', 'public', '--tag', tag]
  if (isDry) console.log(`npm ${args.join(' ')}`)
  else if (isPublished(name)) console.log(`${name}@${version} is published already`)
  else run('npm', args)
}

/** @param {string} name */
function isPublished(name) {
  const args = ['view', `${name}@${version}`, 'version']
  const { stdout } = spawnSync('npm', args, { encoding: 'utf8' })
  return stdout.trim() === version
}
