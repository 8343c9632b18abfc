// `dollar-send migrate`: its plan, what it says, and what it refuses.

import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'

import { Engine } from '../../js/index.mjs'
import { runNode } from '../support/child.mjs'
import { dataDirectory } from '../support/data-dir.mjs'
import { codeOf } from '../support/engine.mjs'
import { fleetDatabase, KEY } from '../support/fleet.mjs'
import { migrate, recordIn } from '../support/migrate.mjs'

const MAIN = new URL('../../js/cli/main.mjs', import.meta.url)
const OTHER_KEY = Buffer.alloc(32, 8).toString('base64')

/** @param {{ after(fn: () => unknown): void }} t */
function folder(t) {
  const path = mkdtempSync(join(tmpdir(), 'dollar-send-test-'))
  t.after(() => rmSync(path, { recursive: true, force: true }))
  return path
}

test('a plan changes nothing, a move is made once', async (t) => {
  const database = await fleetDatabase(t)
  const dataDir = dataDirectory(t)
  await recordIn(dataDir, ['e_1', 'e_2'], ['http://127.0.0.1:9/a', 'http://127.0.0.1:9/b'])
  const plan = await migrate(dataDir, database.url, { args: ['--plan'] })
  assert.equal(plan.code, 0, plan.stderr)
  const target = `postgres://127.0.0.1:${database.port}/events (schema fleet)`
  const content = '2 executions, 0 finished deliveries and 4 waiting calls'
  assert.equal(plan.stdout, `Moves ${dataDir} to ${target}:\n  ${content}\n`)
  assert.equal(plan.stderr, '')
  const engine = await Engine.open({ dataDir, deliver: false })
  await engine.close()
  assert.deepEqual(await database.rows("SELECT 1 FROM pg_namespace WHERE nspname = 'fleet'"), [])

  const moved = await migrate(dataDir, database.url)
  assert.equal(moved.code, 0, moved.stderr)
  assert.equal(moved.stderr, plan.stdout)
  assert.match(
    moved.stdout,
    /^Moved 2 executions, 0 finished deliveries and 4 waiting calls to post/,
  )
  const again = await migrate(dataDir, database.url)
  assert.equal(again.code, 0, again.stderr)
  assert.match(
    again.stdout,
    /^Already moved: .* is in postgres:.* \(schema fleet\) since 20\S+Z\.\n$/,
  )
  const [code, message] = await codeOf(Engine.open({ dataDir }))
  assert.equal(code, 'ERR_SEND_JOURNAL')
  assert.ok(message.includes(`was moved to ${target} at 20`), message)
  assert.doesNotMatch(message, /secret-of-the-tests/)
})

test('what cannot be moved is refused with its reason, and stays as it is', async (t) => {
  const database = await fleetDatabase(t)
  const { url } = database
  const dataDir = dataDirectory(t)
  await recordIn(dataDir, ['e_1'], ['http://127.0.0.1:9/'])
  const refused = async (
    /** @type {RegExp} */ expected,
    /** @type {any[]} */ ...[from, to, more]
  ) => {
    const { code, stdout, stderr } = await migrate(from ?? dataDir, to ?? url, more)
    assert.match(stderr, expected)
    assert.equal(stdout, '')
    assert.doesNotMatch(stderr, /secret-of-the-tests/)
    return code
  }
  const runner = await Engine.open({ dataDir, deliver: false })
  assert.equal(await refused(/is in use by pid \d+: one process at a time/), 3)
  await runner.close()
  assert.equal(await refused(/is not a data directory: it has no journal\.sqlite/, folder(t)), 3)
  const wrong = { env: { DOLLAR_SEND_DATA_DIR_KEY: OTHER_KEY } }
  assert.equal(await refused(/was sealed with another key/, dataDir, url, wrong), 3)
  const short = { env: { DOLLAR_SEND_JOURNAL_KEY: 'short' } }
  assert.equal(
    await refused(/DOLLAR_SEND_JOURNAL_KEY .*: must be 32 bytes/, dataDir, url, short),
    2,
  )
  assert.equal(await refused(/--to: /, dataDir, 'mysql://x/y'), 2)
  assert.equal(await refused(/is not reachable: /, dataDir, 'postgres://a:b@127.0.0.1:1/c'), 3)
  const fleet = await Engine.open({ journal: database.journal() })
  await fleet.close()
  const other = { env: { DOLLAR_SEND_JOURNAL_KEY: OTHER_KEY } }
  assert.equal(await refused(/has another key: all nodes share one/, dataDir, url, other), 2)
  await database.psql("CREATE ROLE guest LOGIN PASSWORD 'guest-password'")
  const guest = url.replace(/\/\/[^@]+@/, '//guest:guest-password@')
  assert.equal(await refused(/the role needs CREATE/, dataDir, guest), 3)
  await database.psql('UPDATE fleet.meta SET version = 99')
  assert.equal(await refused(/use the newer version/), 3)
  await database.psql('UPDATE fleet.meta SET version = 3')
  assert.deepEqual(await database.rows('SELECT 1 FROM fleet.moves'), [])
  const engine = await Engine.open({ dataDir, deliver: false })
  await engine.close({ timeoutMs: 0 })
})

test('the configuration of the nodes names the database and the key', async (t) => {
  const database = await fleetDatabase(t)
  const dataDir = dataDirectory(t)
  await recordIn(dataDir, ['e_1'], ['http://127.0.0.1:9/'])
  const config = join(folder(t), 'nodes.mjs')
  const options = JSON.stringify({ journal: database.journal() })
  writeFileSync(config, `export default ${options}`)
  const args = [MAIN.pathname, 'migrate', '--from', dataDir, '--config', config, '--json']
  const { code, stdout, stderr } = await runNode(args)
  assert.equal(code, 0, stderr)
  assert.equal(JSON.parse(stdout).state, 'moved')
  assert.equal((await database.rows('SELECT 1 FROM fleet.commits')).length, 1)
  assert.notEqual(KEY, OTHER_KEY)
})

test('a command line that names too little is bad usage', async (t) => {
  for (const [args, expected] of /** @type {Array<[string[], RegExp]>} */ ([
    [[], /needs a data directory: dollar-send migrate --from DIR/],
    [['--from', folder(t)], /needs the database: --to postgres:/],
    [['--from', folder(t), '--to', 'postgres://a/b'], /needs the key that the nodes share/],
    [['--from', ''], /--from must not be empty/],
    [['there', '--from', 'x'], /takes no arguments/],
    [['--from', 'x', '--follow'], /migrate has no option --follow/],
  ])) {
    const { code, stderr } = await runNode([MAIN.pathname, 'migrate', ...args])
    assert.equal(code, 2, stderr)
    assert.match(stderr, expected)
  }
})
