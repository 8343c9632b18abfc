// A real Postfix on 127.0.0.1, with strict settings, on a free port, that ends with the test. What it
// receives lies in a Maildir.

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import {
  chmodSync,
  chownSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  watch,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { closedPort } from './servers/listen.mjs'

/** Services that a server needs, as in `master.cf`. */
const SERVICES = `
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
error unix - - n - - error
virtual unix - n n - - virtual
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
proxymap unix - - n - - proxymap
flush unix n - n 1000? 0 flush
postlog unix-dgram n - n - 1 postlogd
`

/**
 * @param {{ after(fn: () => unknown): void }} t
 * @param {{ cert: string | Buffer, key: string | Buffer }} certificate
 * @param {string} [more] settings, instead of those of the same names
 */
export async function postfix(t, { cert, key }, more = '') {
  const root = mkdtempSync(join(tmpdir(), 'dollar-send-postfix-'))
  chmodSync(root, 0o755)
  const box = join(root, 'mail', 'box')
  for (const name of ['new', 'cur', 'tmp']) mkdirSync(join(box, name), { recursive: true })
  const owner = id('postfix')
  for (const path of [join(root, 'mail'), box, ...['new', 'cur', 'tmp'].map((n) => join(box, n))])
    chownSync(path, owner, owner)
  for (const name of ['spool', 'data', 'etc']) mkdirSync(join(root, name))
  chownSync(join(root, 'data'), owner, owner)
  const port = await closedPort()
  const config = join(root, 'etc')
  writeFileSync(join(config, 'cert.pem'), cert)
  writeFileSync(join(config, 'key.pem'), key, { mode: 0o600 })
  writeFileSync(join(config, 'main.cf'), settings(root, owner) + more)
  writeFileSync(join(config, 'master.cf'), `127.0.0.1:${port} inet n - n - - smtpd${SERVICES}`)
  const run = (/** @type {string} */ command) =>
    spawnSync('/usr/sbin/postfix', ['-c', config, command], { encoding: 'utf8' })
  const started = run('start')
  assert.equal(started.status, 0, `${started.stderr} ${log()}`)
  t.after(() => {
    run('abort')
    rmSync(root, { recursive: true, force: true })
  })
  return { port, url: `smtp://127.0.0.1:${port}`, received, log }

  function log() {
    try {
      return readFileSync(join(root, 'log'), 'utf8')
    } catch {
      return ''
    }
  }

  /** Waits for so many mails. @param {number} count @returns {Promise<Buffer[]>} */
  async function received(count) {
    const folder = join(box, 'new')
    const watcher = watch(folder)
    try {
      while (readdirSync(folder).length < count)
        await new Promise((resolve) => watcher.once('change', resolve))
    } finally {
      watcher.close()
    }
    return readdirSync(folder).map((name) => readFileSync(join(folder, name)))
  }
}

/**
 * @param {string} root
 * @param {number} owner
 */
const settings = (root, owner) => `
compatibility_level = 3.6
queue_directory = ${root}/spool
data_directory = ${root}/data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
mail_owner = postfix
setgid_group = postdrop
maillog_file = ${root}/log
maillog_file_prefixes = ${root}
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
myhostname = mx.test
mydestination =
mynetworks = 127.0.0.0/8
alias_maps =
virtual_mailbox_domains = example.com
virtual_mailbox_base = ${root}/mail
virtual_mailbox_maps = static:box/
virtual_minimum_uid = 1
virtual_uid_maps = static:${owner}
virtual_gid_maps = static:${owner}
smtpd_tls_cert_file = ${root}/etc/cert.pem
smtpd_tls_key_file = ${root}/etc/key.pem
smtpd_tls_security_level = may
smtpd_tls_loglevel = 1
smtpd_tls_received_header = yes
smtpd_helo_required = yes
smtpd_helo_restrictions = reject_invalid_helo_hostname, reject_non_fqdn_helo_hostname
smtpd_sender_restrictions = reject_non_fqdn_sender
smtpd_recipient_restrictions = check_recipient_access inline:{ { gone@example.com = 550 5.1.1 no such user } }, reject_non_fqdn_recipient, reject_unauth_destination
smtpd_data_restrictions = reject_unauth_pipelining
smtpd_relay_restrictions = reject_unauth_destination
smtpd_forbid_unauth_pipelining = yes
smtpd_forbid_bare_newline = yes
strict_rfc821_envelopes = yes
strict_7bit_headers = yes
strict_8bitmime_body = yes
strict_mime_encoding_domain = yes
smtputf8_enable = yes
message_size_limit = 1000000
`

/** The number of a user. @param {string} user */
function id(user) {
  const { stdout } = spawnSync('id', ['-u', user], { encoding: 'utf8' })
  return Number(stdout)
}
