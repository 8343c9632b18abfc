// `dollar-send log` and `dollar-send replay`, over what `dollar-send run` left in a data directory.

import assert from 'node:assert/strict'
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

import { runNode, startChild } from '../support/child.mjs'
import { dataDirectory } from '../support/data-dir.mjs'
import { receiver } from '../support/receiver.mjs'

const MAIN = fileURLToPath(new URL('../../js/cli/main.mjs', import.meta.url))

/** @param {string[]} args */
const command = (...args) => runNode([MAIN, ...args])

/**
 * A directory with a delivery that failed and one that did not, and the server that decided so.
 *
 * @param {import('node:test').TestContext} t
 */
async function used(t) {
  let well = false
  const server = await receiver(t, ({ path }, response) => {
    response.statusCode = well || path === '/good' ? 200 : 500
    response.end('answered')
  })
  const dataDir = dataDirectory(t)
  const step = join(dirname(dataDir), 'step.mjs')
  writeFileSync(
    step,
    `export default async () => {
       for (const path of ['/good', '/bad'])
         $send.http({ method: 'POST', url: '${server.origin}' + path, data: { path } })
     }`,
  )
  const run = await command('run', step, '--data-dir', dataDir, '--allow', '127.0.0.0/8')
  assert.equal(run.code, 3, run.stderr)
  return { dataDir, server, recover: () => (well = true) }
}

/** @param {string} dataDir @param {string[]} filters */
async function logged(dataDir, ...filters) {
  const { code, stdout, stderr } = await command('log', '--data-dir', dataDir, '--json', ...filters)
  assert.equal(code, 0, stderr)
  return JSON.parse(stdout)
}

test('the log shows what was delivered and what was not, newest last', async (t) => {
  const { dataDir } = await used(t)
  const { stdout, code } = await command('log', '--data-dir', dataDir)
  assert.equal(code, 0)
  const line = (/** @type {string} */ mark, /** @type {string} */ rest) =>
    new RegExp(`^${mark} +http:\\/\\/127\\.0\\.0\\.1:\\d+${rest}$`)
  const lines = stdout.split('\n')
  const tail = ' +\\d+ ms +p_local +code\\[\\d\\] +[0-9a-f-]{8,36}'
  assert.match(lines[0], line('✔ +delivered +POST', `\\/good +200${tail}`))
  assert.match(lines[1], line('✘ +failed +POST', `\\/bad +500${tail}`))
  assert.match(lines[2], /^ {2}ERR_SEND_STATUS: /)
  assert.equal(lines[3], 'Dest. 1/2')
  const verbose = await command('log', '--data-dir', dataDir, '-v')
  assert.match(
    verbose.stdout,
    /✔ http POST [^]*\/good[^]*200 OK[^]*✘ http POST [^]*\/bad[^]*500 Int/,
  )
  assert.match(verbose.stdout, /\n {2}[0-9a-f-]{36} {2}20[^]*Dest\. 1\/2\n$/)
  const [bad, good] = await logged(dataDir)
  assert.deepEqual([bad.status, good.status], ['failed', 'delivered'])
  assert.deepEqual(await logged(dataDir, '--status', 'failed'), [bad])
  assert.deepEqual(await logged(dataDir, '--before', bad.id, '--workflow', 'p_local'), [good])
  assert.deepEqual(await logged(dataDir, '--limit', '1', '--step', 'code'), [bad])
  const none = await command('log', '--data-dir', dataDir, '--execution', 'other')
  assert.equal(none.stdout, 'No such deliveries.\n')
})

