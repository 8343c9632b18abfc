// The code of the documents: every block of JavaScript and TypeScript compiles, every command exists.

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { it } from 'node:test'

import { loadAll } from 'js-yaml'
import ts from 'typescript'

import { decide } from '../../js/cli/arguments.mjs'
import { COMMANDS, OPTIONS_OF } from '../../js/cli/usage.mjs'
import { blocks, pages } from '../../scripts/docs/pages.mjs'
import { routesOf, served } from '../../scripts/docs/server.mjs'
import { ROOT } from '../support/copy.mjs'
import { blocksIn, fileName } from '../support/documents.mjs'
import { commandsIn } from '../support/shell.mjs'

/** Names that blocks use without a declaration: what the text around them introduced. */
const AROUND = `
import type { Engine, Execution } from 'dollar-send'
import 'dollar-send/global'
declare global {
  const Engine: typeof import('dollar-send').Engine
  const runStep: typeof import('dollar-send').runStep
  const engine: Engine
  const execution: Execution
  const assert: typeof import('node:assert/strict')
  const event: any, events: any[], url: string
  function run(event: any): Promise<void>
}
`

/** Modules that blocks import and that a reader has: steps. */
const STEPS = ['step.mjs', 'notify.mjs', 'fetch.mjs']

const OPTIONS = {
  allowJs: true,
  checkJs: true,
  strict: true,
  noImplicitAny: false,
  noEmit: true,
  skipLibCheck: true,
  target: ts.ScriptTarget.ES2022,
  lib: ['lib.es2023.d.ts', 'lib.dom.d.ts', 'lib.esnext.disposable.d.ts'],
  module: ts.ModuleKind.Node16,
  moduleResolution: ts.ModuleResolutionKind.Node16,
  moduleDetection: ts.ModuleDetectionKind.Force,
  types: ['node'],
}

/** Writes the blocks of a page as files that import each other. Returns their places by their paths. */
function writeBlocks(folder, path, own) {
  const place = join(folder, path.replaceAll(/\W/g, '_'))
  mkdirSync(place)
  for (const name of STEPS) writeFileSync(join(place, name), 'export default async (event) => {}\n')
  return own.map((block) => {
    const name = fileName(block) ?? `line-${block.line}.${block.language === 'ts' ? 'mts' : 'mjs'}`
    writeFileSync(join(place, name), block.code)
    return [join(place, name), block.place]
  })
}

