// @ts-check
'use strict'

// DuckDB for one engine. It runs in processes of its own, so that no query and no row ends, fills or
// holds up the process that runs steps: one process loads, up to two answer queries. They take turns at
// the file.

const { randomUUID } = require('node:crypto')
const { existsSync } = require('node:fs')
const { mkdir, readdir, rm } = require('node:fs/promises')
const { basename, dirname, join, resolve } = require('node:path')

const native = require('../../native.cjs')
const { notConfigured, queryFailed, queryTooSlow, unavailable } = require('./answers.cjs')
const { Child } = require('./child.cjs')
const { StartError } = require('./start.cjs')
const { Turns } = require('./turns.cjs')

/**
 * How DuckDB is opened, as Rust says it.
 *
 * @typedef {object} Settings
 * @property {string} file
 * @property {string} results
 * @property {number | null} retentionDays
 * @property {number} memoryBytes
 * @property {number} threads
 * @property {boolean} [readOnly]
 */
/** @typedef {import('./answers.cjs').Answer} Answer */
/** @typedef {{ query: string, format: string, timeoutMs: number }} Question */
/** @typedef {{ op: string, timeoutMs?: number, [member: string]: unknown }} Work */

/** What errors of its processes say. */
const WORDS = { purpose: 'the warehouse is', whenFull: 'raise sql.duckdb.memoryBytes' }

/** Queries that run at once, each in a process of its own. */
const QUERIES = 2
/** How long a query has to notice that it was interrupted. Past it, its process is killed. */
const INTERRUPT_MS = 1_000
/** An engine that is opened looks after old rows, but not while everything else starts. */
const FIRST_RETIRE_MS = 60_000
const RETIRE_EVERY_MS = 3_600_000

/** DuckDB for one engine. Its processes start with the first thing that is asked of them. */
class DuckDb {
  /** @type {Settings} */
  #settings
  #begin
  #turns = new Turns(QUERIES)
  #loader
  #readers
  /**
   * Locks the file against other engines and processes.
   *
   * @type {import('../../native.d.ts').WarehouseHold | undefined}
   */
  #hold
  /** @type {Promise<void> | undefined} */
  #preparing
  /** The loader has made the file, or found it. */
  #isThere = false
  #closed = false
  /** @type {Promise<void> | undefined} */
  #closing
  /** @type {NodeJS.Timeout | undefined} */
  #retiring

