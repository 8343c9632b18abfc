// A real Exim for each connection to a free port of 127.0.0.1, as inetd runs it. What it receives lies in
// a Maildir.

import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { EXIM, EXIM_LIBRARIES } from '../../scripts/exim-server.mjs'
import { listen } from './servers/listen.mjs'

const ENVIRONMENT = { LD_LIBRARY_PATH: EXIM_LIBRARIES }

/**
 * @param {{ after(fn: () => unknown): void }} t
 * @param {{ cert: string | Buffer, key: string | Buffer }} certificate
 * @param {string} [more] main settings
 */
export async function exim(t, { cert, key }, more = '') {
  const root = mkdtempSync(join(tmpdir(), 'dollar-send-exim-'))
  const box = join(root, 'mail')
  for (const path of ['spool', 'log', 'mail/new', 'mail/cur', 'mail/tmp'])
    mkdirSync(join(root, path), { recursive: true })
  for (const path of ['', 'spool', 'log', 'mail', 'mail/new', 'mail/cur', 'mail/tmp'])
    chmodSync(join(root, path), 0o777)
  writeFileSync(join(root, 'cert.pem'), cert)
  writeFileSync(join(root, 'key.pem'), key)
  const config = join(root, 'exim.conf')
  writeFileSync(config, settings(root, more))
  /** @type {Set<import('node:child_process').ChildProcess>} */
  const children = new Set()
  const server = createServer({ pauseOnConnect: true }, (socket) => {
    const child = spawn(EXIM, ['-C', config, '-bs', '-odq'], {
      stdio: [socket, socket, 'inherit'],
      env: ENVIRONMENT,
    })
    children.add(child)
    child.on('close', () => children.delete(child))
    // The child has the connection.
    socket.destroy()
  })
  const { port } = await listen(t, server)
  t.after(() => {
    for (const child of children) child.kill('SIGKILL')
    rmSync(root, { recursive: true, force: true })
  })
  return { port, url: `smtp://127.0.0.1:${port}`, received, log }

  function log() {
    const folder = join(root, 'log')
    return readdirSync(folder).map((name) => readFileSync(join(folder, name), 'utf8'))
  }

  /** Delivers what was queued, until there are so many mails. @param {number} count @returns {Buffer[]} */
  function received(count) {
    const folder = join(box, 'new')
    // A mail whose process still holds it is delivered the next time.
    while (readdirSync(folder).length < count) {
      const run = spawnSync(EXIM, ['-C', config, '-qf'], { env: ENVIRONMENT, encoding: 'utf8' })
      assert.equal(run.status, 0, run.stderr)
    }
    const names = readdirSync(folder)
    assert.equal(names.length, count, log().join('\n'))
    return names.map((name) => readFileSync(join(folder, name)))
  }
}

/**
 * @param {string} root
 * @param {string} more
 */
const settings = (root, more) => `
primary_hostname = mx.test
exim_path = ${EXIM}
keep_environment = LD_LIBRARY_PATH
spool_directory = ${root}/spool
log_file_path = ${root}/log/%slog
exim_user = mail
exim_group = mail
tls_advertise_hosts = *
tls_certificate = ${root}/cert.pem
tls_privatekey = ${root}/key.pem
smtp_enforce_sync = true
helo_verify_hosts =
message_size_limit = 1000000
smtp_accept_max_nonmail = 10
${more}
acl_smtp_helo = helo
acl_smtp_rcpt = rcpt
acl_smtp_data = data
domainlist local = example.com
begin acl
helo:
  deny condition = \${if match{$sender_helo_name}{\\N[.]|^\\[\\N}{no}{yes}}
       message = 5.5.2 a whole name is needed
  accept
rcpt:
  deny local_parts = gone
       message = 5.1.1 no such user
  accept domains = +local
  deny message = relay not permitted
data:
  deny !verify = header_syntax
       message = 5.6.0 a header is wrong: $acl_verify_message
  deny condition = \${if > {$max_received_linelength}{998}}
       message = 5.6.0 a line is too long
  accept
begin routers
box:
  driver = accept
  transport = box
begin transports
box:
  driver = appendfile
  directory = ${root}/mail
  maildir_format
  create_directory = false
  user = mail
  group = mail
  envelope_to_add
`
