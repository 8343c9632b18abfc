import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { it } from 'node:test'
import { fileURLToPath } from 'node:url'

import { receive } from '../support/recording-receiver.mjs'

const MAIN = fileURLToPath(new URL('../../js/cli/main.mjs', import.meta.url))
const ALLOW = ['--allow', '127.0.0.0/8']

const V1 =
  'export default async (event) => { $send.http({ method: "POST", url: event.url, data: { name: "Luke" } }) }'

/** A directory with these files, until the test ends. */
async function directoryWith(t, files) {
  const directory = await mkdtemp(join(tmpdir(), 'cli-'))
  t.after(() => rm(directory, { recursive: true }))
  for (const [name, content] of Object.entries(files)) {
    await writeFile(
      join(directory, name),
      typeof content === 'string' ? content : JSON.stringify(content),
    )
  }
  return directory
}

/** Starts the command; `ended` resolves with its exit status and what it printed. */
function start(cwd, args, { input = '' } = {}) {
  const child = spawn(process.execPath, [MAIN, ...args], {
    cwd,
    env: { ...process.env, NODE_OPTIONS: '', FORCE_COLOR: '' },
  })
  child.stdin.end(input)
  const exit = new Promise((resolve) => child.once('close', (code) => resolve(code)))
  const ended = Promise.all([exit, text(child.stdout), text(child.stderr)]).then(
    ([code, stdout, stderr]) => ({ code, stdout, stderr }),
  )
  return { child, ended }
}

/** Runs the command on files to its end. */
async function command(t, files, args, options) {
  return start(await directoryWith(t, files), args, options).ended
}

it('dollar-send run: prints the delivery with its request and response and ends with Dest.', async (t) => {
  const { url, requests } = await receive(t)
  const { code, stdout, stderr } = await command(t, { 'step.mjs': V1, 'event.json': { url } }, [
    'run',
    'step.mjs',
    '-v',
    '--event',
    'event.json',
    ...ALLOW,
  ])
  assert.equal(stderr, '')
  assert.equal(code, 0)
  assert.deepEqual(requests, [{ method: 'POST', path: '/hook', body: '{"name":"Luke"}' }])
  assert.match(stdout, /^✔ http POST http:\/\/127\.0\.0\.1:\d+\/hook {2}code\[0\]\n/)
  assert.match(stdout, /\n {2}> {3}"name": "Luke"\n/)
  assert.match(stdout, /\n {2}< 200 OK {2}\d+ ms\n/)
  assert.match(stdout, /\n {2}< {3}"received": true\n/)
  assert.match(stdout, /\nDest\. 1\/1\n$/)
  assert.ok(!stdout.includes('\u001b'))
})

it('dollar-send run: runs an action with props and prints what it exports and returns', async (t) => {
  const { url } = await receive(t)
  const action = `export default defineComponent({
    key: 'a', name: 'A', version: '0.0.1', type: 'action', props: { url: { type: 'string' } },
    methods: { who() { return 'Leia' } },
    async run({ $ }) {
      $.send.http({ method: 'POST', url: this.url, data: { name: this.who() } })
      $.export('$summary', 'Sent to Leia')
      return { sent: 1 }
    },
  })`
  const { code, stdout } = await command(t, { 'action.mjs': action, 'props.json': { url } }, [
    'run',
    'action.mjs',
    '--props',
    'props.json',
    '--step',
    'greet',
    ...ALLOW,
  ])
  assert.equal(code, 0)
  assert.match(stdout, /greet\[0\]/)
  assert.match(stdout, /\$summary 'Sent to Leia'/)
  assert.match(stdout, /\$return_value \{ sent: 1 \}/)
})

it('dollar-send run: runs a CommonJS step and reads the event from standard input', async (t) => {
  const { url, requests } = await receive(t)
  const step =
    'module.exports = async function (event) { $send.http({ method: "POST", url: event.url, data: {} }) }'
  const { code } = await command(
    t,
    { 'step.cjs': step },
    ['run', 'step.cjs', '--event', '-', ...ALLOW],
    { input: JSON.stringify({ url }) },
  )
  assert.equal(code, 0)
  assert.equal(requests.length, 1)
})

