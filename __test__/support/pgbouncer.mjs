// PgBouncer in transaction mode before a database, on a free port, that ends with the test.

import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { chownSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'

import { pgbouncerPath } from '../../scripts/pgbouncer.mjs'
import { closedPort } from './servers/listen.mjs'

/**
 * Starts a pooler. Answers the URL of the database through it.
 *
 * @param {{ after(fn: () => unknown): void }} t
 * @param {string} database its URL
 * @param {number} connections of the server that all clients share
 */
export async function pooler(t, database, connections) {
  const program = pgbouncerPath()
  if (!program) return assert.fail('PgBouncer is missing: run `node scripts/pgbouncer.mjs`')
  const folder = mkdtempSync(join(tmpdir(), 'dollar-send-pgbouncer-'))
  const { username, password, hostname, port, pathname } = new URL(database)
  const own = await closedPort()
  const users = join(folder, 'users')
  writeFileSync(users, `"${username}" "${password}"\n`)
  const settings = join(folder, 'settings.ini')
  writeFileSync(
    settings,
    `[databases]
${pathname.slice(1)} = host=${hostname} port=${port}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${own}
unix_socket_dir =
auth_type = plain
auth_file = ${users}
pool_mode = transaction
default_pool_size = ${connections}
server_login_retry = 1
`,
  )
  const args = [settings]
  if (process.getuid?.() === 0) {
    // It does not run as root.
    const uid = Number(spawnSync('id', ['-u', 'postgres']).stdout)
    for (const path of [folder, users, settings]) chownSync(path, uid, uid)
    args.unshift('-u', 'postgres')
  }
  const child = spawn(program, args, { stdio: ['ignore', 'ignore', 'pipe'] })
  const closed = once(child, 'close')
  t.after(async () => {
    child.kill('SIGKILL')
    await closed
    rmSync(folder, { recursive: true, force: true })
  })
  /** @type {string[]} */
  const lines = []
  for await (const line of createInterface({ input: child.stderr })) {
    lines.push(line)
    if (line.includes('process up')) break
  }
  assert.match(lines.join('\n'), /process up/)
  child.stderr.resume()
  return `postgres://${username}:${password}@127.0.0.1:${own}${pathname}`
}
