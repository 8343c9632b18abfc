// The commands of the documents that copy a data directory and restore it, in use and not.

import assert from 'node:assert/strict'
import { execFile, spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'

import { Engine } from '../../js/index.mjs'
import { blocks } from '../../scripts/docs/pages.mjs'
import { folderFor, ROOT } from '../support/copy.mjs'
import { LOCAL, nextEvent, openEngine, record } from '../support/engine.mjs'
import { PATIENT } from '../support/patience.mjs'
import { receive } from '../support/recording-receiver.mjs'

const PAGE = readFileSync(join(ROOT, 'docs/operating/data-directory.md'), 'utf8')
const [, SECTION] = PAGE.split(/^## Back up and restore$/m)
const [RUNNING, STOPPED, RESTORE] = blocks(SECTION).map(({ code }) => code)

/** Runs a program; resolves with what it printed. */
async function printed(folder, program, ...args) {
  return (await promisify(execFile)(program, args, { cwd: folder })).stdout
}

/** Runs commands of the page in a folder. */
function run(folder, code) {
  const cli = `"${process.execPath}" "${join(ROOT, 'js/cli/main.mjs')}"`
  return printed(folder, 'sh', '-euc', code.replaceAll('npx dollar-send', cli))
}

function sqliteOrSkip(t) {
  const isThere = spawnSync('sqlite3', ['--version']).status === 0
  const missing = 'sqlite3 is missing: run `node scripts/sqlite.mjs`'
  if (!isThere && process.env.CI) assert.fail(missing)
  if (!isThere) t.skip(missing)
  return isThere
}

/** A runner with a delivered call, and one that waits. */
async function runner(t, folder, url) {
  const engine = await Engine.open({ dataDir: join(folder, 'data'), egress: LOCAL })
  t.after(() => engine.close({ timeoutMs: 0 }))
  const before = record(engine, [{ method: 'POST', url, data: { n: 1 } }])
  await before.complete()
  await before.settled(PATIENT)
  await engine.pause({ all: true })
  await record(engine, [{ method: 'POST', url, data: { n: 2 } }]).complete()
  for (const [path, text] of [
    ['stores/one', 'kept'],
    ['mail/one.eml', 'sent'],
    ['s3/bucket/object', 'stored'],
  ]) {
    mkdirSync(join(folder, 'data', path, '..'), { recursive: true })
    writeFileSync(join(folder, 'data', path), text)
  }
  return engine
}

/** Opens what was restored: the log is there, and the call that waited is delivered. */
async function assertRestored(t, folder, bodies) {
  assert.match(await run(folder, RESTORE), /pending/)
  assert.equal(readFileSync(join(folder, 'data/s3/bucket/object'), 'utf8'), 'stored')
  const engine = await openEngine(t, { dataDir: join(folder, 'data') })
  const [waiting, delivered] = await engine.deliveries()
  assert.deepEqual([waiting.status, delivered.status], ['pending', 'delivered'])
  const sent = nextEvent(engine, 'delivery')
  await engine.resume({ all: true })
  assert.equal((await sent).id, waiting.id)
  assert.deepEqual(bodies(), [{ n: 1 }, { n: 2 }])
  await engine.close()
}

test('a data directory that is in use is copied and restored by the commands of the documents', async (t) => {
  if (!sqliteOrSkip(t)) return
  const folder = folderFor(t)
  const { url, bodies } = await receive(t)
  const engine = await runner(t, folder, url)
  // It goes on writing while it is copied.
  let isCopied = false
  const writing = (async () => {
    while (!isCopied) await record(engine, [{ url }]).complete()
  })()
  await run(folder, RUNNING).finally(() => (isCopied = true))
  await writing
  await engine.close({ timeoutMs: 0 })
  assert.equal(statSync(join(folder, 'backup')).mode & 0o777, 0o700)
  const pragmas = 'PRAGMA integrity_check; PRAGMA user_version; PRAGMA auto_vacuum'
  const read = (/** @type {string} */ place) =>
    printed(folder, 'sqlite3', `${place}/journal.sqlite`, pragmas)
  assert.match(await read('backup'), /^ok\n/)
  assert.equal(await read('backup'), await read('data'))

  const shown = await run(folder, RESTORE)
  const waiting = shown.split('\n').filter((line) => / pending /.test(line)).length
  assert.ok(waiting >= 1, shown)
  assert.equal(readFileSync(join(folder, 'data/stores/one'), 'utf8'), 'kept')
  const restored = await openEngine(t, { dataDir: join(folder, 'data') })
  await restored.resume({ all: true })
  await restored.flush(PATIENT)
  assert.ok(bodies().length >= 1 + Math.min(waiting, 100))
})

test('a data directory that is not in use is copied and restored by the commands of the documents', async (t) => {
  const folder = folderFor(t)
  const { url, bodies } = await receive(t)
  const engine = await runner(t, folder, url)
  await engine.close({ timeoutMs: 0 })
  await run(folder, STOPPED)
  await assertRestored(t, folder, bodies)
})

test('a copy without its key is refused, and taken with it', async (t) => {
  const folder = folderFor(t)
  const { url, requests } = await receive(t)
  const engine = await runner(t, folder, url)
  await engine.close({ timeoutMs: 0 })
  await run(folder, STOPPED)
  renameSync(join(folder, 'backup/journal.key'), join(folder, 'key'))
  await run(folder, RESTORE)
  const open = () =>
    Engine.open({ dataDir: join(folder, 'data'), egress: LOCAL, lock: { waitMs: 5000 } })
  await assert.rejects(open(), { code: 'ERR_SEND_JOURNAL' })
  cpSync(join(folder, 'key'), join(folder, 'data/journal.key'))
  const restored = await open()
  t.after(() => restored.close({ timeoutMs: 0 }))
  await restored.resume({ all: true })
  await restored.flush(PATIENT)
  assert.equal(requests.length, 2)
})