it('dollar-send run: prints one JSON object with --json and keeps the output of the step out of it', async (t) => {
  const { url } = await receive(t)
  const step = V1.replace('{ $send', '{ console.log("from the step"); $send')
  const { code, stdout, stderr } = await command(t, { 'step.mjs': step, 'e.json': { url } }, [
    'run',
    'step.mjs',
    '--event',
    'e.json',
    '--workflow',
    'p_x',
    '--json',
    ...ALLOW,
  ])
  const report = JSON.parse(stdout)
  assert.equal(code, 0)
  assert.equal(stderr, 'from the step\n')
  assert.deepEqual([report.delivered, report.total], [1, 1])
  assert.equal(report.deliveries[0].workflowId, 'p_x')
  assert.equal(report.deliveries[0].response.status, 200)
})

it('dollar-send run: exits with 3 when a delivery failed', async (t) => {
  const { url } = await receive(t, (_, response) => {
    response.statusCode = 500
    response.end('{"no":1}')
  })
  const { code, stdout } = await command(t, { 'step.mjs': V1, 'e.json': { url } }, [
    'run',
    'step.mjs',
    '-v',
    '--event',
    'e.json',
    ...ALLOW,
  ])
  assert.equal(code, 3)
  assert.match(stdout, /✘ http POST/)
  assert.match(stdout, /< 500 Internal Server Error/)
  assert.match(stdout, /ERR_SEND_STATUS/)
  assert.match(stdout, /Dest\. 0\/1\n$/)
})

it('dollar-send run: says how to reach private addresses when they are refused', async (t) => {
  const { url, requests } = await receive(t)
  const { code, stdout, stderr } = await command(t, { 'step.mjs': V1, 'e.json': { url } }, [
    'run',
    'step.mjs',
    '--event',
    'e.json',
  ])
  assert.equal(code, 3)
  assert.match(stdout, /ERR_SEND_EGRESS_DENIED/)
  assert.match(stderr, /--allow 127\.0\.0\.0\/8/)
  assert.equal(requests.length, 0)
})

it('dollar-send run: shows a mail and where it went', async (t) => {
  const step = 'export default () => { $send.email({ subject: "Hello", text: "World" }) }'
  const { code, stdout } = await command(t, { 'step.mjs': step }, ['run', 'step.mjs', '-v'])
  assert.equal(code, 0)
  assert.match(stdout, /✔ email/)
  assert.match(stdout, /subject: Hello/)
  assert.match(stdout, /file: .*\.eml/)
})

it('dollar-send run: stores what belongs to a batch at once', async (t) => {
  const step = 'export default () => { $send.s3({ bucket: "hello", payload: "World" }) }'
  const { code, stdout } = await command(t, { 'step.mjs': step }, ['run', 'step.mjs', '-v'])
  assert.equal(code, 0)
  assert.match(stdout, /✔ s3/)
  assert.match(stdout, /file: .*\.gz/)
})

it('dollar-send run: shows destinations that are not configured', async (t) => {
  const step = 'export default () => { $send.sql({ table: "Hello", payload: "World" }) }'
  const { code, stdout } = await command(t, { 'step.mjs': step }, ['run', 'step.mjs', '-v'])
  assert.equal(code, 3)
  assert.match(stdout, /✘ sql {2}failed/)
  assert.match(stdout, /table: Hello/)
  assert.match(stdout, /ERR_SEND_NOT_CONFIGURED/)
})

it('dollar-send run: shows where $end and $.flow.exit ended the step, as success', async (t) => {
  const ended = await command(t, { 's.mjs': 'export default () => $end("no more")' }, [
    'run',
    's.mjs',
  ])
  assert.deepEqual([ended.code, ended.stderr], [0, ''])
  assert.match(ended.stdout, /ended by \$end: 'no more'/)
  const exited = await command(
    t,
    { 's.mjs': 'export default { run: ({ $ }) => $.flow.exit("enough") }' },
    ['run', 's.mjs'],
  )
  assert.equal(exited.code, 0)
  assert.match(exited.stdout, /exited by \$\.flow\.exit: 'enough'/)
  assert.match(exited.stdout, /Dest\. 0\/0\n$/)
})

