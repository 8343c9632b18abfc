// The declarations as a TypeScript project sees them that installed the package: strict, without
// skipLibCheck, with each module resolution, and without the types of Node.

import assert from 'node:assert/strict'
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { it } from 'node:test'

import { runNode } from '../support/child.mjs'
import { copyPackage, folderFor, ROOT } from '../support/copy.mjs'

const TSC = createRequire(import.meta.url).resolve('typescript/bin/tsc')

const USE = `
import { Engine, Execution, runStep, type EngineOptions, type Send } from 'dollar-send'
import { $send, runInStep } from 'dollar-send/global'

export async function main(options: EngineOptions): Promise<Send> {
  await using engine = await Engine.open(options)
  const execution: Execution = engine.execution({ workflowId: 'p' })
  const step = execution.step('a')
  runInStep(step, () => $send.http({ url: 'https://example.com' }))
  globalThis.$send.emit({ raw_event: 1 })
  await execution.complete()
  await runStep(engine, () => 1, { workflowId: 'p' })
  return step.$send
}
`

const FILES = {
  'use.ts': USE,
  'use.mts': USE,
  'default.ts': `
import dollarSend from 'dollar-send'
export const engine = dollarSend.Engine.open()
`,
  'default.mts': `
import dollarSend from 'dollar-send'
export const engine = await dollarSend.Engine.open()
`,
  'required.cts': `
import dollarSend = require('dollar-send')
import globals = require('dollar-send/global')
export const engine = dollarSend.Engine.open()
export const end: (message?: unknown) => never = globals.$end
`,
  'url.ts': `
import type { DestinationOptions, HttpConfig } from 'dollar-send'
export const config: HttpConfig = { url: new URL('https://example.com/') }
export const destination: DestinationOptions = {
  deliver: async (_, { signal }) => void (await fetch('https://example.com/', { signal })),
}
`,
  'refused.mts': `
import { Engine } from 'dollar-send'
// @ts-expect-error an unknown option
await Engine.open({ datadir: 'x' })
// @ts-expect-error a name that is not exported
export { nothing } from 'dollar-send'
`,
}

const PLAIN = ['use.ts', 'default.ts']
const ALL = [...PLAIN, 'use.mts', 'default.mts', 'required.cts', 'refused.mts']

/** @type {Record<string, [options: object, files: string[]]>} */
const PROJECTS = {
  node16: [{ module: 'node16' }, ALL],
  nodenext: [{ module: 'nodenext' }, ALL],
  bundler: [{ module: 'esnext', moduleResolution: 'bundler' }, PLAIN],
  node10: [{ module: 'commonjs', moduleResolution: 'node10', esModuleInterop: true }, PLAIN],
  'node16 with the types of Node': [{ module: 'node16', types: ['node'] }, [...ALL, 'url.ts']],
  'bundler with the types of the browser': [
    { module: 'esnext', moduleResolution: 'bundler', lib: ['es2022', 'dom'] },
    [...PLAIN, 'url.ts'],
  ],
}

for (const [name, [options, files]] of Object.entries(PROJECTS)) {
  it(`the declarations compile: ${name}`, async (t) => {
    const folder = folderFor(t)
    copyPackage(join(folder, 'node_modules', 'dollar-send'), { addon: false })
    mkdirSync(join(folder, 'node_modules', '@types'))
    symlinkSync(join(ROOT, 'node_modules/@types/node'), join(folder, 'node_modules/@types/node'))
    const strict = {
      strict: true,
      skipLibCheck: false,
      noEmit: true,
      exactOptionalPropertyTypes: true,
    }
    const compilerOptions = { target: 'es2022', lib: ['es2022'], types: [], ...strict, ...options }
    for (const file of files) writeFileSync(join(folder, file), FILES[file])
    writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, files }))
    const { stdout, stderr, code } = await runNode([TSC, '--project', folder])
    assert.deepEqual({ stdout, stderr, code }, { stdout: '', stderr: '', code: 0 })
  })
}

it('the default export is the same as the named exports', async () => {
  const module = await import('../../js/index.mjs')
  const { default: root, ...named } = module
  assert.deepEqual({ ...root }, named)
  const { createRequire: create } = await import('node:module')
  assert.equal(create(import.meta.url)('../../js/index.cjs'), root)
})
