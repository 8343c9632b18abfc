// The receiving end of the load: nginx with one worker, as cheap as a real server gets.

import { execFileSync, spawn } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { freePorts } from './ports.mjs'
import { fetchRequestCount, untilAnswering } from './status.mjs'

const PACKAGE = 'nginx-light'

/**
 * Starts nginx on free ports; undefined when it is neither installed nor installable. With a
 * certificate it also serves HTTPS/1.1 and HTTP/2.
 *
 * @param {{ key: string, cert: string }} [certificate] two files
 * @param {string[]} [addresses] those of the plain server
 */
export async function startNginx(certificate, addresses = ['127.0.0.1']) {
  if (!installed() && !install()) return undefined
  const directory = await mkdtemp(join(tmpdir(), 'dollar-send-bench-'))
  const ports = await freePorts(4)
  const [port, statusPort, securePort, http2Port] = ports
  const configuration = join(directory, 'nginx.conf')
  await writeFile(configuration, configurationOf(directory, ports, certificate, addresses))

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
  const urls = addresses.map((address) => `http://${address}:${port}/hook`)
  const secureUrl = `https://127.0.0.1:${securePort}/hook`
  const http2Url = `https://127.0.0.1:${http2Port}/hook`
  return { kind: version(), url: urls[0], urls, secureUrl, http2Url, requestCount, stop }
}

function configurationOf(directory, ports, certificate, addresses) {
  const [port, statusPort, securePort, http2Port] = ports
  const listen = addresses.map((address) => `listen ${address}:${port} backlog=1024;`).join(' ')
  const secure = (/** @type {string} */ listen) =>
    certificate
      ? `server {
    listen 127.0.0.1:${listen};
    ssl_certificate ${certificate.cert}; ssl_certificate_key ${certificate.key};
    location / { return 200 "ok"; }
  }`
      : ''
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
  server { ${listen} location / { return 200 "ok"; } }
  ${secure(`${securePort} ssl backlog=1024`)}
  ${secure(`${http2Port} ssl http2 backlog=1024`)}
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
