// @ts-check
'use strict'

// The package root: the native classes, completed with what has to be JavaScript.

const { isMainThread } = require('node:worker_threads')

const binding = require('../binding.cjs')
const { invalidArgument } = require('./errors.cjs')
const { addEvents } = require('./events.cjs')
const { optionsText } = require('./options.cjs')
const { runStep } = require('./run-step.cjs')
const { createSend } = require('./send.cjs')

const { Engine, Execution } = binding

/** Milliseconds that the main thread waits for deliveries when the process ends. */
const EXIT_FLUSH_MS = 1000

const nativeOpen = Engine.open

let exitFlush = false

/** @param {unknown} [options] */
Engine.open = async function open(options) {
  const engine = await nativeOpen(optionsText(options))
  if (!exitFlush && isMainThread) {
    exitFlush = true
    process.on('exit', flushAtExit)
  }
  return engine
}

/** Best effort: what is not delivered by then is lost with the memory it is in. */
function flushAtExit() {
  const left = binding._flushAtExit(EXIT_FLUSH_MS)
  if (left > 0) {
    process.stderr.write(
      `dollar-send: the process ends with ${left} deliveries not made; await engine.close() before it does\n`,
    )
  }
}

Engine.prototype[Symbol.asyncDispose] = async function dispose() {
  await this.close()
}

/** @param {unknown} name */
Execution.prototype.step = function step(name) {
  if (typeof name !== 'string' || name === '') {
    throw invalidArgument('execution.step(): the name of the step must be a text that is not empty')
  }
  const $send = createSend(this, name)
  return Object.freeze({ name, $send, $: Object.freeze({ send: $send }) })
}

addEvents(Engine)

module.exports = { Engine, Execution, runStep }
