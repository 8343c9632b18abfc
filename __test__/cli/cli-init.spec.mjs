// `dollar-send init`: the files that it writes, and the workflow that they run.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { it } from 'node:test'

import { command } from '../support/checking.mjs'
import { folderFor, ROOT } from '../support/copy.mjs'

const NAMES = ['dollar-send.config.mjs', 'event.json', 'runner.mjs', 'step.mjs']

/** Links this package into a folder, as an installation has it. @param {string} folder */
function install(folder) {
  mkdirSync(join(folder, 'node_modules'), { recursive: true })
  symlinkSync(ROOT, join(folder, 'node_modules', 'dollar-send'), 'junction')
}

/** Starts the runner of a folder on a free port. */
async function startRunner(t, folder) {
  const child = spawn(process.execPath, ['runner.mjs'], {
    cwd: folder,
    env: { ...process.env, PORT: '0', INSPECTOR_PORT: '0' },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  t.after(() => child.kill('SIGKILL'))
  const lines = []
  let onLine
  createInterface(child.stdout).on('line', (line) => {
    lines.push(line)
    onLine?.()
  })
  const closed = new Promise((resolve) => child.once('close', resolve))
  /** Waits until a line matches. @param {RegExp} pattern */
  const find = async (pattern) => {
    for (;;) {
      const found = lines.map((line) => pattern.exec(line)).find(Boolean)
      if (found) return found
      await new Promise((resolve) => {
        onLine = resolve
      })
    }
  }
  return { child, closed, find }
}

it('init writes four files, lists them and prints the next commands', async (t) => {
  const folder = folderFor(t)
  const { code, stdout, stderr } = await command(folder, ['init'])
  assert.equal(stderr, '')
  assert.equal(code, 0)
  assert.deepEqual(readdirSync(folder).sort(), NAMES)
  for (const name of NAMES) assert.match(stdout, new RegExp(`^  ${name} `, 'm'))
  assert.match(stdout, /^ {2}npm install dollar-send$/m)
  assert.match(stdout, /^ {2}node runner\.mjs$/m)
})

it('init FOLDER creates the folder, and prints how to enter it', async (t) => {
  const folder = folderFor(t)
  const { code, stdout } = await command(folder, ['init', 'my/flow'])
  assert.equal(code, 0)
  assert.deepEqual(readdirSync(join(folder, 'my', 'flow')).sort(), NAMES)
  assert.match(stdout, /^ {2}cd my.flow$/m)
})

it('init does not ask for an installation that is there', async (t) => {
  const folder = folderFor(t)
  install(folder)
  const { stdout } = await command(folder, ['init'])
  assert.doesNotMatch(stdout, /npm install/)
})

it('init replaces nothing: with one file there, it writes none', async (t) => {
  const folder = folderFor(t)
  writeFileSync(join(folder, 'runner.mjs'), 'mine')
  const { code, stdout, stderr } = await command(folder, ['init'])
  assert.equal(code, 2)
  assert.equal(stdout, '')
  assert.match(stderr, /runner\.mjs already exists, and nothing was written/)
  assert.deepEqual(readdirSync(folder), ['runner.mjs'])
  assert.equal(readFileSync(join(folder, 'runner.mjs'), 'utf8'), 'mine')
})

it('init refuses two folders, and a folder that cannot be made', async (t) => {
  const folder = folderFor(t)
  assert.equal((await command(folder, ['init', 'a', 'b'])).code, 2)
  writeFileSync(join(folder, 'file'), '')
  const { code, stderr } = await command(folder, ['init', 'file/inside'])
  assert.equal(code, 2)
  assert.match(stderr, /^dollar-send: (ENOTDIR|ENOENT|EEXIST)/)
})

it('what init wrote runs: a request, its delivery, the log, a replay, the end', async (t) => {
  const folder = folderFor(t)
  install(folder)
  await command(folder, ['init'])
  const { child, closed, find } = await startRunner(t, folder)
  const [, url] = await find(/^Listening on (\S+)$/)
  const event = JSON.parse(readFileSync(join(folder, 'event.json'), 'utf8'))
  const post = (own) => fetch(url, { method: 'POST', body: JSON.stringify({ ...event, ...own }) })

  const response = await post({ url: `${url}/echo` })
  assert.deepEqual([response.status, await response.text()], [200, 'Hello Luke Skywalker\n'])
  await find(/^http delivered$/)
  const { stdout: log } = await command(folder, ['log'])
  assert.match(log, /delivered +POST +http:\/\/127\.0\.0\.1:\d+\/echo +200/)
  const { stdout: runs } = await command(folder, ['runs'])
  assert.match(runs, /p_first/)
  assert.match(runs, /1\/1/)

  await post({ url: 'http://127.0.0.1:1/' })
  await find(/^http failed: /)
  const { stdout: replay } = await command(folder, ['replay', '--yes'])
  assert.match(replay, /ERR_SEND_CONNECT/)

  child.kill('SIGTERM')
  assert.equal(await closed, 0)
  await find(/^\{ delivered: 1, failed: 2, pending: 0, open: 0 \}$/)
})
