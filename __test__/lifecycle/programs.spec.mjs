// Programs of other people's making that load this package: test runners, bundles, other runtimes.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

import { runtimeCommands, TEST_RUNNERS_FOLDER } from '../../scripts/npm-tools.mjs'
import { PATIENCE_MS } from '../support/patience.mjs'

const ROOT = fileURLToPath(new URL('../../', import.meta.url))
const DELIVER = readFileSync(new URL('../projects/deliver.test.cjs', import.meta.url), 'utf8')
const RECORD = readFileSync(new URL('../projects/record.test.cjs', import.meta.url), 'utf8')

/** A folder beside the test runners in which `dollar-send` is installed as npm would. */
function project(t) {
  if (!existsSync(join(TEST_RUNNERS_FOLDER, 'node_modules', 'jest'))) {
    assert.fail('Jest, Vitest and esbuild are missing: run `node scripts/test.mjs node`')
  }
  const folder = mkdtempSync(join(TEST_RUNNERS_FOLDER, 'project-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  const own = join(folder, 'node_modules', 'dollar-send')
  mkdirSync(own, { recursive: true })
  for (const name of ['js', 'binding.cjs', 'package.json']) {
    cpSync(join(ROOT, name), join(own, name), { recursive: true })
  }
  const addon = readdirSync(ROOT).filter((name) => name.endsWith('.node'))
  for (const name of addon) symlinkSync(join(ROOT, name), join(own, name))
  return folder
}

/** @param {string[]} command @param {string} cwd */
async function run([program, ...args], cwd) {
  const child = spawn(program, args, {
    cwd,
    env: { ...process.env, CI: '1', NO_COLOR: '1', NODE_TEST_CONTEXT: undefined },
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: PATIENCE_MS,
    killSignal: 'SIGKILL',
  })
  const [[code, signal], stdout, stderr] = await Promise.all([
    once(child, 'close'),
    text(child.stdout),
    text(child.stderr),
  ])
  return { end: signal ?? code, stdout, stderr }
}

const bin = (name, path) => join(TEST_RUNNERS_FOLDER, 'node_modules', name, path)

test('Jest with its defaults, resetModules and isolateModules', async (t) => {
  const folder = project(t)
  const head = "const { Engine } = require('dollar-send')\n"
  for (const name of ['a', 'b']) writeFileSync(join(folder, `${name}.test.cjs`), head + DELIVER)
  const again = `
    test('modules are loaded again', async () => {
      for (let i = 0; i < 3; i++) {
        jest.resetModules()
        const engine = await require('dollar-send').Engine.open({})
        await engine.close()
        await new Promise((resolve) => jest.isolateModules(async () => {
          const isolated = await require('dollar-send').Engine.open({})
          await isolated.close()
          resolve()
        }))
      }
    })`
  writeFileSync(join(folder, 'again.test.cjs'), again)
  writeFileSync(join(folder, 'jest.config.cjs'), "module.exports = { testEnvironment: 'node' }")
  const jest = [process.execPath, bin('jest', 'bin/jest.js'), '--runInBand']
  const { end, stderr } = await run(jest, folder)
  assert.match(stderr, /^Tests: +5 passed, 5 total/m, stderr)
  assert.equal(end, 0)
})

for (const pool of ['threads', 'forks', 'vmThreads']) {
  test(`Vitest in its pool ${pool}`, async (t) => {
    const folder = project(t)
    const head =
      "import { expect, test } from 'vitest'\nimport { Engine } from 'dollar-send'\n" + DELIVER
    for (let i = 0; i < 4; i++) writeFileSync(join(folder, `${i}.test.mjs`), head)
    const args = ['run', `--pool=${pool}`, '--maxWorkers=1', `--root=${folder}`]
    const vitest = [process.execPath, bin('vitest', 'vitest.mjs'), ...args]
    const { end, stdout, stderr } = await run(vitest, folder)
    assert.match(stdout, /Tests +8 passed/, stdout + stderr)
    assert.equal(end, 0, stderr)
  })
}

test('dollar-send/testing under Jest and Vitest', async (t) => {
  const folder = project(t)
  writeFileSync(
    join(folder, 'jest.test.cjs'),
    `const { recordStep } = require('dollar-send/testing')\n${RECORD}`,
  )
  writeFileSync(
    join(folder, 'vitest.test.mjs'),
    `import { expect, test } from 'vitest'\nimport { recordStep } from 'dollar-send/testing'\n${RECORD}`,
  )
  writeFileSync(
    join(folder, 'jest.config.cjs'),
    "module.exports = { testEnvironment: 'node', testMatch: ['**/jest.test.cjs'] }",
  )
  const jest = await run([process.execPath, bin('jest', 'bin/jest.js'), '--runInBand'], folder)
  assert.match(jest.stderr, /^Tests: +2 passed, 2 total/m, jest.stderr)
  const args = ['run', 'vitest.test.mjs', '--maxWorkers=1', `--root=${folder}`]
  const vitest = await run([process.execPath, bin('vitest', 'vitest.mjs'), ...args], folder)
  assert.match(vitest.stdout, /Tests +2 passed/, vitest.stdout + vitest.stderr)
})

test('two bundles of one application with the addon beside them', async (t) => {
  const folder = project(t)
  const { build } = createRequire(bin('esbuild', 'package.json'))('esbuild')
  for (const name of ['a', 'b']) {
    const code = `
      import { Engine } from 'dollar-send'
      export const use = async () => {
        const engine = await Engine.open({})
        const execution = engine.execution({ workflowId: 'p' })
        execution.step('s').$send.emit({ a: 1 })
        await execution.complete()
        const [{ status }] = await execution.settled()
        await engine.close()
        return status
      }`
    writeFileSync(join(folder, `${name}.mjs`), code)
  }
  await build({
    bundle: true,
    platform: 'node',
    format: 'cjs',
    loader: { '.node': 'copy' },
    logLevel: 'error',
    entryPoints: ['a', 'b'].map((name) => join(folder, `${name}.mjs`)),
    outdir: join(folder, 'out'),
    outExtension: { '.js': '.cjs' },
  })
  const code = `Promise.all(['a', 'b'].map((name) => require('./out/' + name + '.cjs').use())).then(
    (said) => console.log(said.join()))`
  const { stdout, stderr } = await run([process.execPath, '-e', code], folder)
  assert.equal(stdout, 'delivered,delivered\n', stderr)
})

test('a bundle loads rows beside the package, and without it they fail with the way out', async (t) => {
  const folder = project(t)
  const { build } = createRequire(bin('esbuild', 'package.json'))('esbuild')
  const code = `
    import { Engine } from 'dollar-send'
    void (async () => {
      const sql = { batch: { intervalMs: 10 } }
      const engine = await Engine.open({ dataDir: process.argv[2], sql })
      const execution = engine.execution({ workflowId: 'p' })
      execution.step('s').$send.sql({ table: 't', payload: { a: 1 } })
      await execution.complete()
      const [{ status, error }] = await execution.settled()
      console.log(status, error?.code ?? '', /external/.test(error?.message))
      await engine.close()
    })()`
  writeFileSync(join(folder, 'app.mjs'), code)
  await build({
    bundle: true,
    platform: 'node',
    format: 'cjs',
    loader: { '.node': 'copy' },
    external: ['@duckdb/*'],
    logLevel: 'error',
    entryPoints: [join(folder, 'app.mjs')],
    outdir: join(folder, 'out'),
  })
  const app = join(folder, 'out', 'app.js')
  const beside = await run([process.execPath, app, join(folder, 'data')], folder)
  assert.equal(beside.stdout, 'delivered  false\n', beside.stderr)
  rmSync(join(folder, 'node_modules', 'dollar-send'), { recursive: true })
  const alone = await run([process.execPath, app, join(folder, 'other')], folder)
  assert.equal(alone.stdout, 'failed ERR_SEND_NOT_CONFIGURED true\n', alone.stderr)
})

/** Workers that each runtime starts one after the other; the long form starts 1,000. */
const WORKERS = Number(process.env.DOLLAR_SEND_WORKERS ?? 20)

const WORKERS_ALONE = `
const { Worker } = require('node:worker_threads')
const work = \`
  const { Engine } = require(${JSON.stringify(join(ROOT, 'js', 'index.cjs'))})
  Engine.open({ server: { port: 0 } }).then(async (engine) => {
    const execution = engine.execution({ workflowId: 'p' })
    execution.step('s').$send.emit({ a: 1 })
    await execution.complete()
    const [{ status }] = await execution.settled()
    if (status !== 'delivered') throw new Error(status)
    // One half closes, the other leaves that to the end of the thread.
    if (require('node:worker_threads').threadId % 2 === 0) await engine.close()
    process.exit(0)
  })\`
let [left, failed] = [${WORKERS}, 0]
const next = () => {
  if (left-- === 0) return console.log('failed: ' + failed)
  const worker = new Worker(work, { eval: true })
  worker.on('error', () => failed++)
  worker.on('exit', next)
}
next()`

for (const [name, command] of Object.entries(runtimeCommands())) {
  test(`${name}: worker threads alone load the package`, async (t) => {
    if (!command) assert.fail(`${name} is missing: run \`node scripts/test.mjs node\``)
    const folder = mkdtempSync(join(ROOT, 'target', 'workers-'))
    t.after(() => rmSync(folder, { recursive: true, force: true }))
    const file = join(folder, 'workers.cjs')
    writeFileSync(file, WORKERS_ALONE)
    const { end, stdout, stderr } = await run([...command, file], folder)
    assert.equal(stdout, 'failed: 0\n', stderr)
    assert.equal(end, 0)
  })
}
