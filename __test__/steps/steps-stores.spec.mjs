import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

import { Engine, runStep } from '../../js/index.mjs'
import { openEngine } from '../support/engine.mjs'

const { openStore } = createRequire(import.meta.url)('../../js/runner/stores.cjs')
const WRITER = fileURLToPath(new URL('../support/store-writer.mjs', import.meta.url))

/** A directory that is gone after the test. */
function folder(t) {
  const path = mkdtempSync(join(tmpdir(), 'stores-'))
  t.after(() => rmSync(path, { recursive: true }))
  return path
}

/** All files under a folder, with their modes. */
function filesIn(path) {
  const found = readdirSync(path, { recursive: true, withFileTypes: true })
  return found
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name))
}

for (const kind of ['memory', 'files']) {
  const open = (t) => openStore(kind === 'files' ? folder(t) : undefined, 'store')

  it(`a store in ${kind}: gets, sets, lists and deletes JSON values`, (t) => {
    const store = open(t)
    const value = { list: [1, null, 'x'] }
    store.set('a', value)
    store.set('b', 0)
    value.list.push('later')
    assert.deepEqual(store.get('a'), { list: [1, null, 'x'] })
    assert.deepEqual([store.has('b'), store.has('c'), store.get('c')], [true, false, undefined])
    assert.deepEqual(store.keys().sort(), ['a', 'b'])
    assert.deepEqual(new Map(store.entries()).get('b'), 0)
    assert.equal(store.values().length, 2)
    assert.equal(store.size(), 2)
    store.delete('a')
    store.set('b', undefined)
    assert.equal(store.size(), 0)
    store.set('c', 1)
    store.clear()
    assert.deepEqual(store.entries(), [])
  })

  it(`a store in ${kind}: an entry with a ttl ends`, (t) => {
    t.mock.timers.enable({ apis: ['Date'], now: 1_000_000 })
    const store = open(t)
    store.set('a', 1, { ttl: 10 })
    store.set('b', 2)
    t.mock.timers.setTime(1_000_000 + 9_999)
    assert.equal(store.get('a'), 1)
    store.setTtl('b', 1)
    t.mock.timers.setTime(1_000_000 + 11_000)
    assert.deepEqual(
      [store.get('a'), store.has('b'), store.size(), store.keys()],
      [undefined, false, 0, []],
    )
    store.set('a', 3)
    store.setTtl('a', null)
    t.mock.timers.setTime(2_000_000_000)
    assert.equal(store.get('a'), 3)
  })

  it(`a store in ${kind}: refuses what it cannot hold`, (t) => {
    const store = open(t)
    const cyclic = {}
    cyclic.self = cyclic
    for (const value of [cyclic, () => {}, Symbol('x'), 1n])
      assert.throws(() => store.set('a', value), { code: 'ERR_SEND_INVALID_ARGUMENT' })
    for (const key of ['', 5, null, undefined, {}])
      assert.throws(() => store.set(key, 1), { code: 'ERR_SEND_INVALID_ARGUMENT' })
    for (const ttl of [-1, 'x', Number.NaN])
      assert.throws(() => store.set('a', 1, { ttl }), { message: /ttl must be a number/ })
    assert.equal(store.size(), 0)
  })

  for (const name of ['../../x', '/etc/passwd', 'a\0b', '__proto__', 'x'.repeat(5000), '\ud800']) {
    it(`a store in ${kind}: takes ${JSON.stringify(name).slice(0, 20)} as a name and a key`, (t) => {
      const directory = folder(t)
      const store = openStore(kind === 'files' ? join(directory, 'data') : undefined, name)
      store.set(name, { ok: true })
      assert.deepEqual(store.get(name), { ok: true })
      assert.equal(store.keys().length, 1)
      assert.equal({}.ok, undefined)
      for (const file of filesIn(directory))
        assert.match(file.slice(directory.length), /^.data.stores.[0-9a-f]{64}.[0-9a-f]{64}$/)
    })
  }
}

it(
  'a store in files: is of its owner alone, and outlives the process',
  { skip: process.platform === 'win32' },
  (t) => {
    const directory = folder(t)
    openStore(directory, 's').set('a', 1)
    const [file] = filesIn(directory)
    assert.equal(statSync(file).mode & 0o777, 0o600)
    assert.equal(statSync(join(file, '..')).mode & 0o777, 0o700)
    assert.equal(openStore(directory, 's').get('a'), 1)
    assert.equal(openStore(directory, 'S').get('a'), undefined)
  },
)

