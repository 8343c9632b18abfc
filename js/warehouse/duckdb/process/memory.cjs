// @ts-check
'use strict'

// Ends this process when it takes more memory than it may. DuckDB keeps to its own limit for tables and
// what it sorts, but not for the values that functions make. Limits of the system count addresses, of
// which DuckDB and V8 reserve many times what they use.

const { openSync, readSync, writeSync } = require('node:fs')

/** How often it is looked at: memory is filled at some megabytes a millisecond. */
const EVERY_MS = 5
/** Memory of Node and DuckDB beside the memory that DuckDB may have for data. */
const BESIDE = 100e6

/** @param {{ memoryBytes: number }} settings whose limit grows with the widest table */
function watchMemory(settings) {
  const used = reader()
  let working = 0
  /** @type {NodeJS.Timeout | undefined} */
  let timer

  function look() {
    if (used() <= settings.memoryBytes + BESIDE) return
    // The process that started this one reads it.
    writeSync(2, 'DuckDB is out of memory\n')
    process.kill(process.pid, 'SIGKILL')
  }

  return {
    begin() {
      if (working++ === 0) timer = setInterval(look, EVERY_MS)
    },
    end() {
      if (--working === 0) clearInterval(timer)
    },
  }
}

/**
 * Returns a function that returns the bytes of memory that belong to this process alone. The code of
 * Node and DuckDB is the file's, and shared with other processes.
 */
function reader() {
  if (process.platform !== 'linux') return process.memoryUsage.rss
  const file = openSync('/proc/self/statm', 'r')
  const buffer = Buffer.alloc(256)
  const pages = () => {
    const text = buffer.toString('latin1', 0, readSync(file, buffer, 0, buffer.length, 0))
    const [, resident, shared] = text.split(' ').map(Number)
    return { resident, shared }
  }
  // It is a power of two, so a little difference between the two numbers does not matter.
  const page = 2 ** Math.round(Math.log2(process.memoryUsage.rss() / pages().resident))
  return () => {
    const { resident, shared } = pages()
    return (resident - shared) * page
  }
}

module.exports = { watchMemory }
