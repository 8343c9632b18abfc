// A real PostgreSQL server on 127.0.0.1, on a free port, that ends with the test, and an independent
// reader of what is stored there: psql.

import assert from 'node:assert/strict'
import { execFile, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { chownSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { promisify } from 'node:util'

import { postgresPath } from '../../scripts/postgres-server.mjs'
import { closedPort } from './servers/listen.mjs'

const PASSWORD = 'secret-of-the-tests'

/** Defaults that a server may have, and that must not matter. */
const ODD = { datestyle: 'SQL, DMY', timezone: 'Asia/Tokyo', extra_float_digits: '-5' }

/** Settings of a server whose data need not survive a test. */
const OF_TESTS = { fsync: 'off', ...ODD }

/**
 * Starts a server with one database.
 *
 * @param {{ after(fn: () => unknown): void }} t
 * @param {{ certificate?: { cert: string, key: string }, settings?: Record<string, string> }} [options]
 */
export async function postgresServer(t, { certificate, settings: given = OF_TESTS } = {}) {
  const bin = postgresPath()
  if (!bin) return assert.fail('PostgreSQL is missing: run `node scripts/postgres-server.mjs`')
  const root = mkdtempSync(join(tmpdir(), 'dollar-send-postgres-'))
  const who = owner(root)
  const data = join(root, 'data')
  const secret = written('password', PASSWORD)
  const login = ['-U', 'boss', '-A', 'scram-sha-256', `--pwfile=${secret}`]
  run(join(bin, 'initdb'), ['-D', data, ...login, '-E', 'UTF8', '-N'], who)
  const port = await closedPort()
  const settings = {
    listen_addresses: '127.0.0.1',
    port,
    unix_socket_directories: '',
    ...given,
    ...(certificate && {
      ssl: 'on',
      ssl_cert_file: written('cert', certificate.cert),
      ssl_key_file: written('key', certificate.key),
    }),
  }
  const server = serverProcess(join(bin, 'postgres'), data, settings, who)
  t.after(async () => {
    await server.stop()
    rmSync(root, { recursive: true, force: true })
  })
  await server.start()
  const { psql, rows } = reader(join(bin, 'psql'), port)
  await psql(`CREATE ROLE loader LOGIN PASSWORD '${PASSWORD}'`, 'postgres')
  await psql('CREATE DATABASE events OWNER loader', 'postgres')
  await psql('GRANT ALL ON SCHEMA public TO loader')
  const url = `postgres://loader:${PASSWORD}@127.0.0.1:${port}/events`
  return { url, port, ...server, psql, rows }

  /** A file that the server reads. @param {string} name @param {string} text */
  function written(name, text) {
    const file = join(root, name)
    writeFileSync(file, text, { mode: 0o600 })
    if (who.uid !== undefined) chownSync(file, who.uid, who.uid)
    return file
  }
}

/**
 * The server's process, which can end and begin again.
 *
 * @param {string} program
 * @param {string} data
 * @param {object} settings
 * @param {object} who
 */
function serverProcess(program, data, settings, who) {
  /** @type {import('node:child_process').ChildProcess} */
  let child
  const args = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])
  return {
    async start() {
      const stdio = /** @type {any} */ (['ignore', 'ignore', 'pipe'])
      child = spawn(program, ['-D', data, ...args], { ...who, stdio })
      const lines = createInterface(/** @type {any} */ (child.stderr))
      await new Promise((resolve, reject) => {
        child.once('close', () => reject(new Error('PostgreSQL ended')))
        lines.on('line', (line) => {
          if (line.includes('ready to accept connections')) resolve(undefined)
        })
      })
    },
    /** At once, as if the machine had gone away. */
    async stop() {
      const closed = once(child, 'close')
      child.kill('SIGQUIT')
      await closed
    },
  }
}

/**
 * What asks the server as its owner.
 *
 * @param {string} program
 * @param {number} port
 */
function reader(program, port) {
  /**
   * Runs statements, and answers what they print.
   *
   * @param {string} sql
   */
  const psql = async (sql, database = 'events') => {
    const login = ['-h', '127.0.0.1', '-p', String(port), '-U', 'boss', '-d', database]
    const args = ['-X', '-q', '-A', '-t', '-v', 'ON_ERROR_STOP=1', ...login, '-c', sql]
    const env = { ...process.env, PGPASSWORD: PASSWORD }
    const { stdout } = await promisify(execFile)(program, args, { env, maxBuffer: 1e9 })
    return stdout.trim()
  }
  /** Answers the rows of a query. @param {string} query @returns {Promise<any[]>} */
  const rows = async (query) =>
    JSON.parse(await psql(`SELECT coalesce(json_agg(r), '[]') FROM (${query}) r`))
  return { psql, rows }
}

/**
 * Who the server runs as: PostgreSQL refuses to be root's.
 *
 * @param {string} root
 * @returns {{ uid?: number, gid?: number, cwd: string }}
 */
function owner(root) {
  if (process.getuid?.() !== 0) return { cwd: root }
  const { stdout } = spawnSync('id', ['-u', 'postgres'], { encoding: 'utf8' })
  const uid = Number(stdout) || 65534
  chownSync(root, uid, uid)
  return { uid, gid: uid, cwd: root }
}

/**
 * @param {string} command
 * @param {string[]} args
 * @param {object} who
 */
function run(command, args, who) {
  const { status, stderr } = spawnSync(command, args, { ...who, encoding: 'utf8' })
  assert.equal(status, 0, `${command}: ${stderr}`)
}

/**
 * A row that no page of PostgreSQL holds: each of its texts takes a place there.
 *
 * @param {object} row
 */
export function tooWide(row) {
  const text = 'text of some length '.repeat(20)
  return { ...row, ...Object.fromEntries(Array.from({ length: 900 }, (_, n) => [`c${n}`, text])) }
}
