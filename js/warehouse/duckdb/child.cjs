// @ts-check
'use strict'

// One process of DuckDB, as this side sees it. It starts when something is asked of it, and starts
// again after it ended, for whatever reason.

const { rm } = require('node:fs/promises')

const { startProcess } = require('./start.cjs')

/** @typedef {import('./answers.cjs').Answer} Answer */
/** @typedef {{ id: number, answer: Answer, isOver: boolean }} Answered a message of the process */
/** @typedef {{ ended: string, isTooLate: boolean }} Ended the process ended before it answered */
/**
 * @typedef {object} Running
 * @property {import('node:child_process').ChildProcess} process
 * @property {Map<number, (answer: Answer | Ended) => void>} waiting
 * @property {string} said the end of what it wrote to its standard error
 * @property {Promise<void>} ended
 * @property {boolean} isOver it said that it ends, and takes nothing any more
 */

/** Characters of its standard error that are kept. */
const SAID = 4096
/** How long a process has to close its file: it writes the log of writes into the tables. */
const RELEASE_MS = 60_000
/** A write in progress is rolled back first. */
const END_MS = 5_000

class Child {
  #settings
  #watcher
  /** @type {Running | undefined} */
  #running
  /** The file is open in the process, or may be. */
  #hasFile = false
  /** @type {Promise<unknown> | undefined} */
  #releasing
  #isTooLate = false
  #next = 0

  /**
   * @param {{ scratch: string, readOnly: boolean, purpose: string, whenFull: string }} settings
   * @param {{ began(pid: number): void, ended(pid: number): void }} watcher
   */
  constructor(settings, watcher) {
    this.#settings = settings
    this.#watcher = watcher
  }

  /**
   * Has the process do something, and kills it when that takes longer than `limitMs`.
   *
   * @param {object} work
   * @param {number} [limitMs]
   * @returns {Promise<Answer | Ended>}
   * @throws when the process cannot be started
   */
  async ask(work, limitMs) {
    this.#hasFile = true
    return this.#post(work, limitMs)
  }

  /** Has the process close its file. It stays, for what is asked next. */
  async release() {
    if (!this.#hasFile || !this.#running) return
    const post = () => this.#post({ op: 'release' }, RELEASE_MS)
    this.#releasing ??= post().finally(() => {
      this.#releasing = undefined
      this.#hasFile = false
    })
    await this.#releasing
  }

  /** Ends the process at once. What it was writing is rolled back by the next that opens the file. */
  kill() {
    this.#running?.process.kill('SIGKILL')
  }

  /** Ends the process after it closed its file, and resolves when it is gone. */
  async end() {
    const running = this.#running
    if (!running) return
    // This is waited for until the process is gone, unlike everything else.
    running.process.ref()
    if (running.process.connected) running.process.send({ work: { op: 'close' } }, () => {})
    const timer = setTimeout(() => running.process.kill('SIGKILL'), END_MS)
    await running.ended
    clearTimeout(timer)
  }

  /**
   * @param {object} work
   * @param {number} [limitMs]
   * @returns {Promise<Answer | Ended>}
   */
  async #post(work, limitMs) {
    while (this.#running?.isOver) await this.#running.ended
    const running = (this.#running ??= this.#start())
    const id = this.#next++
    /** @type {NodeJS.Timeout | undefined} */
    let timer
    if (limitMs !== undefined) {
      timer = setTimeout(() => {
        this.#isTooLate = true
        running.process.kill('SIGKILL')
      }, limitMs).unref()
    }
    try {
      return await new Promise((resolve) => {
        running.waiting.set(id, resolve)
        // Its end is noticed elsewhere.
        if (running.process.connected) running.process.send({ id, work }, () => {})
      })
    } finally {
      clearTimeout(timer)
    }
  }

  /** @returns {Running} */
  #start() {
    const child = startProcess(this.#settings)
    this.#isTooLate = false
    /** @type {Running['waiting']} */
    const waiting = new Map()
    /** @type {Running} */
    const running = { process: child, waiting, said: '', ended: Promise.resolve(), isOver: false }
    child.on('message', (message) => {
      const { id, answer, isOver } = /** @type {Answered} */ (message)
      running.isOver ||= isOver
      waiting.get(id)?.(answer)
      waiting.delete(id)
    })
    child.stderr?.setEncoding('utf8').on('data', (text) => {
      running.said = (running.said + text).slice(-SAID)
    })
    running.ended = this.#watched(running)
    // None of it keeps this process alive.
    child.unref()
    child.channel?.unref()
    const stderr = /** @type {import('node:net').Socket | null} */ (child.stderr)
    stderr?.unref()
    return running
  }

  /** @param {Running} running @returns {Promise<void>} */
  #watched(running) {
    const { pid } = running.process
    if (pid !== undefined) this.#watcher.began(pid)
    return new Promise((resolve) => {
      const ended = async (/** @type {string} */ why) => {
        if (this.#running !== running) return
        this.#running = undefined
        this.#hasFile = false
        if (pid !== undefined) this.#watcher.ended(pid)
        // What did not fit into its memory is of no use to another.
        await rm(this.#settings.scratch, { recursive: true, force: true }).catch(() => {})
        const end = { ended: why, isTooLate: this.#isTooLate }
        for (const answer of running.waiting.values()) answer(end)
        resolve()
      }
      running.process.on('error', (error) => {
        // It did not start; else its end follows.
        if (pid === undefined) void ended(`it did not start: ${error.message}`)
      })
      running.process.on(
        'close',
        (code, signal) => void ended(reasonOf(running, code, signal, this.#settings.whenFull)),
      )
    })
  }
}

/**
 * @param {Running} running
 * @param {number | null} code
 * @param {string | null} signal
 * @param {string} whenFull what to do
 */
function reasonOf({ said }, code, signal, whenFull) {
  if (/out of memory/i.test(said)) return `it needs more memory (${whenFull})`
  const how = signal ?? `exit status ${code}`
  const last = said.trim().split('\n').at(-1)
  return last ? `${how}: ${last}` : how
}

module.exports = { Child }
