import assert from 'node:assert/strict'
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdir } from 'node:fs/promises'
import { it } from 'node:test'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

import '../../js/global.mjs'
import { Engine, runStep } from '../../js/index.mjs'
import { receive } from '../support/recording-receiver.mjs'

const EXAMPLES = new URL('../../examples/', import.meta.url)
const NAMES = ['Han', 'Leia', 'Luke', 'Obi Wan'].map((name) => ({ name }))

/** What each step of the documents sends: method, path and bodies. */
const STEPS = {
  'http-v1.mjs': ['POST', '/hook', [{ name: 'Luke Skywalker' }]],
  'http-v2.mjs': ['POST', '/hook', [{ name: 'Luke Skywalker' }]],
  'http-v1-loop.mjs': ['POST', '/hook', NAMES],
  'http-v2-loop.mjs': ['POST', '/hook', NAMES],
  'http-action.mjs': ['GET', '/hook?greeting=Hello,+Luke+Skywalker', undefined],
}

for (const [file, [method, path, expected]] of Object.entries(STEPS)) {
  it(`the examples of the documents: ${file} runs unchanged`, async (t) => {
    const { url, requests, bodies } = await receive(t)
    const engine = await Engine.open({ egress: { allow: ['127.0.0.0/8'] } })
    t.after(() => engine.close({ timeoutMs: 1000 }))
    const { execution } = await runStep(engine, await import(new URL(file, EXAMPLES).href), {
      workflowId: 'p_examples',
      event: { url },
      props: { url },
    })
    const deliveries = await execution.settled()
    assert.deepEqual(new Set(deliveries.map(({ status }) => status)), new Set(['delivered']))
    assert.equal(requests.length, expected?.length ?? 1)
    for (const request of requests) assert.deepEqual([request.method, request.path], [method, path])
    if (expected) assert.deepEqual(bodies(), expected)
  })
}

it('the examples of the documents: are all listed here', async () => {
  const files = (await readdir(EXAMPLES)).filter((name) => name.startsWith('http-'))
  assert.deepEqual(files.sort(), Object.keys(STEPS).sort())
})

it('the programs among the examples: start.mjs --page serves the page until it is interrupted', async (t) => {
  const path = fileURLToPath(new URL('start.mjs', EXAMPLES))
  const child = spawn(process.execPath, [path, '--page'], { stdio: ['ignore', 'pipe', 'inherit'] })
  t.after(() => child.kill('SIGKILL'))
  let url
  for await (const line of createInterface(child.stdout)) {
    url = /^The page of this engine: (\S+)/.exec(line)?.[1]
    if (url) break
  }
  assert.ok(url)
  const rows = /** @type {any} */ (await (await fetch(`${url}/v1/executions`)).json())
  assert.deepEqual(
    rows.data.map((/** @type {any} */ { trigger }) => trigger),
    ['npm start', 'npm start'],
  )
  const page = await fetch(url)
  assert.match(await page.text(), /<title>Inspector/)
  const ended = once(child, 'exit')
  child.kill('SIGINT')
  assert.deepEqual(await ended, [0, null])
})

for (const file of ['start.mjs', 'runner.mjs']) {
  it(`the programs among the examples: ${file} delivers everything and ends`, async () => {
    const path = fileURLToPath(new URL(file, EXAMPLES))
    const { stdout, stderr } = await promisify(execFile)(process.execPath, [path])
    assert.equal(stderr, '')
    assert.match(stdout, /receiver: POST \/hook \{"name":"Luke Skywalker"\}/)
    assert.match(stdout, /^Dest\. 5\/5$/m)
  })
}
