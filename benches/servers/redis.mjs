// Redis as a queue is to be run that loses nothing: every write is in its file before it is answered.

import { spawn, spawnSync } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** Starts Redis on a socket of its own; undefined when it is not installed. */
export async function startRedis() {
  if (spawnSync('redis-server', ['--version']).status !== 0) return undefined
  const directory = await mkdtemp(join(tmpdir(), 'dollar-send-redis-'))
  const socket = join(directory, 'redis.sock')
  const args = ['--port', '0', '--unixsocket', socket, '--dir', directory, '--save', '']
  const child = spawn('redis-server', [...args, '--appendonly', 'yes', '--appendfsync', 'always'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const kill = () => child.kill('SIGKILL')
  process.once('exit', kill)
  for await (const text of child.stdout) {
    if (/ready to accept connections/i.test(String(text))) break
  }
  const stop = async () => {
    process.off('exit', kill)
    kill()
    await rm(directory, { recursive: true, force: true })
  }
  return { socket, stop }
}
