// `dollar-send run` with several files, and with what the earlier part of a workflow would give.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { text } from 'node:stream/consumers'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

import { receive } from '../support/recording-receiver.mjs'
import { folderWith } from '../support/step-folder.mjs'

const MAIN = fileURLToPath(new URL('../../js/cli/main.mjs', import.meta.url))
const SEND = "$send.http({ method: 'POST', url: event.url, data: { from: 'FROM' } })"

/** Runs `dollar-send run` on files, the event with a URL of a receiver. */
async function run(t, files, args) {
  const { url, requests } = await receive(t)
  const folder = folderWith(t, { ...files, 'event.json': JSON.stringify({ url }) })
  const all = [MAIN, 'run', ...args, '--event', 'event.json', '--allow', '127.0.0.0/8']
  const env = { ...process.env, NODE_OPTIONS: '', FORCE_COLOR: '' }
  const child = spawn(process.execPath, all, { cwd: folder, env })
  const exit = new Promise((resolve) => child.once('close', resolve))
  const [stdout, stderr, code] = await Promise.all([text(child.stdout), text(child.stderr), exit])
  return { code, stdout, stderr, bodies: requests.map(({ body }) => JSON.parse(body).from) }
}

const sendFrom = (name) => SEND.replace('FROM', name)

test('several files are one workflow: each finds what the earlier ones export', async (t) => {
  const files = {
    'fetch.js': `${sendFrom('fetch')}\nthis.id = 7\nreturn { n: 1 }`,
    'add.mjs':
      "export default { async run({ steps, $ }) { $.export('sum', steps.fetch.id + steps.fetch.$return_value.n + this.more) } }",
    'notify.js': `async (event, steps) => { ${SEND.replace("'FROM'", 'steps.add.sum')} }`,
    'props.json': JSON.stringify({ add: { more: 2 } }),
  }
  const args = ['fetch.js', 'add.mjs', 'notify.js', '--props', 'props.json', '--json']
  const { code, stdout, stderr, bodies } = await run(t, files, args)
  const report = JSON.parse(stdout)
  assert.deepEqual([code, stderr, report.delivered, report.total], [0, '', 2, 2])
  assert.deepEqual(bodies.sort(), [10, 'fetch'].sort())
  assert.deepEqual(report.steps, {
    fetch: { returnValue: { n: 1 }, exports: { id: 7, $return_value: { n: 1 } } },
    add: { exports: { sum: 10 } },
    notify: { exports: {} },
  })
  assert.equal(new Set(report.deliveries.map(({ executionId }) => executionId)).size, 1)
  assert.deepEqual(
    report.deliveries.map(({ step }) => step),
    ['fetch', 'notify'],
  )
})

for (const [title, code, status] of [
  ['$end', "$end('enough')", 0],
  ['a throw', "throw new Error('stop')", 1],
]) {
  test(`a workflow ends at ${title}; what was sent before is delivered`, async (t) => {
    const files = { 'a.js': `${sendFrom('a')}\n${code}`, 'b.js': sendFrom('b') }
    const ended = await run(t, files, ['a.js', 'b.js'])
    assert.deepEqual([ended.code, ended.bodies], [status, ['a']])
    assert.match(ended.stdout, /Dest\. 1\/1\n$/)
  })
}

test('$.flow.exit ends a workflow behind its step', async (t) => {
  const first = `export default { run({ event, $ }) { $.flow.exit('enough'); $.send.http({ method: 'POST', url: event.url, data: { from: 'a' } }) } }`
  const ended = await run(t, { 'a.mjs': first, 'b.js': sendFrom('b') }, ['a.mjs', 'b.js'])
  assert.deepEqual([ended.code, ended.bodies], [0, ['a']])
  assert.match(ended.stdout, /The step a\n {2}exited by/)
})

test('--steps, --auths and --env-file give a step its surroundings', async (t) => {
  const files = {
    's.js': SEND.replace("'FROM'", '[steps.fetch.id, auths.slack.token, process.env.OWN_NAME]'),
    'steps.json': '{ "fetch": { "id": 7 } }',
    'auths.json': '{ "slack": { "token": "t" } }',
    '.env': 'OWN_NAME=from a file',
  }
  const args = ['s.js', '--steps', 'steps.json', '--auths', 'auths.json', '--env-file', '.env']
  const { code, stderr, bodies } = await run(t, files, args)
  if (!process.loadEnvFile) {
    assert.deepEqual([code, bodies], [2, []])
    assert.match(stderr, /needs Node\.js 20\.12/)
    return
  }
  assert.equal(code, 0, stderr)
  assert.deepEqual(bodies, [[7, 't', 'from a file']])
})

test('a file of --env-file that is missing ends the command before a step runs', async (t) => {
  const ended = await run(t, { 'a.js': sendFrom('a') }, ['a.js', '--env-file', 'no.env'])
  // Some versions of Node look for it themselves, before the command does.
  assert.match(ended.stderr, /no\.env: (there is no such file|not found)/)
  assert.notEqual(ended.code, 0)
  assert.deepEqual(ended.bodies, [])
})

for (const [args, message] of [
  [['a.js', 'b.js', '--step', 'x'], /--step names a single step/],
  [['a.js', 'b.js', '--props', 'c.json'], /--props has c, but the steps are a, b/],
  [['a.js', '--steps', 'no.json'], /--steps no\.json: there is no such file/],
  [['a.js', '--steps', 'list.json'], /--steps list\.json: it must hold an object/],
  [['a.js', '--props', 'null.json'], /--props null\.json: it must hold an object/],
  [['a.js', 'b.js', '--props', 'null.json'], /--props null\.json: it must hold an object/],
  [['a.js', '--auths', 'list.json'], /--auths list\.json: it must hold an object/],
  [['a.js', 'b.js', 'bad.js'], /bad\.js:1:8: it is no step/],
]) {
  test(`refuses bad usage before a step runs: ${args.join(' ')}`, async (t) => {
    const files = {
      'a.js': sendFrom('a'),
      'b.js': '1',
      'bad.js': 'return (',
      'c.json': '{ "c": {} }',
      'list.json': '[]',
      'null.json': 'null',
    }
    const { code, stderr, bodies } = await run(t, files, args)
    assert.match(stderr, message)
    assert.deepEqual([code, bodies], [2, []])
  })
}
