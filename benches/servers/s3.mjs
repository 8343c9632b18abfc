// A real S3 server that checks signatures, in a process of its own. It keeps objects in memory's
// file system where there is one: its disk is not what is measured.

import { spawn } from 'node:child_process'
import { existsSync, mkdirSync } from 'node:fs'
import { mkdtemp, readdir, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'

import { installS3Server, S3_SERVER } from '../../scripts/s3-server.mjs'

export const BUCKET = 'bench'
const KEYS = { accessKeyId: 'AKIDBENCH', secretAccessKey: 'secret-of-the-bench' }

/** Starts s3s-fs with one bucket. */
export async function startS3() {
  installS3Server()
  const parent = existsSync('/dev/shm') ? '/dev/shm' : tmpdir()
  const root = await mkdtemp(join(parent, 'dollar-send-bench-s3-'))
  mkdirSync(join(root, BUCKET))
  const login = ['--access-key', KEYS.accessKeyId, '--secret-key', KEYS.secretAccessKey]
  const child = spawn(S3_SERVER, ['--host', '127.0.0.1', '--port', '0', ...login, root], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, RUST_LOG: 's3s_fs=info' },
  })
  const kill = () => child.kill('SIGKILL')
  process.once('exit', kill)
  const port = await new Promise((resolve, reject) => {
    child.once('close', () => reject(new Error('the S3 server ended')))
    createInterface(child.stdout).on('line', (line) => {
      const at = /running at http:\/\/127\.0\.0\.1:(\d+)/.exec(line)
      if (at) resolve(Number(at[1]))
    })
  })
  return {
    options: { endpoint: `http://127.0.0.1:${port}`, ...KEYS },
    /** How many objects there are, and their bytes; they are removed. */
    async take() {
      const folder = join(root, BUCKET)
      const entries = await readdir(folder, { recursive: true, withFileTypes: true })
      const files = entries.filter((entry) => entry.isFile())
      const paths = files.map((file) => join(file.parentPath ?? file.path, file.name))
      const sizes = await Promise.all(paths.map(async (path) => (await stat(path)).size))
      for (const entry of await readdir(folder))
        await rm(join(folder, entry), { recursive: true, force: true })
      return { objects: sizes.length, bytes: sizes.reduce((sum, size) => sum + size, 0) }
    },
    async stop() {
      process.off('exit', kill)
      kill()
      await rm(root, { recursive: true, force: true })
    },
  }
}