/** Compiles blocks; returns the errors, each with its place. @param {ReturnType<typeof blocksIn>} all */
function compile(t, all) {
  // Inside of the package, so that it can import itself by its name.
  mkdirSync(join(ROOT, 'target'), { recursive: true })
  const folder = mkdtempSync(join(ROOT, 'target', 'docs-code-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  writeFileSync(join(folder, 'around.d.mts'), AROUND)
  const paths = [...new Set(all.map(({ path }) => path))]
  const places = new Map(
    paths.flatMap((path) =>
      writeBlocks(
        folder,
        path,
        all.filter((block) => block.path === path),
      ),
    ),
  )
  const program = ts.createProgram([join(folder, 'around.d.mts'), ...places.keys()], OPTIONS)
  return ts.getPreEmitDiagnostics(program).map(({ file, start, messageText }) => {
    const line = file && start !== undefined ? file.getLineAndCharacterOfPosition(start).line : 0
    const place = places.get(file?.fileName ?? '') ?? file?.fileName
    return `${place} + ${line + 1}: ${ts.flattenDiagnosticMessageText(messageText, '\n')}`
  })
}

it('every block of JavaScript and TypeScript compiles', (t) => {
  const all = blocksIn('js', 'ts').filter(({ file }) => !file)
  assert.ok(all.length > 30)
  assert.deepEqual(compile(t, all), [])
})

it('a wrong option in a block is found', (t) => {
  const code = "import { Engine } from 'dollar-send'\nawait Engine.open({ datadir: './data' })\n"
  const [error, ...others] = compile(t, [
    { language: 'js', code, line: 1, file: undefined, path: 'x.md', place: 'x.md:1' },
  ])
  assert.match(error, /^x\.md:1 \+ 2: .*datadir/s)
  assert.deepEqual(others, [])
})

it('every block has a language that is checked', () => {
  const known = [
    'js',
    'ts',
    'json',
    'yaml',
    'sh',
    'console',
    'sql',
    'text',
    'dockerfile',
    'ini',
    'nginx',
  ]
  for (const { path, text } of pages()) {
    for (const { language, line } of blocks(text)) {
      assert.ok(known.includes(language), `${path}:${line}: ${language || 'no language'}`)
    }
  }
})

it('blocks of configuration are parts of files that are tested', () => {
  for (const { file, place } of blocksIn('dockerfile', 'ini', 'nginx')) {
    assert.ok(file?.startsWith('examples/deploy/'), place)
  }
})

it('every block of JSON and YAML parses', () => {
  for (const { code, place } of blocksIn('json')) {
    assert.doesNotThrow(() => JSON.parse(code), place)
  }
  for (const { code, place } of blocksIn('yaml')) {
    assert.doesNotThrow(() => loadAll(code), place)
  }
})

const SCRIPTS = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')).scripts
const STAGES = readFileSync(join(ROOT, 'scripts/test.mjs'), 'utf8')

/** Programs of the system; whether they work is their own affair. */
const PROGRAMS =
  /^(export|cat|cp|mv|mkdir|sqlite3|openssl|docker|kubectl|sudo|aws|zcat|jq|cargo|cd|git)$/

/** Commands by their first word: each returns whether its words are right. */
const CHECKS = {
  'dollar-send': (words) => decide(words).command !== 'help' || words[0] === 'help',
  npm([command, name]) {
    if (command === 'run') return name in SCRIPTS
    if (command === 'test')
      return [undefined, 'all'].includes(name) || STAGES.includes(`  ${name}(`)
    return ['install', 'init', 'start', 'ci'].includes(command)
  },
  npx: ([command, ...rest]) => command === 'dollar-send' && CHECKS['dollar-send'](rest),
  pnpm: ([command]) => command === 'add',
  yarn: ([command]) => command === 'add',
  node(words) {
    const path = words
      .find((word) => !word.startsWith('-'))
      ?.replace('node_modules/dollar-send/', '')
    return Boolean(path) && (existsSync(join(ROOT, path)) || isShown(basename(path)))
  },
  deno: ([command]) => command === 'run',
}

/** Returns whether a page or an example has a file of this name. @param {string} name */
function isShown(name) {
  const shown = blocksIn('js').map(fileName)
  return shown.includes(name) || existsSync(join(ROOT, 'examples/getting-started', name))
}

it('every command in a block of the shell exists, with its options', () => {
  const all = blocksIn('sh')
  assert.ok(all.length > 15)
  for (const { code, place } of all) {
    execFileSync('bash', ['-n'], { input: code })
    for (const [program, ...words] of commandsIn(code)) {
      if (PROGRAMS.test(program) || program === 'curl') continue
      const check = CHECKS[program]
      assert.ok(check, `${place}: ${program} is not known`)
      assert.ok(check(words), `${place}: ${[program, ...words].join(' ')}`)
    }
  }
})

it('every command in the prose exists, with its options', () => {
  // What the design says of a text is no command.
  const guides = pages().filter(({ path }) => !path.startsWith('docs/design/'))
  for (const { path, text } of guides) {
    for (const [whole, command, rest] of text.matchAll(/`(?:npx )?dollar-send ([a-z]+)([^`]*)`/g)) {
      assert.ok(COMMANDS.includes(command), `${path}: ${whole}`)
      for (const [, option] of rest.matchAll(/ --([a-z-]+)/g)) {
        assert.ok(OPTIONS_OF[command]?.includes(option), `${path}: ${whole}`)
      }
    }
  }
})

it('every request by curl has a route', async () => {
  const { document } = await served()
  const routes = routesOf(document).map(({ method, path }) => ({
    method,
    pattern: new RegExp(`^${path.replaceAll('$', '\\$').replaceAll(/:\w+/g, '[^/]+')}$`),
  }))
  const requests = blocksIn('sh').flatMap(({ code, place }) =>
    commandsIn(code)
      .filter(([program]) => program === 'curl')
      .map((words) => ({ words, place })),
  )
  const own = requests.filter(({ words }) => words.some((word) => word.startsWith('$URL')))
  assert.ok(own.length > 5)
  for (const { words, place } of own) {
    const path = words
      .find((word) => word.startsWith('$URL'))
      .slice(4)
      .split('?')[0]
      .replace('\\$', '$')
    const hasBody = words.includes('-d')
    const method = words[words.indexOf('-X') + 1 || -1] ?? (hasBody ? 'POST' : 'GET')
    assert.ok(
      routes.some((route) => route.method === method && route.pattern.test(path)),
      `${place}: ${method} ${path}`,
    )
  }
})