test('a failed delivery is made again, and the log names the old one', async (t) => {
  const { dataDir, server, recover } = await used(t)
  const [bad, good] = await logged(dataDir)
  const allow = ['--data-dir', dataDir, '--allow', '127.0.0.0/8', '--yes', '-v']
  const again = await command('replay', bad.id, ...allow)
  assert.equal(again.code, 3, again.stderr)
  recover()
  const { code, stdout } = await command('replay', bad.id, ...allow)
  assert.equal(code, 0)
  assert.match(stdout, new RegExp(`idempotency-key: ${bad.id}[^]*answered[^]*Dest\\. 1/1\\n$`))
  assert.equal(server.requests.at(-1)?.text, '{"path":"/bad"}')
  const [newest, before] = await logged(dataDir)
  assert.deepEqual([newest.replayOf, newest.status], [before.id, 'delivered'])
  assert.deepEqual([before.replayOf, before.resolvedBy], [bad.id, newest.id])

  const wrong = await command('replay', good.id, ...allow)
  assert.equal(wrong.code, 3)
  assert.match(wrong.stderr, new RegExp(`${good.id}: the log has no failed delivery with this id`))
  const all = await command('replay', ...allow, '--json')
  assert.equal(JSON.parse(all.stdout).deliveries.length, 0, 'what arrived is not sent again')
})

test('a directory in use can be read, and not replayed', async (t) => {
  const { dataDir, server } = await used(t)
  const holder = startChild(server.url, "console.log('open'); setInterval(() => {}, 1000)", {
    dataDir,
  })
  await holder.line('open')
  assert.equal((await logged(dataDir)).length, 2)
  const { code, stderr } = await command('replay', '--data-dir', dataDir, '--yes')
  assert.equal(code, 2)
  assert.match(stderr, /has no server that could replay/)
  assert.match(stderr, new RegExp(`in use by pid ${holder.pid}`))
  await holder.kill()
})

test('an option whose variable is unset chooses no other place', async (t) => {
  const dataDir = dataDirectory(t)
  for (const [name, ...args] of [
    ['url', 'log'],
    ['url', 'runs'],
    ['url', 'replay', '--yes'],
    ['url', 'sql', 'SHOW TABLES'],
    ['token', 'log', '--data-dir', dataDir],
    ['token', 'serve', '--data-dir', dataDir],
    ['data-dir', 'replay'],
    ['config', 'runs'],
  ]) {
    for (const value of ['', ' ']) {
      const { code, stderr } = await command(...args, `--${name}`, value)
      assert.equal(code, 2, stderr)
      assert.match(stderr, new RegExp(`--${name} must not be empty\\.`))
    }
  }
})

test('what cannot be meant is refused with what to do', async (t) => {
  const dataDir = dataDirectory(t)
  mkdirSync(dataDir, { recursive: true })
  for (const [args, expected] of [
    [['log'], /\.dollar-send holds no journal/],
    [['log', '--url', 'x', '--data-dir', dataDir], /--url names a running engine/],
    [['log', '--url', 'ftp://x'], /--url must begin with http/],
    [['log', '--folow'], /Unknown option --folow\. Did you mean --follow\?/],
    [['runs', '--step', 'x'], /runs has no option --step\./],
    [['replay', '--wait', 'long', '--data-dir', dataDir], /--wait must be a number of seconds/],
    [['log', '--data-dir', dataDir], /holds no journal/],
    [['replay', '--data-dir', dataDir], /holds no journal/],
    [['log', '--data-dir', dataDir, 'x'], /takes no arguments/],
    [['log', '--data-dir', dataDir, '--status', 'bad'], /--status must be one of pending/],
    [['log', '--data-dir', dataDir, '--limit', '0'], /--limit must be a whole number/],
    [['log', '--data-dir', dataDir, '--allow', '::1'], /log has no option --allow/],
    [['run', 'x.mjs', '--status', 'failed'], /run has no option --status/],
    [['replay', 'x', '--data-dir', dataDir, '--limit', '5'], /either ids or filters/],
  ]) {
    const { code, stderr } = await command(.../** @type {string[]} */ (args))
    assert.equal(code, 2, stderr)
    assert.match(stderr, /** @type {RegExp} */ (expected))
  }
  assert.ok(!existsSync(join(dataDir, 'journal.sqlite')))
  for (const topic of ['log', 'runs', 'replay']) {
    const { code, stdout } = await command('help', topic)
    assert.equal(code, 0)
    assert.match(stdout, new RegExp(`^Usage: dollar-send ${topic} `))
  }
})
