// The receiving end when nginx cannot be had: the bare hyper server of the prebuilt Rust client.

import { spawn } from 'node:child_process'
import { once } from 'node:events'

import { fetchRequestCount } from './status.mjs'

export async function startFallback(hyperClient) {
  console.error('# nginx is not available: a bare hyper server takes its place')
  const child = spawn(hyperClient, ['serve'], { stdio: ['ignore', 'pipe', 'inherit'] })
  const kill = () => child.kill('SIGTERM')
  process.once('exit', kill)
  const [line] = await once(child.stdout, 'data')
  const { port } = JSON.parse(String(line))
  const stop = async () => {
    process.off('exit', kill)
    kill()
    await once(child, 'exit')
  }
  const requestCount = () => fetchRequestCount(`http://127.0.0.1:${port}/status`)
  return {
    kind: 'bare hyper server (nginx not available)',
    url: `http://127.0.0.1:${port}/hook`,
    requestCount,
    stop,
  }
}
