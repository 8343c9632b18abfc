// `dollar-send serve`, as an operator runs it.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { text } from 'node:stream/consumers'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

import { Engine } from '../../js/index.mjs'
import { runNode } from '../support/child.mjs'
import { dataDirectory } from '../support/data-dir.mjs'
import { client, run } from '../support/serving.mjs'

const CLI = fileURLToPath(new URL('../../js/cli/main.mjs', import.meta.url))
const TOKEN = 'a-token-for-the-command'

test('dollar-send serve: serves a data directory until it is asked to end', async (t) => {
  const dataDir = dataDirectory(t)
  const engine = await Engine.open({ dataDir })
  await run(engine, 'p_1', ($send) => $send.emit({ n: 1 }))
  await engine.close()
  const args = ['serve', '--data-dir', dataDir, '--port', '0', '--public', 'p_*', '--cors', '*']
  const child = spawn(process.execPath, [CLI, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, DOLLAR_SEND_TOKENS: ` ${TOKEN} ,` },
  })
  t.after(() => child.kill('SIGKILL'))
  const errors = text(child.stderr)
  const [line] = await once(createInterface(child.stdout), 'line')
  const url = line.replace(/^Listening on /, '')
  const { ask } = client(url)
  assert.equal((await ask('/v1/executions')).status, 401)
  const headers = { authorization: `Bearer ${TOKEN}` }
  const { body } = await ask('/v1/workflows/p_1/event_summaries', { headers })
  assert.deepEqual(body.data[0].event, { n: 1 })
  const stream = await fetch(`${url}/pipelines/p_1/sse`)
  assert.equal(stream.headers.get('access-control-allow-origin'), '*')
  child.kill('SIGTERM')
  const [code] = await once(child, 'close')
  assert.equal(code, 0)
  assert.match(await errors, /request method=GET path="\/v1\/executions" status=401/)
  assert.ok(!(await errors).includes(TOKEN))
})

test('dollar-send serve: says what is wrong, and does not begin', async () => {
  for (const [args, expected] of /** @type {const} */ ([
    [['--host', '0.0.0.0'], /server\.host: .* without tokens/],
    [['--port', '99999'], /--port must be a whole number from 0 to 65535, not 99999/],
    [['--port', ''], /--port must be/],
    [['--token', 'short'], /server\.tokens\[0\]/],
    [['now'], /serve takes no arguments/],
    [['--event', 'x'], /serve has no option --event/],
  ])) {
    const { code, stderr } = await runNode([CLI, 'serve', ...args])
    assert.equal(code, 2, stderr)
    assert.match(stderr, expected)
  }
})

test('dollar-send serve --open: opens the page in the browser', async (t) => {
  const folder = dataDirectory(t)
  mkdirSync(folder)
  const opened = join(folder, 'opened')
  const browser = join(folder, 'browser')
  writeFileSync(browser, `#!/bin/sh\necho "$1" > ${opened}.part && mv ${opened}.part ${opened}\n`, {
    mode: 0o755,
  })
  const child = spawn(process.execPath, [CLI, 'serve', '--open', '--port', '0'], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, BROWSER: browser, DOLLAR_SEND_DATA_DIR: join(folder, 'data') },
  })
  t.after(() => child.kill('SIGKILL'))
  const [line] = await once(createInterface(child.stdout), 'line')
  while (!existsSync(opened)) await new Promise(setImmediate)
  assert.equal(readFileSync(opened, 'utf8').trim(), line.replace(/^Listening on /, ''))
  child.kill('SIGTERM')
  assert.deepEqual(await once(child, 'exit'), [0, null])
})

for (const [reason, browser] of /** @type {const} */ ([
  [/No browser was opened: there is no desktop\. Open http:/, ''],
  [/No browser was opened: .*ENOENT.* Open http:/, '/nowhere/browser'],
  [/No browser was opened: false ended with status 1\. Open http:/, 'false'],
])) {
  test(`dollar-send serve --open: says why it cannot, ${reason.source}`, async (t) => {
    const env = { ...process.env, DISPLAY: '', WAYLAND_DISPLAY: '', BROWSER: browser }
    const args = ['serve', '--open', '--port', '0', '--data-dir', dataDirectory(t)]
    const child = spawn(process.execPath, [CLI, ...args], {
      stdio: ['ignore', 'ignore', 'pipe'],
      env,
    })
    t.after(() => child.kill('SIGKILL'))
    for await (const line of createInterface(child.stderr)) if (reason.test(line)) return
    assert.fail('the reason is missing')
  })
}