it('a store in files: says which entry cannot be read', (t) => {
  const directory = folder(t)
  const store = openStore(directory, 's')
  store.set('a', 1)
  const [file] = filesIn(directory)
  writeFileSync(file, '{"key":"a","js')
  assert.throws(
    () => store.get('a'),
    (error) => error.message.startsWith(file),
  )
})

it('a store in files: two processes write at the same time and lose nothing', async (t) => {
  const directory = folder(t)
  const write = (prefix) =>
    promisify(execFile)(process.execPath, [WRITER, directory, 'shared', prefix, '50'])
  await Promise.all(['a', 'b'].map(write))
  const store = openStore(directory, 'shared')
  assert.equal(store.size(), 101)
  assert.match(store.get('shared'), /^([ab]-49)+$/)
  assert.deepEqual(
    filesIn(directory).filter((file) => file.includes('/.')),
    [],
  )
})

const counter = {
  props: { db: '$.service.db', data: { type: 'data_store' } },
  async run({ $ }) {
    this.db.set('n', (this.db.get('n') ?? 0) + 1)
    $.service.db.set('own', true)
    const promise = this.data.set('n', this.db.get('n'), { ttl: 60 })
    if (!(promise instanceof Promise)) throw new Error('data_store is synchronous')
    await promise
    return [this.db.get('n'), await this.data.get('n'), await this.data.keys()]
  },
}

it('$.service.db and data_store props: are kept by the engine, in memory or in its data directory', async (t) => {
  const dataDir = folder(t)
  for (const options of [{}, { dataDir }]) {
    const engine = await openEngine(t, options)
    for (const n of [1, 2]) {
      const { returnValue } = await runStep(
        engine,
        { ...counter, props: typed(counter) },
        { workflowId: 'p' },
      )
      assert.deepEqual(returnValue, [n, n, ['n']])
    }
    await engine.close()
  }
  const again = await Engine.open({ dataDir })
  t.after(() => again.close())
  const { returnValue } = await runStep(
    again,
    { ...counter, props: typed(counter) },
    { workflowId: 'p' },
  )
  assert.deepEqual(returnValue, [3, 3, ['n']])
  assert.ok(existsSync(join(dataDir, 'stores')))
})

/** The props of a component, those that are a text spelled out. */
const typed = ({ props }) =>
  Object.fromEntries(
    Object.entries(props).map(([name, prop]) => [
      name,
      typeof prop === 'string' ? { type: prop } : prop,
    ]),
  )

it('$.service.db: may be declared by a text alone', async (t) => {
  const { returnValue } = await runStep(await openEngine(t), counter, { workflowId: 'p' })
  assert.deepEqual(returnValue, [1, 1, ['n']])
})

it('data_store: the value of the prop is the name of the store, which workflows share', async (t) => {
  const engine = await openEngine(t)
  const step = (run) => ({ props: { data: { type: 'data_store' } }, run })
  const write = step(async function () {
    await this.data.set('a', 1)
  })
  const read = step(async function () {
    const found = []
    for await (const [key, value] of this.data) found.push(key, value)
    return [...found, await this.data.size()]
  })
  await runStep(engine, write, { workflowId: 'p_1', props: { data: 'customers' } })
  const { returnValue } = await runStep(engine, read, {
    workflowId: 'p_2',
    props: { data: 'customers' },
  })
  assert.deepEqual(returnValue, ['a', 1, 1])
})

it('services.db: is the store of all props, or a function of their names', async (t) => {
  const engine = await openEngine(t)
  const one = new Map()
  await runStep(engine, counter, { workflowId: 'p', services: { db: one } })
  assert.deepEqual([...one.keys()], ['n', 'own'])
  const stores = {}
  const db = (name) => (stores[name] ??= new Map())
  await runStep(engine, counter, { workflowId: 'p', services: { db }, props: { data: 'mine' } })
  assert.deepEqual(Object.keys(stores).sort(), ['mine', 'p/code/db'])
})

it('a store among the values of the props stays what it is', async (t) => {
  const data = { get: () => 'own' }
  const step = {
    props: { data: { type: 'data_store' } },
    run() {
      return this.data.get('a')
    },
  }
  const { returnValue } = await runStep(await openEngine(t), step, {
    workflowId: 'p',
    props: { data },
  })
  assert.equal(returnValue, 'own')
})
