// @ts-check
'use strict'

// The `this` of arrow functions at the top of a module: the exports of the step that runs.

const { AsyncLocalStorage } = require('node:async_hooks')
const { inspect } = require('node:util')

/** @type {AsyncLocalStorage<object>} */
const current = new AsyncLocalStorage()

/**
 * An object that stands for the `this` of the running step, and outside a step for `base`.
 *
 * @param {() => object} base
 * @returns {object}
 */
function lexicalThis(base) {
  const self = () => current.getStore() ?? base()
  // console.log looks at the target of a proxy.
  const target = Object.defineProperty({}, inspect.custom, { value: self, configurable: true })
  return new Proxy(target, {
    get: (_, name) => Reflect.get(self(), name),
    set: (_, name, value) => Reflect.set(self(), name, value),
    has: (_, name) => Reflect.has(self(), name),
    deleteProperty: (_, name) => Reflect.deleteProperty(self(), name),
    ownKeys: () => Reflect.ownKeys(self()),
    getPrototypeOf: () => Reflect.getPrototypeOf(self()),
    defineProperty: (_, name, descriptor) =>
      // A proxy may not show what is fixed and not in its target.
      Reflect.defineProperty(self(), name, { ...descriptor, configurable: true }),
    getOwnPropertyDescriptor: (_, name) => {
      const found = Reflect.getOwnPropertyDescriptor(self(), name)
      return found && { ...found, configurable: true }
    },
  })
}

/**
 * An ordinary function that calls `step` with its own `this` as the lexical one.
 *
 * @param {(...args: unknown[]) => unknown} step
 * @returns {(...args: unknown[]) => unknown}
 */
function withThis(step) {
  /** @this {unknown} @param {unknown[]} args */
  function run(...args) {
    const self = Object(this ?? {})
    return current.run(self, () => step.apply(self, args))
  }
  return Object.defineProperty(run, 'name', { value: step.name })
}

module.exports = { lexicalThis, withThis }