it('dollar-send run: shortens long bodies and makes control characters visible', async (t) => {
  const body = `\u001b[2J\u202e${'x'.repeat(20_000)}`
  const { url } = await receive(t, (_, response) => {
    response.setHeader('content-type', 'text/plain')
    response.end(body)
  })
  const { stdout } = await command(t, { 'step.mjs': V1, 'e.json': { url } }, [
    'run',
    'step.mjs',
    '-v',
    '--event',
    'e.json',
    ...ALLOW,
  ])
  assert.match(stdout, /\\x1b\[2J\\u202exxx/)
  assert.match(stdout, /… [\d,]+ more characters/)
  assert.ok(!stdout.includes('\u001b') && !stdout.includes('\u202e'))
  assert.ok(stdout.length < 3000, `${stdout.length} characters`)
})

it('dollar-send run: passes --timeout on as the deadline of a request', async (t) => {
  const { url } = await receive(t, () => {})
  const { code, stdout } = await command(t, { 'step.mjs': V1, 'e.json': { url } }, [
    'run',
    'step.mjs',
    '--event',
    'e.json',
    '--timeout',
    '50',
    ...ALLOW,
  ])
  assert.equal(code, 3)
  assert.match(stdout, /ERR_SEND_TIMEOUT/)
})

const steps = {
  'in its function': 'throw new TypeError("boom")',
  'a text': 'throw "boom"',
  'in a timer while it waits':
    'setTimeout(() => { throw new Error("boom") }, 1); await new Promise(() => {})',
  'in a promise that nobody awaits':
    'Promise.reject(new Error("boom")); await new Promise((resolve) => setTimeout(resolve, 60_000))',
}
for (const [how, code] of Object.entries(steps)) {
  it(`dollar-send run when the step throws: exits with 1 and still delivers: ${how}`, async (t) => {
    const { url, requests } = await receive(t)
    const step = V1.replace(/\}$/, `; ${code} }`)
    const ended = await command(t, { 'step.mjs': step, 'e.json': { url } }, [
      'run',
      'step.mjs',
      '--event',
      'e.json',
      ...ALLOW,
    ])
    assert.equal(ended.code, 1)
    assert.match(ended.stderr, /boom/)
    assert.match(ended.stdout, /Dest\. 1\/1\n$/)
    assert.equal(requests.length, 1)
  })
}

it('dollar-send run when the step throws: exits with 1 when the promise of the step can never settle', async (t) => {
  const { url, requests } = await receive(t)
  const step = V1.replace(/\}$/, '; await new Promise(() => {}) }')
  const { code, stderr } = await command(t, { 'step.mjs': step, 'e.json': { url } }, [
    'run',
    'step.mjs',
    '--event',
    'e.json',
    ...ALLOW,
  ])
  assert.equal(code, 1)
  assert.match(stderr, /The step never ended/)
  assert.equal(requests.length, 1)
})

it('dollar-send run when the step throws: exits with 1 and the stack when the file throws while it loads', async (t) => {
  const { code, stderr } = await command(t, { 's.mjs': 'throw new Error("at load")' }, [
    'run',
    's.mjs',
  ])
  assert.equal(code, 1)
  assert.match(stderr, /at load[\s\S]*s\.mjs:1/)
})

it('dollar-send run when it is interrupted: prints what was recorded, delivers none of it and exits with 130', async (t) => {
  const { url, requests } = await receive(t)
  const step = V1.replace(
    /\}$/,
    '; process.stdout.write("READY\\n"); await new Promise((resolve) => setTimeout(resolve, 60_000)) }',
  )
  const { child, ended } = start(await directoryWith(t, { 'step.mjs': step, 'e.json': { url } }), [
    'run',
    'step.mjs',
    '--event',
    'e.json',
    ...ALLOW,
  ])
  child.stdout.once('data', () => child.kill('SIGINT'))
  const { code, stdout, stderr } = await ended
  assert.equal(code, 130)
  assert.match(stdout, /○ +discarded +POST .*\/hook/)
  assert.match(stdout, /Dest\. 0\/1\n$/)
  assert.match(stderr, /1 of 1 recorded deliveries were not delivered/)
  assert.equal(requests.length, 0)
})

