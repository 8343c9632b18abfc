// The examples that the guides show, as their readers run them.

import assert from 'node:assert/strict'
import { execFile, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

import { receive } from '../support/recording-receiver.mjs'
import { folderFor, ROOT } from '../support/copy.mjs'

/** @param {string} path in examples */
const example = (path) => fileURLToPath(new URL(`../../examples/${path}`, import.meta.url))

const environment = (more) => ({ ...process.env, NODE_TEST_CONTEXT: undefined, ...more })

test('the specs of examples/testing pass', async () => {
  const files = ['testing/notify.spec.mjs', 'testing/delivery.spec.mjs'].map(example)
  const { stdout } = await promisify(execFile)(
    process.execPath,
    ['--test', '--test-reporter=tap', ...files],
    { env: environment() },
  )
  assert.match(stdout, /^# pass 2$/m)
})

test('the workflow that moved runs its steps as they stood in the editor', async (t) => {
  let authorization
  const { url, bodies } = await receive(t, ({ headers }, response) => {
    authorization = headers.authorization
    response.end()
  })
  const { stdout } = await promisify(execFile)(process.execPath, [example('moved/runner.mjs')], {
    env: environment({
      DOLLAR_SEND_DATA_DIR: folderFor(t),
      EGRESS_ALLOW: '127.0.0.0/8',
      HOOK_URL: url,
      SLACK_TOKEN: 'xoxb-1',
    }),
  })
  assert.match(stdout, /^Workflow returned\n\{ delivered: 1, failed: 0, pending: 0, open: 0 \}\n$/)
  assert.deepEqual(bodies(), [{ channel: 'orders', id: 7 }])
  assert.equal(authorization, 'Bearer xoxb-1')
})

test('check finds that the steps of the workflow that moved run as they are', async () => {
  const { stdout } = await promisify(execFile)(process.execPath, [
    `${ROOT}/js/cli/main.mjs`,
    'check',
    example('moved/fetch.js'),
    example('moved/notify.js'),
    '--json',
  ])
  const { supported, workflows } = JSON.parse(stdout)
  assert.equal(supported, true)
  assert.deepEqual(
    workflows.flatMap(({ steps }) => steps.map(({ name, form }) => [name, form])),
    [
      ['fetch', 'expression'],
      ['notify', 'module'],
    ],
  )
})

/** Starts the cluster; `find` waits for lines. */
function startCluster(t, env) {
  const child = spawn(process.execPath, [example('runners/cluster.mjs')], {
    env: environment(env),
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  t.after(() => child.kill('SIGKILL'))
  const lines = []
  let onLine
  createInterface(child.stdout).on('line', (line) => {
    lines.push(line)
    onLine?.()
  })
  const found = () => lines.map((line) => /^Worker (\d) \((\d+)\) on port (\d+)$/.exec(line) ?? [])
  /** Resolves with the numbers, pids and ports of so many workers. */
  const workers = async (count) => {
    while (lines.length < count) await new Promise((resolve) => (onLine = resolve))
    return found().map(([, number, pid, port]) => ({ number, pid: Number(pid), port }))
  }
  const closed = new Promise((resolve) => child.once('close', resolve))
  return { child, closed, workers }
}

test('the cluster: workers share a port, and one that is killed comes back to its directory', async (t) => {
  const { url, requests } = await receive(t)
  const { child, closed, workers } = startCluster(t, {
    DOLLAR_SEND_DATA_DIR: folderFor(t),
    EGRESS_ALLOW: '127.0.0.0/8',
    PORT: '0',
  })
  const [one, other] = await workers(2)
  assert.deepEqual([one.number, other.number].sort(), ['0', '1'])
  assert.equal(one.port, other.port)
  process.kill(one.pid, 'SIGKILL')
  const { number } = (await workers(3))[2]
  assert.equal(number, one.number)
  for (let id = 0; id < 4; id++) {
    const body = JSON.stringify({ id, name: 'Luke', url })
    const response = await fetch(`http://127.0.0.1:${one.port}/`, { method: 'POST', body })
    assert.equal(response.status, 201)
  }
  child.kill('SIGTERM')
  await closed
  assert.equal(requests.length, 4)
})
