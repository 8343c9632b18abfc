// Steps as people wrote them over the years, unchanged: what each records, and how it ends.

import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { before, after, test } from 'node:test'
import { fileURLToPath } from 'node:url'

import { Engine, loadStep, runStep } from '../../js/index.mjs'
import { EXPECTED, URL as TARGET } from './expected.mjs'

const CORPUS = new URL('./corpus/', import.meta.url)
const ERAS = readdirSync(CORPUS)

/** @type {any} */
let engine
before(async () => {
  process.env.CORPUS_KEY = 'from the environment'
  engine = await Engine.open()
})
after(() => engine.close({ timeoutMs: 0 }))

/** One line for what a call asks for. */
function summary({ destination, request }) {
  if (destination === 'http') {
    const { method, url, body } = request
    return `http ${method} ${url.replace('http://127.0.0.1:9', '')}${body ? ` ${body}` : ''}`
  }
  const { subject, text } = request
  return `${destination} ${JSON.stringify(destination === 'email' ? { subject, text } : request)}`
}

/** Runs a step: what it returned, or how else it ended. */
async function run(step, options) {
  try {
    const result = await runStep(engine, step, options)
    const { end, exit, response, returnValue, exports } = result
    const exported = { ...exports }
    delete exported.$return_value
    const ends = end ? 'ended' : exit ? 'exited' : undefined
    const message = end?.message ?? exit?.reason
    return { ends, message, response, returned: returnValue, exports: exported }
  } catch (error) {
    return { ends: 'threw', message: error.message, exports: {} }
  }
}

test('each step of the corpus is expected to do something', () => {
  const files = ERAS.flatMap((era) =>
    readdirSync(new URL(`${era}/`, CORPUS), { withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map(({ name }) => `${era}/${name}`),
  )
  assert.deepEqual(files.sort(), Object.keys(EXPECTED).sort())
  assert.equal(files.length, 60)
})

let runs = 0
for (const [file, { event, sends = [], warnings = 0, ...expected }] of Object.entries(EXPECTED)) {
  test(`runs unchanged: ${file}`, async () => {
    const step = await loadStep(fileURLToPath(new URL(file, CORPUS)))
    const { steps, props, auths, ...outcome } = expected
    const executionId = `corpus-${runs++}`
    const given = { event: { url: TARGET, ...event }, steps, props, auths }
    const found = await run(step, { workflowId: 'p_corpus', executionId, ...given })
    assert.deepEqual(found, {
      ends: undefined,
      message: undefined,
      ...(outcome.ends === 'threw' ? {} : { response: undefined, returned: undefined }),
      exports: {},
      ...outcome,
    })
    const deliveries = await engine.deliveries({ executionId })
    assert.deepEqual(deliveries.reverse().map(summary), sends)
    assert.equal(step.warnings.length, warnings)
  })
}
