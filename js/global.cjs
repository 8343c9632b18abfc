'use strict'

/**
 * `dollar-send/global`: the globals that steps written for the original expect.
 *
 * `$send` and `$end` mean the step of the current async context; `defineComponent` is the identity
 * function that components call while their module loads. Loading this module installs all three;
 * `runStep` loads it too, because the steps it runs may use them.
 */

const { currentStep, insideStep, runInStep } = require('./context.cjs')
const { NAMES, looksLikeDestination } = require('./send.cjs')

/** @type {Map<string, (...args: unknown[]) => unknown>} */
const senders = new Map()

/**
 * The function behind `$send.NAME`. It looks for its step when it is called, not when it is read, so
 * `const { http } = $send` at the top of a module works for every step that module ever runs in.
 *
 * @param {string} name
 * @returns {(...args: unknown[]) => unknown}
 */
function sender(name) {
  const known = senders.get(name)
  if (known) return known
  /** @param {unknown[]} args */
  const send = (...args) => {
    const destinations = currentStep(`$send.${name}`).$send
    const method = destinations[name]
    if (typeof method !== 'function') {
      throw new TypeError(
        `$send.${name} is not a destination; available: ${Object.keys(destinations).join(', ')}`,
      )
    }
    return method(...args)
  }
  Object.defineProperty(send, 'name', { value: name })
  senders.set(name, send)
  return send
}

// What is not built in is found at the call. A test may put a spy in the place of a function.
const builtIn = Object.fromEntries(NAMES.map((name) => [name, sender(name)]))

/** @type {any} */
const $send = new Proxy(builtIn, {
  get(target, name) {
    if (typeof name !== 'string' || name in target || !looksLikeDestination(name)) {
      return Reflect.get(target, name)
    }
    // A step that refuses to read an unknown destination refuses here too; outside one, the call decides.
    if (insideStep()) Reflect.get(currentStep('$send').$send, name)
    return sender(name)
  },
})

/**
 * Ends the step without failing it: `runStep` takes the error for an end, and what was recorded is
 * delivered. The own property and the form of `ts` are the original's, which public code inspects.
 *
 * @param {unknown} [message] why, for the log
 * @returns {never}
 */
function $end(message) {
  currentStep('$end')
  const text = message === undefined ? 'The step was ended by $end()' : String(message)
  throw Object.assign(new Error(text), { __pd_end: { message, ts: new Date().toISOString() } })
}

/**
 * @template Component
 * @param {Component} component
 * @returns {Component} the same component: the original's function only helps editors with types
 */
function defineComponent(component) {
  return component
}

/** @param {string} name @param {unknown} value */
function define(name, value) {
  // Not enumerable, like the globals of the language; writable, so that a test can stand in for it.
  Object.defineProperty(globalThis, name, {
    value,
    configurable: true,
    enumerable: false,
    writable: true,
  })
}

define('$send', $send)
define('$end', $end)
// A runner may bring a defineComponent that does more than ours; it keeps it.
if (!('defineComponent' in globalThis)) define('defineComponent', defineComponent)

module.exports = { $end, $send, defineComponent, runInStep }
