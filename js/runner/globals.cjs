// @ts-check
'use strict'

/**
 * The globals that steps written for Pipedream expect.
 *
 * Each means the step of the current async context. `$send`, `$end` and `$respond` throw outside a
 * step; the values (`$event`, `$context`, `$checkpoint`, `$attachments`) are `undefined` there.
 * `defineComponent` is the identity function that components call while their module loads.
 *
 * **Invariant:** what a step assigns to one of these names is seen by that step alone. An assignment
 * outside a step, such as a stand-in of a test, replaces the global.
 */

const { currentHost, currentStep, runInStep, stepIfAny } = require('./context.cjs')
const { NAMES } = require('../destinations/built-in.cjs')
const { prototypeWith } = require('../unknown-destination.cjs')
const { memberOf } = require('../values.cjs')

/** @typedef {import('./host.cjs').StepHost} StepHost */

/** @type {Map<string, (...args: unknown[]) => unknown>} */
const senders = new Map()

/**
 * Returns the function behind `$send.NAME`. It looks for its step when it is called, not when it is
 * read, so `const { http } = $send` at the top of a module works for every step that it ever runs in.
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
    const method = memberOf(destinations, name)
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

/**
 * Returns whether the current step has a destination.
 *
 * @param {string} name
 */
const isInStep = (name) => Object.hasOwn(stepIfAny()?.$send ?? {}, name)

/**
 * An ordinary object, so that a test may put a spy in the place of a function. What is not built in
 * is found at the call.
 *
 * @type {Record<string, (...args: unknown[]) => unknown>}
 */
const $send = Object.assign(
  Object.create(prototypeWith(sender, isInStep)),
  Object.fromEntries(NAMES.map((name) => [name, sender(name)])),
)

/**
 * Ends the step without failing it: the runner takes the error for an end, and what was recorded is
 * delivered. The own property and the form of `ts` are Pipedream's, which public code inspects.
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
 * Answers the HTTP request that triggered the workflow, as `$.respond` does.
 *
 * @param {unknown} response
 * @returns {Promise<void>}
 */
function $respond(response) {
  return currentHost('$respond').respond(response)
}

/**
 * @template Component
 * @param {Component} component
 * @returns {Component} the same component: Pipedream's function only helps editors with types
 */
function defineComponent(component) {
  return component
}

/**
 * Defines a global whose value is a step's own inside a step.
 *
 * @param {string} name
 * @param {unknown} outside its value outside a step
 * @param {(host: StepHost) => unknown} [inside] its value in a step; that of outside when absent
 * @param {(host: StepHost, value: unknown) => void} [assign] what an assignment in a step does besides
 *   replacing the value for that step
 */
function define(name, outside, inside, assign) {
  Object.defineProperty(globalThis, name, {
    get() {
      const host = stepIfAny()?.host
      if (host === undefined) return outside
      if (host.replaced?.has(name)) return host.replaced.get(name)
      return inside ? inside(host) : outside
    },
    set(value) {
      const host = stepIfAny()?.host
      if (host === undefined) setOutside(name, value)
      else if (assign) assign(host, value)
      else host.replace(name, value)
    },
    configurable: true,
    // Not enumerable, like the globals of the language.
    enumerable: false,
  })
}

/**
 * Replaces a global for good: the stand-in of a test is an ordinary value.
 *
 * @param {string} name
 * @param {unknown} value
 */
function setOutside(name, value) {
  Object.defineProperty(globalThis, name, {
    value,
    configurable: true,
    enumerable: false,
    writable: true,
  })
}

define('$send', $send)
define('$end', $end)
define('$respond', $respond)
define('$event', undefined, (host) => host.event)
define('$context', undefined, (host) => host.context)
define('$attachments', undefined, (host) => host.attachments)
define(
  '$checkpoint',
  undefined,
  (host) => host.checkpoint.value,
  (host, value) => {
    host.checkpoint.value = value
  },
)
// A runner may bring a defineComponent that does more than ours; it keeps it.
if (!('defineComponent' in globalThis)) setOutside('defineComponent', defineComponent)

module.exports = { $end, $respond, $send, defineComponent, runInStep }
