// What a machine needs for a runner: bytes on the disk and in memory for each call, client and connection.
//
//   node benches/sizing.mjs [--package DIR]
//
// Each row is measured in a process of its own: its resident set before and after, divided by the number of things.
// The servers and clients are in another process. docs/operating/sizing.md shows the rows. Linux only.

import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, readdirSync, rmSync, statSync } from 'node:fs'
import { createServer } from 'node:http'
import { createServer as createSecureServer } from 'node:https'
import { createRequire } from 'node:module'
import { createConnection } from 'node:net'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'

import { makeCertificate } from './certificate.mjs'

const SELF = fileURLToPath(import.meta.url)
const SMALL = { name: 'Luke Skywalker' }
const LARGE = { text: 'x'.repeat(1024 - '{"text":""}'.length) }
const KEPT = { maxExecutionsPerWorkflow: 1_000_000 }

/** Each row of the table: its title, and what its process measures. */
const ROWS = [
  ['process with an open engine', { measure: 'idle' }, 'MB'],
  ['delivered call on the disk, body of 25 bytes', journal({ data: SMALL }), 'bytes'],
  ['the same, without the search index', journal({ data: SMALL, search: false }), 'bytes'],
  ['the same, with it, executions of 10 calls', journal({ data: SMALL, callsEach: 10 }), 'bytes'],
  ['delivered call on the disk, body of 1 KiB', journal({ data: LARGE }), 'bytes'],
  ['waiting call on the disk, body of 1 KiB', journal({ data: LARGE, isPaused: true }), 'bytes'],
  ['waiting call in memory, body of 25 bytes', waiting({ data: SMALL }), 'bytes'],
  ['waiting call in memory, body of 1 KiB', waiting({ data: LARGE }), 'bytes'],
  ['the same, with a data directory', waiting({ data: LARGE, isDurable: true }), 'bytes'],
  ['client of a stream, HTTP/1.1', { measure: 'clients', count: 8_000 }, 'bytes'],
  ['idle connection of a client to the server', { measure: 'connections', count: 8_000 }, 'bytes'],
  ['connection to a host, HTTP', { measure: 'hosts', count: 2_000 }, 'bytes'],
  ['connection to a host, HTTPS', { measure: 'hosts', count: 500, isSecure: true }, 'bytes'],
]

function journal(more) {
  return { measure: 'journal', calls: 20_000, callsEach: 1, search: true, ...more }
}

function waiting(more) {
  return { measure: 'waiting', calls: 100_000, callsEach: 10, ...more }
}

const MEASURES = {
  async idle({ Engine, folder }) {
    await Engine.open({ dataDir: folder })
    return resident() / 1e6
  },

  async journal({ Engine, folder, calls, callsEach, data, search, isPaused }) {
    const url = await other('receiver')
    const engine = await open(Engine, { dataDir: folder, log: { ...KEPT, search } })
    if (isPaused) await engine.pause({ all: true })
    const completed = []
    for (let made = 0; made < calls; made += callsEach) {
      completed.push(record(engine, url, data, callsEach))
      if (completed.length % 100 === 0) await completed.at(-1)
    }
    await Promise.all(completed)
    if (!isPaused) await engine.flush()
    // The index is made in the background.
    await settled(() => bytesOf(folder))
    // Calls that are paused stay in the file, which the close completes.
    await engine.close({ timeoutMs: 0 })
    return bytesOf(folder) / calls
  },

  async waiting({ Engine, folder, calls, callsEach, data, isDurable }) {
    const engine = await open(Engine, {
      maxPendingBytes: 2 ** 30,
      ...(isDurable && { dataDir: folder }),
    })
    await engine.pause({ all: true })
    const url = 'http://127.0.0.1:9/'
    const recordAll = async (count) => {
      for (let made = 0; made < count; made += callsEach) await record(engine, url, data, callsEach)
    }
    await recordAll(10_000)
    const before = await settled(resident)
    await recordAll(calls)
    return ((await settled(resident)) - before) / calls
  },

  clients: (given) => served(given, 'followers'),
  connections: (given) => served(given, 'idlers'),

  async hosts({ Engine, folder, count, isSecure }) {
    const [origin, ca] = (await other(isSecure ? 'secure' : 'receiver', String(count))).split(' ')
    const tls = ca && { tls: { ca: readFileSync(ca, 'utf8') } }
    const engine = await open(Engine, { dataDir: folder, http: { ...tls } })
    const { port } = new URL(origin)
    const call = async (from, to) => {
      const completed = []
      for (let index = from; index < to; index++) {
        const url = `${isSecure ? 'https' : 'http'}://${hostOf(index)}:${port}/`
        completed.push(record(engine, url, SMALL, 1))
      }
      await Promise.all(completed)
      await engine.flush()
    }
    // As many calls to few hosts first: their cost is not that of a connection.
    for (let round = 0; round < count / 10; round++) await call(0, 10)
    const before = await settled(resident)
    await call(10, count)
    // Before the engine closes connections that were idle for some seconds.
    return (resident() - before) / (count - 10)
  },
}

