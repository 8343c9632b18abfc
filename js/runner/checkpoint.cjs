// @ts-check
'use strict'

/**
 * `$checkpoint`: one value per step that outlives a run.
 *
 * **Invariant:** a run works on a copy. The store changes when the step has ended, and only if the step
 * used its checkpoint.
 */

const { messageOf } = require('../values.cjs')

/**
 * @typedef {object} CheckpointStore `services.checkpoint`; a `Map` is one
 * @property {(key: string) => unknown} get
 * @property {(key: string, value: unknown) => unknown} set
 */

class Checkpoint {
  #store
  #key
  #isUsed = false
  #isLoaded = false
  /** @type {unknown} */ #value

  /**
   * @param {CheckpointStore} store
   * @param {string} key
   */
  constructor(store, key) {
    this.#store = store
    this.#key = key
  }

  /** Reads the value from a store that may be asynchronous. */
  async load() {
    this.#take(await this.#store.get(this.#key))
  }

  get value() {
    this.#isUsed = true
    if (!this.#isLoaded) this.#take(this.#store.get(this.#key))
    return this.#value
  }

  set value(value) {
    this.#isUsed = true
    this.#isLoaded = true
    this.#value = value
  }

  /**
   * Stores the value if the step used it. Returns why it could not be stored, or nothing.
   *
   * @returns {Promise<string | undefined>}
   */
  async save() {
    try {
      await this.#store.set(this.#key, copy(this.#value))
      return undefined
    } catch (error) {
      return `the checkpoint is not kept: ${messageOf(error)}`
    }
  }

  get isUsed() {
    return this.#isUsed
  }

  /** @param {unknown} value */
  #take(value) {
    this.#isLoaded = true
    this.#value = copy(value)
  }
}

/** @param {unknown} value */
function copy(value) {
  return typeof value === 'object' && value !== null ? structuredClone(value) : value
}

module.exports = { Checkpoint }
