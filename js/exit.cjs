// @ts-check
'use strict'

// The end of the process.

const native = require('./native.cjs')

/** Milliseconds that the main thread waits for deliveries when the process ends. */
const EXIT_FLUSH_MS = 1000

/**
 * Waits for deliveries at the end of the process. Best effort: what is not delivered by then is lost
 * with the memory it is in. The main thread waits for all; a worker only in a process whose main
 * thread does not know this package. Of several copies of this package in one thread the first waits.
 */
function flushAtExit() {
  const isMainThread = native.isMainThread() ?? require('node:worker_threads').isMainThread
  if (!native.watchExit(isMainThread)) return
  process.on('exit', () => {
    for (const sentence of native.openAtExit(isMainThread)) {
      process.stderr.write(`dollar-send: ${sentence}\n`)
    }
    const left = native.flushAtExit(EXIT_FLUSH_MS, isMainThread)
    if (left > 0) {
      process.stderr.write(
        `dollar-send: the process ends with ${left} deliveries not made; await engine.close() before it does\n`,
      )
    }
  })
}

module.exports = { flushAtExit }