it('dollar-send run when it is interrupted: stops waiting for a delivery', async (t) => {
  const { url } = await receive(t, () => started.child.kill('SIGINT'))
  const started = start(await directoryWith(t, { 'step.mjs': V1, 'e.json': { url } }), [
    'run',
    'step.mjs',
    '--event',
    'e.json',
    '--timeout',
    '60000',
    ...ALLOW,
  ])
  const { code, stdout } = await started.ended
  assert.equal(code, 130)
  assert.match(stdout, /✘ +failed +POST[\s\S]*ERR_SEND_INTERRUPTED/)
})

const files = {
  'step.mjs': V1,
  'syntax.mjs': 'export default () => {\n  const x = ;\n}',
  'named.mjs': 'export const a = 1',
  'empty.mjs': '',
  'number.mjs': 'export default 7',
  'top.mjs': '$send.http({ url: "http://127.0.0.1/" }); export default () => {}',
  'imports.mjs': 'import "no-such-package"; export default () => {}',
  'comma.json': '{\n  "a": 1,\n}',
  'word.json': 'hello',
  'blank.json': '\n',
}
const cases = [
  [[], /^Usage: dollar-send/],
  [['deliver'], /Unknown command deliver\./],
  [['rum', 'step.mjs'], /Unknown command rum\. Did you mean run\?/],
  [['step.mjs'], /To run a file: dollar-send run step\.mjs/],
  [['run'], /run needs a file/],
  [['run', 'step.mjs', 'named.mjs', '--step', 'a'], /--step names a single step/],
  [['run', 'step.mjs', '--evnt', 'x'], /Unknown option --evnt\. Did you mean --event\?/],
  [['run', 'step.mjs', '--frobnicate'], /Unknown option --frobnicate\.\n/],
  [['run', 'step.mjs', '--event'], /--event.*argument missing/],
  [['run', 'step.mjs', '--json=yes'], /--json.*does not take an argument/],
  [['run', 'step.mjs', '--timeout', 'soon'], /--timeout must be a whole number/],
  [['run', 'step.mjs', '--allow', 'not a network'], /allow/],
  [['run', 'step.mjs', '--workflow', ''], /workflow/i],
  [['run', 'nothing.mjs'], /File nothing\.mjs: there is no such file/],
  [['run', 'folder'], /File folder: it is a directory/],
  [['run', 'syntax.mjs'], /syntax\.mjs:2:13: it is no step: Unexpected token ';'[\s\S]*forms/],
  [['run', 'named.mjs'], /no default export \(it exports a\)/],
  [['run', 'empty.mjs'], /it has no code/],
  [['run', 'number.mjs'], /it exports a number/],
  [['run', 'top.mjs'], /put its code into an exported function/],
  [['run', 'imports.mjs'], /no-such-package/],
  [['run', 'step.mjs', '--event', 'nothing.json'], /--event nothing\.json: there is no such file/],
  [
    ['run', 'step.mjs', '--event', 'comma.json'],
    /line 3, column 1: expected a name in double quotes/,
  ],
  [['run', 'step.mjs', '--event', 'word.json'], /line 1, column 1: expected a value/],
  [['run', 'step.mjs', '--event', 'blank.json'], /it is empty/],
  [['run', 'step.mjs', '--props', 'comma.json'], /--props comma\.json is not JSON/],
  [['run', 'step.mjs', '--event', '-', '--props', '-'], /Only one of --event and --props/],
]
for (const [args, message] of cases) {
  it(`dollar-send with bad usage: exits with 2 and says what to do: ${args.join(' ')}`, async (t) => {
    const directory = await directoryWith(t, files)
    await mkdir(join(directory, 'folder'))
    const { code, stdout, stderr } = await start(directory, args).ended
    assert.match(stderr, message)
    assert.equal(stdout, '')
    assert.equal(code, 2)
    assert.doesNotMatch(stderr, /\n {4}at .*cli/)
  })
}

it('dollar-send: explains itself', async (t) => {
  for (const [args, message] of [
    [['--help'], /Commands:/],
    [['help'], /Commands:/],
    [['help', 'run'], /Exit status:/],
    [['run', '--help'], /Exit status:/],
    [['--version'], /^\d+\.\d+\.\d+\S*\n$/],
  ]) {
    const { code, stdout, stderr } = await command(t, {}, args)
    assert.match(stdout, message)
    assert.deepEqual([code, stderr], [0, ''])
  }
})