  /**
   * @param {Settings} settings
   * @param {() => boolean} [begin] called before DuckDB starts; `false`: the engine is gone
   */
  constructor(settings, begin = () => true) {
    this.#settings = {
      ...settings,
      file: resolve(settings.file),
      results: resolve(settings.results),
    }
    this.#begin = begin
    this.#loader = this.#child('load')
    this.#readers = Array.from({ length: QUERIES }, (_, n) => this.#child(`read-${n}`, true))
    if (settings.retentionDays && existsSync(settings.file)) {
      this.#retiring = setTimeout(this.#retire, FIRST_RETIRE_MS).unref()
    }
  }

  /**
   * Has something done. It never rejects.
   *
   * @param {Work} work
   * @returns {Promise<Answer>}
   */
  async ask(work) {
    try {
      const refused = await this.#prepare()
      if (refused) return refused
      return work.op === 'query'
        ? await this.#query(/** @type {Work & Question} */ (work))
        : await this.#write(work)
    } catch (error) {
      const { message } = /** @type {Error} */ (error)
      return error instanceof StartError ? notConfigured(message) : unavailable(message)
    }
  }

  /** Ends the processes, and resolves when the file is closed. */
  close() {
    this.#closed = true
    clearInterval(this.#retiring)
    this.#closing ??= this.#end()
    return this.#closing
  }

  async #end() {
    await this.#preparing?.catch(() => {})
    for (const reader of this.#readers) reader.kill()
    await Promise.all([this.#loader, ...this.#readers].map((child) => child.end()))
    if (this.#hold) native.releaseWarehouse(this.#hold)
  }

  /** @returns {Promise<Answer | undefined>} why nothing can be done */
  async #prepare() {
    if (this.#closed) return unavailable('the warehouse is closed')
    if (!this.#hold && !this.#begin()) return unavailable('the engine is gone')
    this.#preparing ??= this.#take().finally(() => {
      this.#preparing = undefined
    })
    await this.#preparing
    return this.#closed ? unavailable('the warehouse is closed') : undefined
  }

  /** Takes the file, and deletes what an earlier process left beside it. */
  async #take() {
    if (this.#hold) return
    const { file, readOnly = false } = this.#settings
    if (!readOnly) await mkdir(dirname(file), { recursive: true, mode: 0o700 })
    this.#hold = native.holdWarehouse(file, readOnly)
    if (readOnly) return
    const left = [`${basename(file)}.rows-`, `${basename(file)}.tmp`]
    const names = await readdir(dirname(file)).catch(() => [])
    const old = names.filter((name) => left.some((beginning) => name.startsWith(beginning)))
    for (const name of old) await rm(join(dirname(file), name), { recursive: true, force: true })
  }

  /** @param {Work} work @returns {Promise<Answer>} */
  #write(work) {
    return this.#turns.write(async () => {
      // Not the batch's fault: it is loaded by the next that opens the warehouse.
      if (this.#closed) return unavailable('the warehouse is closed')
      await Promise.all(this.#readers.map((reader) => reader.release()))
      const answer = await this.#loader.ask(work, work.timeoutMs)
      if ('ended' in answer) return unavailable(`DuckDB's process ended: ${answer.ended}`)
      if ('done' in answer && !this.#isThere) {
        this.#isThere = true
        // To open it was to retire, for now.
        clearTimeout(this.#retiring)
        this.#retiring = setInterval(this.#retire, RETIRE_EVERY_MS).unref()
      }
      return answer
    })
  }

  /** @param {Question} work @returns {Promise<Answer>} */
  #query(work) {
    const { timeoutMs } = work
    const asked = performance.now()
    return new Promise((answer, fail) => {
      // The time that it waits for its turn counts. When that comes, nothing is asked any more.
      const timer = setTimeout(() => answer(queryTooSlow(timeoutMs)), timeoutMs + INTERRUPT_MS * 2)
      timer.unref()
      this.#read(work, asked)
        .then(answer, fail)
        .finally(() => clearTimeout(timer))
    })
  }

  /**
   * @param {Question} work
   * @param {number} asked when
   * @returns {Promise<Answer>}
   */
  async #read(work, asked) {
    if (!this.#isThere && !this.#settings.readOnly) {
      const opened = await this.#write({ op: 'open' })
      if ('failed' in opened) return opened
    }
    return this.#turns.read(async (place) => {
      if (this.#closed) return queryFailed('the warehouse was closed')
      await this.#loader.release()
      const left = work.timeoutMs - (performance.now() - asked)
      if (left <= 0) return queryTooSlow(work.timeoutMs)
      return this.#answered(this.#readers[place], work, left)
    })
  }

  /**
   * @param {Child} reader
   * @param {Question} work
   * @param {number} leftMs
   * @returns {Promise<Answer>}
   */
  async #answered(reader, work, leftMs) {
    const file = join(this.#settings.results, `${randomUUID()}.${work.format}`)
    const answer = await reader.ask({ ...work, file, leftMs }, leftMs + INTERRUPT_MS)
    if (!('ended' in answer)) return answer
    await rm(file, { force: true }).catch(() => {})
    if (this.#closed) return queryFailed('the warehouse was closed')
    if (answer.isTooLate) return queryTooSlow(work.timeoutMs)
    return queryFailed(`the query ended DuckDB's process: ${answer.ended}`)
  }

  #retire = () => void this.ask({ op: 'retire' })

  /**
   * @param {string} name
   * @param {boolean} [readOnly]
   */
  #child(name, readOnly = false) {
    const scratch = `${this.#settings.file}.tmp-${process.pid}-${name}`
    const watcher = {
      began: (/** @type {number} */ pid) =>
        this.#hold && native.beginWarehouseProcess(this.#hold, pid),
      ended: (/** @type {number} */ pid) =>
        this.#hold && native.endWarehouseProcess(this.#hold, pid),
    }
    return new Child({ ...this.#settings, readOnly, scratch, ...WORDS }, watcher)
  }
}

module.exports = { DuckDb }
