// Several copies of this package's JavaScript in one process, contexts and realms.

import assert from 'node:assert/strict'
import { AsyncLocalStorage } from 'node:async_hooks'
import { createRequire } from 'node:module'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import vm from 'node:vm'

import { dataDirectory } from '../support/data-dir.mjs'
import { nextEvent, openEngine } from '../support/engine.mjs'
import { PATIENT } from '../support/patience.mjs'

const require = createRequire(import.meta.url)
const ROOT = fileURLToPath(new URL('../../', import.meta.url))

/** The package, its JavaScript evaluated anew, and its addon required anew on request. */
function copy({ addonToo = false } = {}) {
  for (const file of Object.keys(require.cache)) {
    const ours = file.startsWith(ROOT) && !file.includes('node_modules')
    if (ours && (addonToo || !file.endsWith('.node'))) delete require.cache[file]
  }
  return require('../../js/index.cjs')
}

/** @param {import('../../index.d.ts').Engine} engine */
async function deliver(engine) {
  const execution = engine.execution({ workflowId: 'p' })
  execution.step('s').$send.emit({ a: 1 })
  const { recorded } = await execution.complete()
  const [{ status }] = await execution.settled(PATIENT)
  return [recorded, status]
}

for (const addonToo of [false, true]) {
  const what = addonToo ? 'JavaScript and addon' : 'JavaScript'
  test(`three copies of the ${what} deliver side by side`, async (t) => {
    const engines = []
    for (let i = 0; i < 3; i++) {
      const { Engine } = copy({ addonToo })
      const engine = await Engine.open({ dataDir: dataDirectory(t) })
      t.after(() => engine.close({ timeoutMs: 0 }))
      engines.push(engine)
    }
    const events = engines.map((engine) => nextEvent(engine, 'delivery'))
    const done = await Promise.all(engines.map(deliver))
    assert.deepEqual(done, Array(3).fill([1, 'delivered']))
    await Promise.all(events)
  })
}

test('further copies add no listeners to the process', () => {
  copy()
  const before = process.listenerCount('exit')
  for (let i = 0; i < 10; i++) copy({ addonToo: i % 2 === 0 })
  assert.equal(process.listenerCount('exit'), before)
})

test('two copies share the engine of one data directory', async (t) => {
  const dataDir = dataDirectory(t)
  const first = await copy().Engine.open({ dataDir })
  const second = await copy().Engine.open({ dataDir })
  assert.deepEqual(await deliver(first), [1, 'delivered'])
  assert.equal((await second.deliveries({})).length, 1)
  await first.close()
  assert.deepEqual(await deliver(second), [1, 'delivered'])
  await second.close()
})

test('listeners run in the async context that added them', async (t) => {
  const engine = await openEngine(t)
  const run = new AsyncLocalStorage()
  const told = []
  const both = new Promise((resolve) => {
    for (const name of ['first', 'second']) {
      run.run(name, () => {
        engine.on('delivery', () => told.push(`delivery ${run.getStore()}`))
        engine.subscribe({ emitterId: 'p' }, () => told.push(`emitted ${run.getStore()}`))
        engine.on('execution', () => name === 'second' && resolve(undefined))
      })
    }
  })
  const alive = setInterval(() => {}, 2 ** 30)
  await run.run('the step', () => deliver(engine))
  await both
  clearInterval(alive)
  assert.deepEqual(told.sort(), [
    'delivery first',
    'delivery second',
    'emitted first',
    'emitted second',
  ])
})

test('a listener that was added twice is called once, and removed by itself', async (t) => {
  const engine = await openEngine(t)
  let calls = 0
  const listener = () => calls++
  engine.on('delivery', listener).on('delivery', listener)
  const over = nextEvent(engine, 'execution')
  await deliver(engine)
  await over
  assert.equal(calls, 1)
  engine.off('delivery', listener)
  const again = nextEvent(engine, 'execution')
  await deliver(engine)
  await again
  assert.equal(calls, 1)
})

test('errors and lists belong to the realm of the copy that made them', async (t) => {
  // Evaluates the package in a context of its own, as test runners do.
  const context = vm.createContext({ process, Buffer, URL, setTimeout, setInterval, console })
  const cache = new Map()
  const load = (file) => {
    if (!file.startsWith(`${ROOT}js/`)) return require(file)
    if (cache.has(file)) return cache.get(file).exports
    const module = { exports: {} }
    cache.set(file, module)
    const own = createRequire(file)
    const code = `(function (require, module, exports, __dirname) {${require('node:fs').readFileSync(file, 'utf8')}\n})`
    const loadFrom = (name) => load(name.startsWith('node:') ? name : own.resolve(name))
    vm.runInContext(code, context, { filename: file })(
      loadFrom,
      module,
      module.exports,
      `${ROOT}js`,
    )
    return module.exports
  }
  const { Engine } = load(`${ROOT}js/index.cjs`)
  const ForeignError = vm.runInContext('Error', context)
  const ForeignArray = vm.runInContext('Array', context)
  await assert.rejects(Engine.open({ nope: 1 }), (error) => {
    assert.ok(error instanceof ForeignError)
    assert.equal(error.code, 'ERR_SEND_INVALID_OPTION')
    assert.match(error.stack, /copies\.spec/, 'the stack begins at the caller')
    return true
  })
  const engine = await Engine.open({})
  t.after(() => engine.close())
  const execution = engine.execution({ workflowId: 'p' })
  await execution.complete()
  assert.ok((await execution.settled()) instanceof ForeignArray)
  assert.throws(
    () => execution.step('s'),
    (error) => error instanceof ForeignError && error.code === 'ERR_SEND_EXECUTION_COMPLETED',
  )
})
