// @ts-check
'use strict'

/** What outlives a step: checkpoints and stores, the runner's or those of this package. */

const { isObject } = require('./steps.cjs')

/** @typedef {import('./steps.cjs').Dictionary} Dictionary */
/** @typedef {import('./checkpoint.cjs').CheckpointStore} CheckpointStore */
/**
 * @typedef {object} Kept What an engine keeps for the steps that it runs.
 * @property {string} [dataDir] its data directory, absolute
 * @property {Map<string, unknown>} [checkpoints]
 * @property {Map<string, unknown>} [stores]
 *
 * @typedef {object} HostState
 * @property {Kept} kept
 * @property {number} attempt of the execution
 * @property {(failure: import('../execution.cjs').Failure) => void} [onThrown]
 * @property {(message: unknown) => void} [onEnded] takes the text of `$end()` or `$.flow.exit()`
 */
/**
 * @typedef {object} Services What one step has of them.
 * @property {string} key the step's own, `WORKFLOW/STEP`
 * @property {CheckpointStore} checkpoint
 * @property {(name: string) => unknown} open opens the store of a name
 */

/**
 * Returns the services of one step.
 *
 * @param {HostState} state
 * @param {string} workflowId
 * @param {string} stepName
 * @param {import('./options.cjs').Input['services']} given
 * @returns {Services}
 */
function servicesFor(state, workflowId, stepName, given) {
  const { kept } = state
  const key = `${workflowId}/${stepName}`
  const open = (/** @type {string} */ name) => {
    const db = given?.db
    if (db !== undefined) return typeof db === 'function' ? db(name) : db
    kept.stores ??= new Map()
    const known = kept.stores.get(name)
    if (known) return known
    const store = require('./stores.cjs').openStore(kept.dataDir, name)
    kept.stores.set(name, store)
    return store
  }
  const checkpoint = given?.checkpoint ?? (kept.checkpoints ??= new Map())
  return { key, checkpoint, open }
}

/**
 * Returns the store of `services.db` with the functions that a `data_store` prop has: each returns a
 * promise.
 *
 * @param {() => unknown} open
 */
function dataStore(open) {
  /** @type {Dictionary | undefined} */
  let store
  const call = async (/** @type {string} */ name, /** @type {unknown[]} */ args) => {
    store ??= /** @type {Dictionary} */ (await open())
    const member = store[name]
    return typeof member === 'function' ? member.apply(store, args) : member
  }
  const listed = async (/** @type {string} */ name) => {
    const values = await call(name, [])
    // A `Map` returns iterators.
    return isIterable(values) ? Array.from(values) : values
  }
  return {
    get: (/** @type {string} */ key) => call('get', [key]),
    /** @param {string} key @param {unknown} value @param {{ ttl?: number }} [options] */
    set: async (key, value, options) => {
      await call('set', options === undefined ? [key, value] : [key, value, options])
    },
    has: (/** @type {string} */ key) => call('has', [key]),
    delete: async (/** @type {string} */ key) => {
      await call('delete', [key])
    },
    setTtl: (/** @type {string} */ key, /** @type {number | null} */ ttl) =>
      call('setTtl', [key, ttl]),
    keys: () => listed('keys'),
    values: () => listed('values'),
    entries: () => listed('entries'),
    size: () => call('size', []),
    clear: async () => {
      await call('clear', [])
    },
    async *[Symbol.asyncIterator]() {
      yield* /** @type {Iterable<unknown>} */ (await listed('entries'))
    },
  }
}

/** @param {unknown} value @returns {value is Iterable<unknown>} */
function isIterable(value) {
  return isObject(value) && Symbol.iterator in value
}

module.exports = { dataStore, servicesFor }
