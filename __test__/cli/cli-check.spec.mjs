// `dollar-send check`: step files, folders, exported workflows, and ZIP files that mean harm.

import assert from 'node:assert/strict'
import { mkdirSync, readdirSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'

import { receive } from '../support/recording-receiver.mjs'
import { check, command, folderWith, node, zip } from '../support/checking.mjs'

const WORKFLOW = JSON.stringify({
  name: 'Orders',
  steps: [
    {
      namespace: 'fetch',
      lang: 'nodejs20.x',
      component: { code: 'export default { async run() { return { id: 7 } } }' },
    },
    {
      namespace: 'notify',
      code_raw:
        'async (event, steps) => { $send.http({ method: "POST", url: event.url, data: { id: steps.fetch.$return_value.id } }) }',
      params: { unused: 1 },
    },
  ],
})

test('says form, destinations, packages and needs of each step', async (t) => {
  const code = `import got from "got@~14"
    import { readFile } from 'node:fs/promises'
    const { http, email: mail } = $send
    export default defineComponent({
      props: { db: { type: '$.service.db' }, slack: { type: 'app', app: 'slack' } },
      async run({ steps, $ }) {
        $.send.s3({ bucket: 'b', payload: 1 })
        $.send?.sms('x')
        await $.flow.suspend()
        $.flow.exit()
        return [process.env.API_KEY, steps.fetch.a, steps.trigger.event, this.slack.$auth.token]
      },
    })`
  const { report, code: status } = await check(t, { 'a.js': code }, ['a.js'])
  assert.equal(status, 0)
  assert.deepEqual(report, {
    supported: true,
    workflows: [
      {
        name: 'workflow',
        steps: [
          {
            name: 'a',
            origin: 'a.js',
            form: 'module',
            destinations: ['email', 'http', 's3', 'sms'],
            packages: ['got@~14'],
            needs: [
              'exports of earlier steps: fetch',
              'accounts: slack',
              'environment variables: API_KEY',
              'engine.destination("sms", …): it is not built in',
              'flow.suspend, for $.flow.suspend()',
              'services.db, to keep data between runs',
            ],
            unsupported: [],
          },
        ],
        notUnderstood: [],
        files: [],
      },
    ],
  })
})

const UNSUPPORTED = {
  'an event source': ["export default { type: 'source', run() { this.$emit(1) } }", /event source/],
  'a timer': ["export default { props: { t: '$.interface.timer' }, run() {} }", /event source/],
  'a member of $': ['export default { run: ({ $ }) => $.teleport() }', /\$\.teleport is not known/],
  'an import from the web': ["import x from 'https://esm.sh/x'\nexport default () => x", /esm\.sh/],
  'a text that does not parse': ['const x =\n  = 1', /from line 2, column 3/],
}
for (const [title, [code, message]] of Object.entries(UNSUPPORTED)) {
  test(`is not supported, with exit status 1: ${title}`, async (t) => {
    const { report, code: status } = await check(t, { 's.js': code }, ['s.js'])
    assert.equal(status, 1)
    assert.equal(report.supported, false)
    assert.match(report.workflows[0].steps[0].unsupported.join(), message)
  })
}

test('a step that needs a runner with flow is marked', async (t) => {
  const folder = folderWith(t, {
    'a.js': 'export default { run: ({ $ }) => $.flow.rerun(1000) }',
    'b.js': 'return 1',
  })
  const { code, stdout } = await command(folder, ['check', 'a.js', 'b.js'])
  assert.equal(code, 0)
  assert.match(stdout, /^! a {2}module/m)
  assert.match(stdout, /^✔ b {2}body/m)
  assert.match(stdout, /2 of 2 steps run as they are, 1 of them in a runner with the option flow/)
})

test('files that other steps import are helpers, and named by the step that needs them', async (t) => {
  const files = {
    'flow/a.mjs': "import { one } from './lib/one.mjs'\nexport default () => one",
    'flow/lib/one.mjs': 'export const one = 1, two = 2',
    'flow/other.mjs': 'export const three = 3, four = 4',
  }
  const { report, code } = await check(t, files, ['flow'])
  const [{ steps }] = report.workflows
  assert.equal(code, 1)
  assert.deepEqual(
    steps.map(({ name, needs, unsupported }) => [name, needs, unsupported]),
    [
      ['a', ['files beside it: ./lib/one.mjs'], []],
      ['other', [], ['it has no default export (it exports three, four)']],
    ],
  )
})

test('an export that is nested too deeply is not understood', async (t) => {
  const deep = `${'['.repeat(5000)}1${']'.repeat(5000)}`
  const { report, code } = await check(t, { 'w.json': deep }, ['w.json'])
  assert.equal(code, 1)
  assert.match(report.workflows[0].notUnderstood[0], /nested more than 200 times/)
})

test('a $ of the step itself is not the one of the runner', async (t) => {
  const code = "const $ = require('cheerio').load('<p>')\nreturn $.html()"
  const { report } = await check(t, { 's.js': code }, ['s.js'])
  assert.deepEqual(report.workflows[0].steps[0].unsupported, [])
})

test('reads folders, without packages and hidden files, as one workflow each', async (t) => {
  const files = {
    'flow/10_fetch/entry.js': 'return 1',
    'flow/20_notify/entry.mjs': 'export default () => $send.sse({})',
    'flow/node_modules/x/index.js': 'return )',
    'flow/.hidden/a.js': 'return )',
    'flow/notes.md': 'return )',
  }
  const { report } = await check(t, files, ['flow'])
  const [{ name, steps }] = report.workflows
  assert.deepEqual(
    [name, ...steps.map((step) => [step.name, step.form])],
    ['flow', ['10_fetch', 'body'], ['20_notify', 'module']],
  )
})

for (const [title, name, content] of [
  ['JSON', 'orders.json', WORKFLOW],
  [
    'a ZIP file',
    'export.zip',
    zip([{ name: 'orders/' }, { name: 'orders/w.json', content: WORKFLOW }]),
  ],
  [
    'a ZIP file with stored entries',
    'export.zip',
    zip([{ name: 'w.json', content: WORKFLOW, method: 0 }]),
  ],
]) {
  test(`finds the steps of an exported workflow in ${title}`, async (t) => {
    const { report, code } = await check(t, { [name]: content }, [name])
    const [workflow] = report.workflows
    assert.deepEqual([code, workflow.name, workflow.notUnderstood], [0, 'Orders', []])
    assert.deepEqual(
      workflow.steps.map((step) => [step.name, step.form, step.destinations]),
      [
        ['fetch', 'module', []],
        ['notify', 'expression', ['http']],
      ],
    )
  })
}

test('says what it does not understand of an export', async (t) => {
  const workflow = {
    steps: [
      { namespace: 'py', lang: 'python3.12', code: 'def handler(pd): pass' },
      { namespace: 'slack', key: 'slack-send-message' },
      { description: 'Use export default and $send as you like' },
    ],
  }
  const entries = [
    { name: 'w.json', content: JSON.stringify(workflow) },
    { name: 'broken.json', content: '{ "a": }' },
    { name: 'other.json', content: '{ "a": [1] }' },
    { name: 'readme.txt', content: 'hello' },
  ]
  const { report, code } = await check(t, { 'e.zip': zip(entries) }, ['e.zip'])
  const [first, broken, other, readme] = report.workflows
  assert.equal(code, 1)
  assert.match(first.steps[0].unsupported[0], /written in python3\.12/)
  assert.match(first.steps[1].unsupported[0], /has no code: it is the action slack-send-message/)
  assert.deepEqual(
    first.steps.map(({ name, origin }) => [name, origin]),
    [
      ['py', 'e.zip/w.json: steps[0].code'],
      ['slack', 'e.zip/w.json: steps[1]'],
      ['step_3', 'e.zip/w.json: steps[2]'],
    ],
  )
  assert.deepEqual(first.steps[2].unsupported, ['it has no code'])
  assert.match(broken.notUnderstood[0], /line 1, column 8/)
  assert.match(other.notUnderstood[0], /no code was found/)
  assert.match(readme.notUnderstood[0], /neither JSON nor a step file/)
})

test('the list of workflows in an export is no workflow', async (t) => {
  const entries = [
    { name: 'manifest.json', content: '{ "workflows": [{ "id": "p_abc123", "path": "w.json" }] }' },
    { name: 'w.json', content: WORKFLOW },
  ]
  const { report, code } = await check(t, { 'e.zip': zip(entries) }, ['e.zip'])
  assert.equal(code, 0)
  assert.deepEqual(
    report.workflows.map(({ name }) => name),
    ['Orders'],
  )
})

test('a folder may have exported workflows, and must have something to check', async (t) => {
  const files = {
    'all/a.json': WORKFLOW,
    'all/deep/b.zip': zip([{ name: 'w.json', content: WORKFLOW }]),
    'all/event.json': '{ "a": 1 }',
    'all/package.json': '{ "scripts": { "code": "node x" } }',
    'all/tsconfig.json': '{ // strict\n }',
    'none/event.json': '{}',
    'none/readme.md': '',
  }
  const { report, code, folder } = await check(t, files, ['all'])
  assert.equal(code, 0)
  assert.deepEqual(
    report.workflows.map(({ name, steps }) => [name, steps.length]),
    [
      ['Orders', 2],
      ['Orders', 2],
    ],
  )
  mkdirSync(join(folder, 'empty'))
  for (const name of ['none', 'empty']) {
    const refused = await command(folder, ['check', name])
    assert.equal(refused.code, 2)
    assert.match(
      refused.stderr,
      /no step file \(.*\) and no exported workflow \(JSON, ZIP\) is in it/,
    )
  }
})

test('entries that systems add to a ZIP file are passed over', async (t) => {
  const added = ['.DS_Store', 'orders/.DS_Store', '__MACOSX/._w.json', '._w.json', 'Thumbs.db']
  const entries = [{ name: 'w.json', content: WORKFLOW }, ...added.map((name) => ({ name }))]
  const { report, code } = await check(t, { 'e.zip': zip(entries) }, ['e.zip'])
  assert.deepEqual([code, report.workflows.length], [0, 1])
  const folder = folderWith(t, { 'e.zip': zip(added.map((name) => ({ name }))) })
  assert.match((await command(folder, ['check', 'e.zip'])).stderr, /it is an empty ZIP file/)
})

test('--write writes steps that run, under names that stay in the folder', async (t) => {
  const { url, requests } = await receive(t)
  const evil = JSON.stringify({
    name: '../../x',
    steps: [
      { namespace: '../../../con', code: 'return 1' },
      { namespace: 'CON', code: 'return 2' },
    ],
  })
  const folder = folderWith(t, {
    'e.zip': zip([
      { name: 'a.json', content: WORKFLOW },
      { name: 'b.json', content: evil },
    ]),
    'event.json': JSON.stringify({ url }),
  })
  const { code, stdout } = await command(folder, ['check', 'e.zip', '--write', 'out'])
  assert.equal(code, 0)
  assert.match(stdout, /4 of 4 steps run/)
  assert.deepEqual(readdirSync(join(folder, 'out')).sort(), ['Orders', '_x'])
  assert.deepEqual(readdirSync(join(folder, 'out/Orders')).sort(), [
    'fetch.mjs',
    'notify.js',
    'workflow.mjs',
  ])
  assert.deepEqual(readdirSync(join(folder, 'out/_x')).sort(), [
    'step_CON_2.js',
    'step_con.js',
    'workflow.mjs',
  ])
  mkdirSync(join(folder, 'node_modules'))
  symlinkSync(
    fileURLToPath(new URL('../../', import.meta.url)),
    join(folder, 'node_modules/dollar-send'),
    'junction',
  )
  const program = await node(folder, ['out/Orders/workflow.mjs', 'event.json'])
  assert.match(program.stdout, /^returned \{[^]*notify: /, program.stderr)
  const args = ['run', 'out/Orders/fetch.mjs', 'out/Orders/notify.js', '--event', 'event.json']
  const ran = await command(folder, [...args, '--allow', '127.0.0.0/8'])
  assert.equal(ran.code, 0, ran.stderr)
  assert.deepEqual(
    requests.map(({ body }) => body),
    ['{"id":7}'],
  )
  const again = await command(folder, ['check', 'e.zip', '--write', 'out'])
  assert.equal(again.code, 2)
  assert.match(again.stderr, /is there already/)
})

const good = zip([{ name: 'w.json', content: WORKFLOW }])
const HOSTILE = {
  'a path out of the folder': [
    zip([{ name: '../w.json' }]),
    /"\.\.\/w\.json" leads out of its folder/,
  ],
  'an absolute path': [zip([{ name: '/etc/w.json' }]), /leads out of its folder/],
  'a path of Windows': [zip([{ name: 'a\\..\\..\\w.json' }]), /leads out of its folder/],
  'an encrypted entry': [zip([{ name: 'w.json', flags: 1 }]), /is encrypted/],
  'another compression': [zip([{ name: 'w.json', method: 14 }]), /method 14/],
  'an entry that is larger than it says': [
    zip([{ name: 'w.json', content: '0'.repeat(1_000_000), size: 10 }]),
    /cannot be inflated/,
  ],
  'an entry that says it is too large': [
    zip([{ name: 'w.json', size: 2 ** 31 }]),
    /more than 67108864 bytes/,
  ],
  'more content than is read': [
    zip(
      Array.from({ length: 5 }, (_, n) => ({
        name: `${n}.json`,
        content: '0'.repeat(60 * 2 ** 20),
      })),
    ),
    /its entries have more than/,
  ],
  'a wrong checksum': [zip([{ name: 'w.json', content: 'x', crc: 1 }]), /is damaged/],
  'an entry that is nowhere': [zip([{ name: 'w.json', offset: 2 ** 30 }]), /is not there/],
  'too many entries': [
    zip(Array.from({ length: 10_001 }, () => ({ name: 'a', method: 0 }))),
    /10001 entries/,
  ],
  'a file that is cut off': [good.subarray(0, good.length - 30), /its directory is missing/],
  'a file whose beginning is missing': [good.subarray(40), /damaged/],
  'a file that is none': [Buffer.from('hello'), /its directory is missing/],
  'an empty file': [Buffer.alloc(0), /its directory is missing/],
  'no entries': [zip([]), /empty ZIP file/],
}
for (const [title, [bytes, message]] of Object.entries(HOSTILE)) {
  test(`refuses a ZIP file with a clear error: ${title}`, async (t) => {
    const folder = folderWith(t, { 'e.zip': bytes })
    const { code, stdout, stderr } = await command(folder, ['check', 'e.zip', '--write', 'out'])
    assert.match(stderr, message)
    assert.deepEqual([code, stdout], [2, ''])
    assert.deepEqual(readdirSync(folder), ['e.zip'])
  })
}

for (const [args, message] of [
  [['check'], /check needs files/],
  [['check', 'nothing.js'], /no such file/],
  [['check', 'a.txt'], /check reads step files/],
  [['check', 'a.txt', '--event', 'x'], /check has no option --event/],
]) {
  test(`refuses bad usage: ${args.join(' ')}`, async (t) => {
    const { code, stderr } = await command(folderWith(t, { 'a.txt': '' }), args)
    assert.match(stderr, message)
    assert.equal(code, 2)
  })
}

/** Texts that the loader could take for one function, and V8 for more. */
const ESCAPES = {
  'a comment of HTML':
    '<!-- ({{{\n}}}); console.log("ESCAPED"); (function(a){with(a){return async function(){\n<!-- }}})',
  'a slash behind await':
    'await (1) / 1 }}}); console.log("ESCAPED"); (function(a){with(a){return async function(){ 0 /g',
  'a slash behind a method':
    'a.if(1) / 1 }}}); console.log("ESCAPED"); (function(a){with(a){return async function(){ 0 /g',
}
for (const [title, code] of Object.entries(ESCAPES)) {
  test(`check runs nothing of a file: ${title}`, async (t) => {
    const json = JSON.stringify({ steps: [{ note: `${code}\n// $send.http()` }, { code }] })
    const files = { 's.js': code, 'w.json': json, 'w.zip': zip([{ name: 's.js', content: code }]) }
    const paths = Object.keys(files)
    const { code: status, stdout } = await command(folderWith(t, files), ['check', ...paths])
    assert.doesNotMatch(stdout, /^ESCAPED/m)
    assert.match(stdout, /does not parse/)
    assert.equal(status, 1)
  })
}
