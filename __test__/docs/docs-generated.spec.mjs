// The reference pages against their sources: nothing without a page.

import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { it } from 'node:test'

import { HELP_OF } from '../../js/cli/help.mjs'
import { COMMANDS, OPTIONS_OF } from '../../js/cli/usage.mjs'
import { generated, outdated } from '../../scripts/docs.mjs'
import { codesOf } from '../../scripts/docs/codes.mjs'
import { optionsOf } from '../../scripts/docs/declarations.mjs'
import { ROOT } from '../../scripts/docs/pages.mjs'
import { routesOf, served } from '../../scripts/docs/server.mjs'

/** @param {string} path */
const read = (path) => readFileSync(join(ROOT, path), 'utf8')

it('every generated part is what its source says', async () => {
  const paths = (await outdated()).map(({ path }) => path)
  assert.deepEqual(paths, [], 'run: npm run docs')
})

it('a part that differs is found, and an unknown one is refused', async () => {
  const page = '<!-- begin: interface WarningEvent -->\nold\n<!-- end: interface -->'
  assert.match(await generated(page), /\*\*`message`\*\*/)
  await assert.rejects(generated('<!-- begin: no -->\n<!-- end: no -->'), /no generated part no/)
})

it('every option of Engine.open() has an entry with its type and its meaning', () => {
  const page = read('docs/reference/options.md')
  const all = [...optionsOf('EngineOptions'), ...optionsOf('RetryOptions')]
  assert.ok(all.length > 110, String(all.length))
  for (const [path, { text }] of all) {
    assert.ok(page.includes(`- **\`${path}\`** (\``), path)
    assert.ok(text.length > 10, `${path} has no comment`)
  }
})

it('every error code and every warning has an entry that says what it means', () => {
  for (const [type, file] of [
    ['ErrorCode', 'errors.md'],
    ['WarningCode', 'events.md'],
  ]) {
    const page = read(`docs/reference/${file}`)
    for (const { code, text } of codesOf(type)) {
      assert.ok(page.includes(`- **\`${code}\`**`), code)
      assert.ok(text.length > 20, `${code} has no comment`)
    }
  }
})

it('every error code says where it is seen and what to do', () => {
  for (const { code, text } of codesOf('ErrorCode')) {
    assert.match(text, /^(Thrown|Log|Thrown, log): .* To do: ./, code)
  }
})

it('the warnings are those that the sources emit', () => {
  const files = readdirSync(join(ROOT, 'src'), { recursive: true, encoding: 'utf8' })
  const text = files
    .filter((file) => file.endsWith('.rs') && !file.includes('tests'))
    .map((file) => read(`src/${file}`).split('#[cfg(test)]')[0])
    .join('\n')
  const emitted = text.matchAll(/(?:code: |code = |warn\w*\(\s*(?:\w+,\s*)?)"([A-Z]+_[A-Z_]+)"/g)
  const codes = [...new Set([...emitted].map(([, code]) => code))].sort()
  assert.ok(codes.length > 5)
  assert.deepEqual(
    codes,
    codesOf('WarningCode')
      .map(({ code }) => code)
      .sort(),
  )
})

it('every event has an entry', () => {
  const page = read('docs/reference/events.md')
  const [, events] = /export interface EngineEvents \{([^]*?)\n\}/.exec(read('index.d.ts'))
  const names = [...events.matchAll(/^ {2}(\w+): /gm)].map(([, name]) => name)
  assert.ok(names.includes('delivery'))
  for (const name of names) assert.ok(page.includes(`- **\`${name}\`**`), name)
})

it('every command has a help with each of its options, and a place in the page', () => {
  const page = read('docs/reference/cli.md')
  for (const name of COMMANDS.filter((name) => name !== 'help')) {
    assert.ok(page.includes(`## \`${name}\``), name)
    for (const option of OPTIONS_OF[name]) {
      assert.match(HELP_OF[name], new RegExp(`^  (-\\w, )?--${option}\\b`, 'm'), name)
    }
  }
})

it('every route and every parameter has an entry', async () => {
  const page = read('docs/reference/rest.md')
  const { document } = await served()
  const routes = routesOf(document)
  assert.ok(routes.length > 25)
  for (const { method, path, operation } of routes) {
    const [, entry] = page.split(`### \`${method} ${path}\`\n`)
    assert.ok(entry, `${method} ${path}`)
    for (const { name } of operation.parameters ?? []) {
      assert.ok(entry.split('\n### ')[0].includes(`**\`${name}\`**`), `${method} ${path} ${name}`)
    }
  }
})

it('every metric has an entry', async () => {
  const page = read('docs/operating/metrics.md')
  const { metrics } = await served()
  const names = [...metrics.matchAll(/^(\w+) \S+$/gm)].map(([, name]) => name)
  assert.ok(names.length > 8)
  for (const name of names) assert.ok(page.includes(`**\`${name}\`**`), name)
})
