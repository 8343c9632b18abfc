// nginx and HAProxy on free ports of 127.0.0.1, which end with the test.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { webServerPath } from '../../scripts/web-servers.mjs'
import { closedPort } from './servers/listen.mjs'

/** @typedef {{ after(fn: () => unknown): void, skip(message: string): void }} Test */
/** @typedef {{ cert: string, key: string }} Certificate */

/**
 * Returns where a program is. Without it the test is skipped, but in CI it fails.
 *
 * @param {Test} t
 * @param {'nginx' | 'haproxy'} name
 */
export function programOrSkip(t, name) {
  const program = webServerPath(name)
  const missing = `${name} is missing: run \`node scripts/web-servers.mjs\``
  if (!program && process.env.CI) assert.fail(missing)
  if (!program) t.skip(missing)
  return program
}

/**
 * Starts nginx, with HTTP/1.1 in the clear and over TLS, and HTTP/2. Its log names the requests that it
 * has processed.
 *
 * @param {Test} t
 * @param {string} program
 * @param {Certificate} certificate
 * @param {{ keepaliveRequests: number }} options
 */
export async function nginx(t, program, certificate, { keepaliveRequests }) {
  const folder = temporary(t)
  const ports = await Promise.all([closedPort(), closedPort(), closedPort()])
  const [clear, secure, http2] = ports
  const log = join(folder, 'access.log')
  const temporaries = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
  const settings = `
    daemon off; worker_processes 2; pid ${folder}/pid; error_log ${folder}/error.log;
    ${process.getuid?.() === 0 ? 'user root;' : ''}
    worker_shutdown_timeout 10s;
    events { worker_connections 1024; }
    http {
      ${temporaries.map((name) => `${name}_temp_path ${folder}/${name};`).join(' ')}
      log_format number '$arg_n';
      access_log ${log} number;
      keepalive_requests ${keepaliveRequests};
      ssl_certificate ${written('cert.pem', certificate.cert)};
      ssl_certificate_key ${written('key.pem', certificate.key)};
      server {
        listen 127.0.0.1:${clear};
        listen 127.0.0.1:${secure} ssl;
        location / { return 200 "ok"; }
      }
      server {
        listen 127.0.0.1:${http2} ssl http2;
        location / { return 200 "ok"; }
      }
    }`
  const config = written('nginx.conf', settings)
  const args = ['-c', config, '-p', folder, '-e', join(folder, 'error.log')]
  const server = serverProcess(t, program, args, ports)
  await server.start()
  let restarted = Promise.resolve()
  return {
    urls: {
      'HTTP/1.1 in the clear': `http://127.0.0.1:${clear}/`,
      'HTTP/1.1 over TLS': `https://127.0.0.1:${secure}/`,
      'HTTP/2': `https://127.0.0.1:${http2}/`,
    },
    /** Lets new workers serve new connections; the old ones end when theirs do. */
    reload: () => server.signal('SIGHUP'),
    /** Ends at once, and begins again: one after the other, as each needs the same ports. */
    restart: () => (restarted = restarted.then(server.stop).then(server.start)),
    /** Ends, and returns the numbers of the requests that it has processed. */
    async processed() {
      await server.stop()
      return readFileSync(log, 'utf8').split('\n').filter(Boolean).map(Number)
    },
  }

  /** @param {string} name @param {string} text */
  function written(name, text) {
    writeFileSync(join(folder, name), text, { mode: 0o600 })
    return join(folder, name)
  }
}

/**
 * Starts nginx with the server blocks of a file, on a free port, before a server of this machine.
 *
 * @param {Test} t
 * @param {string} program
 * @param {Certificate} certificate
 * @param {string} blocks with the ports 443 and 8787, and certificates of Let's Encrypt
 * @param {number} behind the port of the server
 */
export async function nginxBefore(t, program, certificate, blocks, behind) {
  const folder = temporary(t)
  const port = await closedPort()
  writeFileSync(join(folder, 'fullchain.pem'), certificate.cert, { mode: 0o600 })
  writeFileSync(join(folder, 'privkey.pem'), certificate.key, { mode: 0o600 })
  const own = blocks
    .replace('listen 443 ssl', `listen 127.0.0.1:${port} ssl`)
    .replace('127.0.0.1:8787', `127.0.0.1:${behind}`)
    .replaceAll(/\/etc\/letsencrypt\/live\/[^/]+/g, folder)
  const config = join(folder, 'nginx.conf')
  const temporaries = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
  writeFileSync(
    config,
    `daemon off; pid ${folder}/pid; error_log ${folder}/error.log;
    ${process.getuid?.() === 0 ? 'user root;' : ''}
    events { worker_connections 64; }
    http {
      access_log off;
      ${temporaries.map((name) => `${name}_temp_path ${folder}/${name};`).join(' ')}
      ${own}
    }`,
  )
  const args = ['-c', config, '-p', folder, '-e', join(folder, 'error.log')]
  await serverProcess(t, program, args, [port]).start()
  return port
}

/**
 * Starts HAProxy before a server in the clear, with HTTP/1.1 over TLS and HTTP/2.
 *
 * @param {Test} t
 * @param {string} program
 * @param {Certificate} certificate
 * @param {string} behind the host and port of the server
 */
export async function haproxy(t, program, certificate, behind) {
  const folder = temporary(t)
  const ports = await Promise.all([closedPort(), closedPort()])
  const [secure, http2] = ports
  const pem = join(folder, 'both.pem')
  writeFileSync(pem, `${certificate.cert}\n${certificate.key}`, { mode: 0o600 })
  const config = join(folder, 'haproxy.cfg')
  writeFileSync(
    config,
    `global
  nbthread 1
defaults
  mode http
  timeout connect 10s
  timeout client 30s
  timeout server 30s
frontend secure
  bind 127.0.0.1:${secure} ssl crt ${pem} alpn http/1.1
  default_backend behind
frontend http2
  bind 127.0.0.1:${http2} ssl crt ${pem} alpn h2,http/1.1
  default_backend behind
backend behind
  server one ${behind}
`,
  )
  const server = serverProcess(t, program, ['-db', '-f', config], ports)
  await server.start()
  return {
    urls: {
      'HTTP/1.1 over TLS': `https://127.0.0.1:${secure}/`,
      'HTTP/2': `https://127.0.0.1:${http2}/`,
    },
  }
}

/**
 * A server's process, which can end and begin again.
 *
 * @param {Test} t
 * @param {string} program
 * @param {string[]} args
 * @param {number[]} ports those that it listens on
 */
function serverProcess(t, program, args, ports) {
  /** @type {import('node:child_process').ChildProcess} */
  let child
  const hasEnded = () => child.exitCode !== null || child.signalCode !== null
  const stop = async () => {
    if (hasEnded()) return
    const ended = once(child, 'exit')
    child.kill('SIGTERM')
    await ended
  }
  t.after(stop)
  return {
    stop,
    signal: (/** @type {NodeJS.Signals} */ signal) => child.kill(signal),
    async start() {
      child = spawn(program, args, { stdio: ['ignore', 'ignore', 'inherit'] })
      for (const port of ports) {
        while (!(await accepts(port))) {
          if (hasEnded()) assert.fail(`${program} has ended`)
        }
      }
    },
  }
}

/** @param {number} port */
function accepts(port) {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    socket.once('connect', () => resolve(true))
    socket.once('error', () => setTimeout(resolve, 10, false))
    socket.once('connect', () => socket.destroy())
  })
}

/** @param {Test} t */
function temporary(t) {
  const folder = mkdtempSync(join(tmpdir(), 'dollar-send-web-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}
