// Relative paths of the options, in a process that changes its working directory.

import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdirSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'

import { promisify } from 'node:util'

import { dataDirectory } from '../support/data-dir.mjs'

const PACKAGE = new URL('../../js/index.mjs', import.meta.url).href

for (const [name, options] of /** @type {Array<[string, object]>} */ ([
  ['dataDir', { dataDir: 'here' }],
  ['email.file and s3.file', { email: { file: 'here/mail' }, s3: { file: 'here/s3' } }],
]))
  test(`${name}: files stay where the engine was opened`, async (t) => {
    const root = dataDirectory(t)
    const [first, second] = [join(root, 'first'), join(root, 'second')]
    for (const folder of [first, second]) mkdirSync(folder, { recursive: true })
    const script = `
      const { Engine } = await import(${JSON.stringify(PACKAGE)})
      process.chdir(${JSON.stringify(first)})
      const engine = await Engine.open(${JSON.stringify(options)})
      process.chdir(${JSON.stringify(second)})
      const execution = engine.execution({ workflowId: 'p' })
      const { $send } = execution.step('step')
      $send.email({ subject: 'x', text: 'x' })
      $send.s3({ bucket: 'b', payload: { a: 1 } })
      await execution.complete()
      await engine.flush()
      console.log(JSON.stringify((await execution.settled()).map(({ status }) => status)))
      await engine.close()`
    const args = ['--input-type=module', '-e', script]
    const { stdout } = await promisify(execFile)(process.execPath, args)
    assert.equal(stdout, '["delivered","delivered"]\n')
    assert.deepEqual(readdirSync(second), [])
    assert.equal(readdirSync(join(first, 'here', 'mail')).length, 1)
    assert.deepEqual(readdirSync(join(first, 'here', 's3')), ['b'])
  })