async function served({ Engine, folder, count }, kind) {
  const engine = await open(Engine, { dataDir: folder, server: { port: 0 } })
  const { port } = engine.address()
  await other(kind, String(port), '2000')
  const before = await settled(resident)
  await other(kind, String(port), String(count))
  return ((await settled(resident)) - before) / count
}

function open(Engine, options) {
  return Engine.open({ egress: { allow: ['127.0.0.0/8'] }, ...options })
}

function record(engine, url, data, calls) {
  const execution = engine.execution({ workflowId: 'p_sizing' })
  const { $send } = execution.step('notify')
  for (let call = 0; call < calls; call++) $send.http({ method: 'POST', url, data })
  return execution.complete()
}

function hostOf(index) {
  return `127.1.${index >> 8}.${index & 255}`
}

function bytesOf(folder) {
  const files = readdirSync(folder).filter((name) => name.startsWith('journal.sqlite'))
  return files.reduce((sum, name) => sum + statSync(join(folder, name)).size, 0)
}

function resident() {
  globalThis.gc?.()
  return process.memoryUsage.rss()
}

/** Resolves with a number when it has not changed much for two seconds. */
async function settled(read) {
  for (let last = read(), rest = 4; ;) {
    await new Promise((resolve) => setTimeout(resolve, 500))
    const now = read()
    rest = Math.abs(now - last) < last / 200 ? rest - 1 : 4
    last = now
    if (rest === 0) return now
  }
}

/** Servers and clients, each in a process of its own. */
const OTHERS = {
  async receiver() {
    const server = createServer((_, response) => response.end('thanks'))
    server.keepAliveTimeout = 600_000
    await new Promise((resolve) => server.listen(0, '0.0.0.0', resolve))
    return `http://127.0.0.1:${server.address().port}/`
  },

  async secure(count) {
    const { key, cert } = makeCertificate(
      Array.from({ length: Number(count) }, (_, n) => hostOf(n)),
    )
    const options = { key: readFileSync(key), cert: readFileSync(cert) }
    const server = createSecureServer(options, (_, response) => response.end('thanks'))
    server.keepAliveTimeout = 600_000
    await new Promise((resolve) => server.listen(0, '0.0.0.0', resolve))
    return `https://127.0.0.1:${server.address().port}/ ${cert}`
  },

  followers: (port, count) => connections(port, count, '/pipelines/p_sizing/sse'),
  idlers: (port, count) => connections(port, count, '/healthz'),
}

/** Resolves when each connection has the first bytes of its response. */
async function connections(port, count, path) {
  const opened = Array.from({ length: Number(count) }, () => {
    const socket = createConnection(Number(port), '127.0.0.1')
    socket.write(`GET ${path} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n\r\n`)
    return new Promise((resolve, reject) => socket.once('data', resolve).once('error', reject))
  })
  const [first] = await Promise.all(opened)
  return String(first).split('\r\n')[0]
}

/** Starts one of them; resolves with the line that it prints. */
async function other(...args) {
  const child = spawn(process.execPath, [SELF, 'other', ...args], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  for await (const line of createInterface(child.stdout)) return line
  throw new Error(`${args[0]} printed nothing`)
}

async function child([kind, ...args]) {
  if (kind === 'other') {
    // It ends with the process that started it.
    process.stdin.on('end', () => process.exit()).resume()
    console.log(await OTHERS[args[0]](...args.slice(1)))
    return
  }
  const { entry, ...row } = JSON.parse(args[0])
  const { Engine } = createRequire(import.meta.url)(entry)
  const folder = mkdtempSync(join(tmpdir(), 'sizing-'))
  try {
    console.log(await MEASURES[row.measure]({ Engine, folder, ...row }))
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
  process.exit(0)
}

/** Returns the number that a row's process prints. */
async function measured(row) {
  const args = ['--expose-gc', SELF, 'row', JSON.stringify(row)]
  const process_ = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
  for await (const line of createInterface(process_.stdout)) return Number(line)
  throw new Error(`nothing was measured: ${JSON.stringify(row)}`)
}

async function main() {
  const { values } = parseArgs({
    options: {
      package: { type: 'string', default: fileURLToPath(new URL('..', import.meta.url)) },
    },
  })
  const entry = resolve(values.package, 'js/index.cjs')
  for (const [title, row, unit] of ROWS) {
    const value = await measured({ entry, ...row })
    console.log(`${title.padEnd(50)} ${value.toFixed(unit === 'MB' ? 1 : 0).padStart(8)} ${unit}`)
  }
}

if (['row', 'other'].includes(process.argv[2])) await child(process.argv.slice(2))
else await main()
