// The receiving end of the load: nginx with one worker, as cheap as a real server gets.

import { execFileSync, spawn } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { freePorts } from './ports.mjs'
import { fetchRequestCount, untilAnswering } from './status.mjs'

const PACKAGE = 'nginx-light'

/** Starts nginx on free ports; undefined when it is neither installed nor installable. */
export async function startNginx() {
  if (!installed() && !install()) return undefined
  const directory = await mkdtemp(join(tmpdir(), 'dollar-send-bench-'))
  const [port, statusPort] = await freePorts(2)
  const configuration = join(directory, 'nginx.conf')
  await writeFile(configuration, configurationOf(directory, port, statusPort))

  const args = ['-c', configuration, '-p', directory, '-e', join(directory, 'error.log')]
  const child = spawn('nginx', args, { stdio: ['ignore', 'ignore', 'inherit'] })
  const kill = () => child.kill('SIGTERM')
  process.once('exit', kill)
  const statusUrl = `http://127.0.0.1:${statusPort}/`
  await untilAnswering(statusUrl)

  const stop = async () => {
    process.off('exit', kill)
    kill()
    if (child.exitCode === null) await new Promise((resolve) => child.once('exit', resolve))
    await rm(directory, { recursive: true, force: true })
  }
  const requestCount = () => fetchRequestCount(statusUrl)
  return { kind: version(), url: `http://127.0.0.1:${port}/hook`, requestCount, stop }
}

function configurationOf(directory, port, statusPort) {
  return `daemon off;
worker_processes 1;
pid ${directory}/nginx.pid;
events { worker_connections 4096; }
http {
  access_log off;
  keepalive_requests 1000000000;
  keepalive_timeout 1h;
  keepalive_time 24h;
  client_body_temp_path ${directory}/body;
  proxy_temp_path ${directory}/proxy;
  fastcgi_temp_path ${directory}/fastcgi;
  uwsgi_temp_path ${directory}/uwsgi;
  scgi_temp_path ${directory}/scgi;
  server { listen 127.0.0.1:${port} backlog=1024; location / { return 200 "ok"; } }
  server { listen 127.0.0.1:${statusPort}; location / { stub_status; } }
}
`
}

function version() {
  try {
    return execFileSync('sh', ['-c', 'nginx -v 2>&1'], { encoding: 'utf8' })
      .trim()
      .split(': ')
      .at(-1)
  } catch {
    return undefined
  }
}

function installed() {
  return version() !== undefined
}

function install() {
  if (process.getuid?.() !== 0) return false
  console.error(`# nginx is missing: running apt-get install ${PACKAGE}`)
  try {
    const command = `apt-get update -qq && apt-get install -y -qq --no-install-recommends ${PACKAGE}`
    execFileSync('sh', ['-c', `(${command}) >/dev/null 2>&1`], { stdio: 'inherit' })
  } catch {
    return false
  }
  return installed()
}
