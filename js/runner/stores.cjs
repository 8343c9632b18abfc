// @ts-check
'use strict'

/**
 * Stores of keys and JSON values, by name: in files under the data directory, else in memory.
 *
 * A store is a directory, an entry is a file in it, and both are named by a hash: no name of a step
 * reaches the file system. An entry is written beside its place and renamed, so that a reader finds the
 * old value or the new one, in this process or another. Nothing is cached.
 *
 * All functions are synchronous, because components use `$.service.db` without `await`.
 */

const { createHash, randomUUID } = require('node:crypto')
const fs = require('node:fs')
const { join } = require('node:path')
const { inspect } = require('node:util')
const { invalidArgument } = require('../errors.cjs')
const { memberOf, messageOf } = require('../values.cjs')

/** @typedef {{ key: string, json: string, expiresAt: number | null }} Entry */

/** The folder of all stores in the data directory. */
const FOLDER = 'stores'

/**
 * Opens the store of a name.
 *
 * @param {string | undefined} dataDir
 * @param {string} name
 */
function openStore(dataDir, name) {
  checkText('the name of a store', name)
  return new Store(dataDir === undefined ? new MemoryEntries() : new FileEntries(dataDir, name))
}

class Store {
  #entries

  /** @param {MemoryEntries | FileEntries} entries */
  constructor(entries) {
    this.#entries = entries
  }

  /** @param {string} key */
  get(key) {
    const entry = this.#live(key)
    return entry && JSON.parse(entry.json)
  }

  /**
   * @param {string} key
   * @param {unknown} value anything that JSON holds; `undefined` removes the key
   * @param {{ ttl?: number | null }} [options] seconds that the entry lives
   */
  set(key, value, options) {
    checkText('the key', key)
    if (value === undefined) return this.#entries.remove(key)
    this.#entries.write({ key, json: jsonOf(key, value), expiresAt: expiry(options?.ttl) })
  }

  /** @param {string} key */
  has(key) {
    return this.#live(key) !== undefined
  }

  /** @param {string} key */
  delete(key) {
    checkText('the key', key)
    this.#entries.remove(key)
  }

  /**
   * Changes how long an entry lives from now on.
   *
   * @param {string} key
   * @param {number | null} ttl seconds; `null` for ever
   */
  setTtl(key, ttl) {
    const entry = this.#live(key)
    if (entry) this.#entries.write({ ...entry, expiresAt: expiry(ttl) })
  }

  keys() {
    return this.#all().map(({ key }) => key)
  }

  values() {
    return this.#all().map(({ json }) => JSON.parse(json))
  }

  entries() {
    return this.#all().map(({ key, json }) => [key, JSON.parse(json)])
  }

  size() {
    return this.#all().length
  }

  clear() {
    for (const { key } of this.#entries.list()) this.#entries.remove(key)
  }

  /** @param {string} key */
  #live(key) {
    checkText('the key', key)
    const entry = this.#entries.read(key)
    return entry && isLive(entry) ? entry : undefined
  }

  #all() {
    return this.#entries.list().filter(isLive)
  }
}

class MemoryEntries {
  /** @type {Map<string, Entry>} */ #entries = new Map()

  /** @param {string} key */
  read(key) {
    return this.#entries.get(key)
  }

  /** @param {Entry} entry */
  write(entry) {
    this.#entries.set(entry.key, entry)
  }

  /** @param {string} key */
  remove(key) {
    this.#entries.delete(key)
  }

  list() {
    return [...this.#entries.values()]
  }
}

class FileEntries {
  #folder

  /**
   * @param {string} dataDir
   * @param {string} name
   */
  constructor(dataDir, name) {
    this.#folder = join(dataDir, FOLDER, hash(name))
    fs.mkdirSync(this.#folder, { recursive: true, mode: 0o700 })
  }

  /** @param {string} key */
  read(key) {
    return this.#parsed(hash(key))
  }

  /** @param {Entry} entry */
  write(entry) {
    const temporary = join(this.#folder, `.${randomUUID()}`)
    const file = fs.openSync(temporary, 'wx', 0o600)
    try {
      fs.writeFileSync(file, JSON.stringify(entry))
      fs.fsyncSync(file)
    } finally {
      fs.closeSync(file)
    }
    try {
      fs.renameSync(temporary, join(this.#folder, hash(entry.key)))
    } catch (error) {
      fs.rmSync(temporary, { force: true })
      throw error
    }
  }

  /** @param {string} key */
  remove(key) {
    fs.rmSync(join(this.#folder, hash(key)), { force: true })
  }

  /** @returns {Entry[]} */
  list() {
    const names = fs.readdirSync(this.#folder).filter((name) => !name.startsWith('.'))
    const found = names.sort().map((name) => this.#parsed(name))
    return found.filter((entry) => entry !== undefined)
  }

  /**
   * @param {string} name a file's
   * @returns {Entry | undefined} nothing when there is no such entry
   */
  #parsed(name) {
    const path = join(this.#folder, name)
    let text
    try {
      text = fs.readFileSync(path, 'utf8')
    } catch (error) {
      if (memberOf(error, 'code') === 'ENOENT') return undefined
      throw error
    }
    try {
      return JSON.parse(text)
    } catch (cause) {
      throw new Error(`${path}: the entry of a store cannot be read`, { cause })
    }
  }
}

/** @param {string} text */
function hash(text) {
  // As JSON, in which lone surrogates stay different.
  return createHash('sha256').update(JSON.stringify(text)).digest('hex')
}

/** @param {Entry} entry */
function isLive({ expiresAt }) {
  return expiresAt === null || expiresAt > Date.now()
}

/** @param {number | null | undefined} ttl seconds */
function expiry(ttl) {
  if (ttl === undefined || ttl === null) return null
  if (typeof ttl === 'number' && ttl >= 0) return Date.now() + ttl * 1000
  throw invalidArgument(`ttl must be a number of seconds, not ${inspect(ttl, { depth: 0 })}`)
}

/** @param {string} what @param {unknown} value */
function checkText(what, value) {
  if (typeof value === 'string' && value !== '') return
  throw invalidArgument(
    `${what} must be a text that is not empty, not ${inspect(value, { depth: 0 })}`,
  )
}

/** @param {string} key @param {unknown} value */
function jsonOf(key, value) {
  let json
  try {
    json = JSON.stringify(value)
  } catch (cause) {
    throw invalidArgument(`the value of ${inspect(key)} cannot be stored: ${messageOf(cause)}`)
  }
  if (json !== undefined) return json
  throw invalidArgument(
    `the value of ${inspect(key)} cannot be stored: JSON has no ${typeof value}`,
  )
}

module.exports = { openStore }
