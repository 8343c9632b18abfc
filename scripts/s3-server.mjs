// The S3 server that specs and benchmarks talk to: s3s-fs, which checks signatures. It is built from
// its crate once, into target/tools.

import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const VERSION = '0.14.1'
const folder = fileURLToPath(new URL('../target/tools/', import.meta.url))

/** Where the server's program is. */
export const S3_SERVER = join(folder, 'bin', process.platform === 'win32' ? 's3s-fs.exe' : 's3s-fs')

/** Builds the server if it is not there: some minutes. */
export function installS3Server() {
  if (existsSync(S3_SERVER)) return
  console.log(`Building s3s-fs ${VERSION}, an S3 server for tests, into target/tools …`)
  const args = ['install', 's3s-fs', '--version', VERSION, '--features', 'binary', '--locked']
  const folders = ['--root', folder, '--target-dir', join(folder, 'build')]
  const done = spawnSync('cargo', [...args, ...folders, '--quiet'], { stdio: 'inherit' })
  if (done.status !== 0) throw new Error(`cargo ${args.join(' ')} failed`)
}

if (process.argv[1] === fileURLToPath(import.meta.url)) installS3Server()
