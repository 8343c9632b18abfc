// `dollar-send.config.mjs`, which runner and command share.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { text } from 'node:stream/consumers'
import { test } from 'node:test'
import { fileURLToPath, pathToFileURL } from 'node:url'

import { Engine } from '../../js/index.mjs'
import { PATIENCE_MS } from '../support/patience.mjs'
import { receiver } from '../support/receiver.mjs'

const MAIN = fileURLToPath(new URL('../../js/cli/main.mjs', import.meta.url))

/**
 * A project's folder with a step and a configuration.
 *
 * @param {import('node:test').TestContext} t
 * @param {string} [config]
 */
function project(t, config) {
  const folder = mkdtempSync(join(tmpdir(), 'dollar-send-test-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  if (config !== undefined) writeFileSync(join(folder, 'dollar-send.config.mjs'), config)
  return folder
}

/**
 * @param {string} cwd
 * @param {string[]} args
 * @param {Record<string, string>} [env]
 */
const command = (cwd, args, env = {}) => node(cwd, [MAIN, ...args], env)

/**
 * @param {string} cwd
 * @param {string[]} args
 * @param {Record<string, string>} [env]
 */
async function node(cwd, args, env = {}) {
  const child = spawn(process.execPath, args, {
    ...{ cwd, env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] },
    timeout: PATIENCE_MS,
  })
  const [[code], stdout, stderr] = await Promise.all([
    once(child, 'close'),
    text(child.stdout),
    text(child.stderr),
  ])
  return { code, stdout, stderr }
}

test('a configuration that is none is refused, with its fault', async (t) => {
  for (const [config, expected] of /** @type {const} */ ([
    [
      "throw new Error('no password')",
      /config\.mjs cannot be read: Error: no password\n.*config\.mjs:1/,
    ],
    ["throw 'a text'", /cannot be read: it threw 'a text'/],
    ['export default {', /cannot be read: [^]*SyntaxError/],
    ["import 'nowhere'", /cannot be read: Error: Cannot find package 'nowhere'/],
    ['export const dataDir = 1', /has no default export\. It exports the options of Engine\.open/],
    ['export default () => ({})', /exports a function \(export what it returns\)/],
    ['export default Promise.resolve({})', /exports a promise \(write export default await/],
    ['export default undefined', /exports undefined, not the options/],
    ['export default null', /exports null, not the options/],
    ['export default []', /exports a list, not the options/],
    ["export default 'x'", /exports a string, not the options/],
  ])) {
    const { code, stderr } = await command(project(t, config), ['log'])
    assert.equal(code, 2, config)
    assert.match(stderr, expected, config)
  }
  const missing = await command(project(t), ['log', '--config', 'other.mjs'])
  assert.match(missing.stderr, /--config other\.mjs: there is no such file/)
  const wrong = await command(project(t, 'export default { htpp: {} }'), ['serve'])
  assert.equal(wrong.code, 2)
  assert.match(wrong.stderr, /htpp/)
})

test('a configuration for another directory is refused', async (t) => {
  const folder = project(t, "export default { dataDir: './data' }")
  for (const [args, env, source] of /** @type {const} */ ([
    [['--data-dir', 'other'], {}, '--data-dir'],
    [[], { DOLLAR_SEND_DATA_DIR: 'other' }, 'DOLLAR_SEND_DATA_DIR'],
  ])) {
    const { code, stderr } = await command(folder, ['log', ...args], env)
    assert.equal(code, 2)
    assert.ok(stderr.includes(`${source} is other, but dollar-send.config.mjs has dataDir`), stderr)
  }
})

test('run and log use the configuration', async (t) => {
  const server = await receiver(t)
  const folder = project(
    t,
    "export default { dataDir: new URL('./data', import.meta.url), egress: { allow: ['127.0.0.0/8'] }, http: { userAgent: 'of-the-config' } }",
  )
  writeFileSync(
    join(folder, 'step.mjs'),
    `export default () => $send.http({ method: 'POST', url: '${server.origin}/', data: {} })`,
  )
  const ran = await command(folder, ['run', 'step.mjs'])
  assert.equal(ran.code, 0, ran.stderr)
  assert.equal(server.requests[0].headers['user-agent'], 'of-the-config')
  const logged = await command(folder, ['log', '--json', '--data-dir', './data'])
  assert.equal(JSON.parse(logged.stdout)[0].status, 'delivered')
  mkdirSync(join(folder, 'elsewhere'))
  const config = ['--config', '../dollar-send.config.mjs']
  const other = await command(join(folder, 'elsewhere'), ['log', '--json', ...config])
  assert.equal(JSON.parse(other.stdout).length, 1, other.stderr)
})

test('a relative dataDir is the folder that a runner opens with the same options', async (t) => {
  const folder = project(t, "export default { dataDir: './data' }")
  mkdirSync(join(folder, 'app'))
  writeFileSync(
    join(folder, 'app/runner.mjs'),
    `import { Engine } from ${JSON.stringify(new URL('../../js/index.mjs', import.meta.url).href)}
import options from '../dollar-send.config.mjs'
const engine = await Engine.open(options)
const execution = engine.execution({ workflowId: 'p_1' })
execution.step('step').$send.emit({ event: {} })
await execution.complete()
await engine.close()
`,
  )
  const app = join(folder, 'app')
  const ran = await node(app, ['runner.mjs'])
  assert.equal(ran.code, 0, ran.stderr)
  const config = ['--config', '../dollar-send.config.mjs']
  const logged = await command(app, ['log', '--json', ...config])
  assert.equal(JSON.parse(logged.stdout).length, 1, logged.stderr)
})

test('the data directory is that of the variable, or ./.dollar-send', async (t) => {
  const folder = project(t)
  for (const name of ['.dollar-send', 'named']) {
    const engine = await Engine.open({ dataDir: join(folder, name) })
    const execution = engine.execution({ workflowId: name === 'named' ? 'p_n' : 'p_d' })
    execution.step('s').$send.emit({ n: 1 })
    await execution.complete()
    await execution.settled()
    await engine.close()
  }
  const first = await command(folder, ['log', '--json'])
  assert.equal(JSON.parse(first.stdout)[0].workflowId, 'p_d', first.stderr)
  const named = await command(folder, ['log', '--json'], { DOLLAR_SEND_DATA_DIR: 'named' })
  assert.equal(JSON.parse(named.stdout)[0].workflowId, 'p_n', named.stderr)
})

test('serve without a configuration looks and does not deliver', async (t) => {
  const folder = project(t)
  const server = await receiver(t)
  const waiting = await Engine.open({ dataDir: join(folder, '.dollar-send'), deliver: false })
  const execution = waiting.execution({ workflowId: 'p' })
  execution.step('s').$send.http({ method: 'POST', url: `${server.origin}/`, data: {} })
  await execution.complete()
  await waiting.close()
  const looked = await serve(t, folder, [])
  assert.match(
    looked.stderr,
    /Data directory: .*\.dollar-send\nNothing is delivered: there is no config/,
  )
  assert.equal(looked.deliveries[0].status, 'pending')
  assert.equal(server.requests.length, 0)
  writeFileSync(
    join(folder, 'dollar-send.config.mjs'),
    "export default { egress: { allow: ['127.0.0.0/8'] } }",
  )
  const served = await serve(t, folder, ['--data-dir', '.dollar-send'], () => server.received(1))
  assert.match(served.stderr, /Configuration: dollar-send\.config\.mjs/)
  assert.equal(server.requests.length, 1)
})

/**
 * Serves until `until` resolves. Returns the deliveries that the server shows.
 *
 * @param {import('node:test').TestContext} t
 * @param {string} cwd
 * @param {string[]} args
 * @param {() => Promise<unknown>} [until]
 */
async function serve(t, cwd, args, until = async () => {}) {
  const child = spawn(process.execPath, [MAIN, 'serve', '--port', '0', ...args], {
    cwd,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  t.after(() => child.kill('SIGKILL'))
  const stderr = text(child.stderr)
  const [line] = await once(createInterface(child.stdout), 'line')
  await until()
  const response = await fetch(`${line.replace(/^Listening on /, '')}/v1/deliveries`)
  const { data } = /** @type {any} */ (await response.json())
  child.kill('SIGTERM')
  await once(child, 'close')
  return { deliveries: data, stderr: await stderr }
}

test('a runner opens the same folder by a file: URL, and other URLs are refused', async (t) => {
  const folder = project(t, "export default { dataDir: new URL('./data', import.meta.url) }")
  const { default: options } = await import(
    pathToFileURL(join(folder, 'dollar-send.config.mjs')).href
  )
  const engine = await Engine.open(options)
  t.after(() => engine.close())
  assert.ok(existsSync(join(folder, 'data', 'journal.sqlite')))
  const asText = await Engine.open({ dataDir: pathToFileURL(join(folder, 'as text')).href })
  t.after(() => asText.close())
  assert.ok(existsSync(join(folder, 'as text', 'journal.sqlite')))
  for (const [name, own] of Object.entries({
    dataDir: { dataDir: new URL('https://example.com/data') },
    's3.file': { s3: { file: new URL('https://example.com/data') } },
    'sql.duckdb.file': { sql: { duckdb: { file: new URL('https://example.com/data') } } },
  })) {
    await assert.rejects(Engine.open(own), ({ code, message }) => {
      assert.equal(code, 'ERR_SEND_INVALID_OPTION')
      assert.equal(
        message,
        `Engine.open(): ${name}: https://example.com/data is not the URL of a file: The URL must be of scheme file`,
      )
      return true
    })
  }
})
