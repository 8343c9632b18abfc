// @ts-check
'use strict'

// Gives out turns at the file of the warehouse: to one that loads, or to a few that read. DuckDB lets
// one process write to a file, or several read it.

/** @typedef {{ isWriter: boolean, start: (place: number) => void }} Waiting */

class Turns {
  /** The places of readers that are free. @type {number[]} */
  #free
  #readers
  #isWritten = false
  /** First come, first served, so that none of the two kinds waits for ever. @type {Waiting[]} */
  #queue = []

  /** @param {number} readers how many may read at once */
  constructor(readers) {
    this.#readers = readers
    this.#free = Array.from({ length: readers }, (_, place) => place)
  }

  /**
   * Runs `use` while nothing else has a turn.
   *
   * @template T
   * @param {() => Promise<T>} use
   */
  async write(use) {
    await this.#turn(true)
    try {
      return await use()
    } finally {
      this.#isWritten = false
      this.#next()
    }
  }

  /**
   * Runs `use` while nothing is written, with the number of its place among the readers.
   *
   * @template T
   * @param {(place: number) => Promise<T>} use
   */
  async read(use) {
    const place = await this.#turn(false)
    try {
      return await use(place)
    } finally {
      this.#free.push(place)
      this.#next()
    }
  }

  /**
   * @param {boolean} isWriter
   * @returns {Promise<number>}
   */
  #turn(isWriter) {
    return new Promise((start) => {
      this.#queue.push({ isWriter, start })
      this.#next()
    })
  }

  #next() {
    while (this.#queue.length > 0 && !this.#isWritten) {
      const [{ isWriter, start }] = this.#queue
      const mayStart = isWriter ? this.#free.length === this.#readers : this.#free.length > 0
      if (!mayStart) return
      this.#queue.shift()
      this.#isWritten = isWriter
      // The place that was used last, whose process is there.
      start(isWriter ? -1 : /** @type {number} */ (this.#free.pop()))
    }
  }
}

module.exports = { Turns }
