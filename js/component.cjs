'use strict'

/**
 * What a runner has to know of a component: which function to call, and what its `this` holds.
 * Pure: nothing here touches an engine or an execution.
 */

const { inspect } = require('node:util')
const { invalidArgument } = require('./errors.cjs')

/** @typedef {(...args: any[]) => unknown} Callable */
/** @typedef {Record<string, any>} Dictionary */
/**
 * @typedef {{ kind: 'function', run: Callable } | { kind: 'component', run: Callable, component: Dictionary }} Target
 */

/** `export default` of a CommonJS file that was itself compiled from ESM is nested once. */
const MAX_DEFAULTS = 3

/** @param {unknown} value @returns {value is Dictionary} */
function isObject(value) {
  return typeof value === 'object' && value !== null
}

/** @param {unknown} value @returns {value is Dictionary} */
function isPlain(value) {
  if (!isObject(value)) return false
  const prototype = Object.getPrototypeOf(value)
  return prototype === null || Object.getPrototypeOf(prototype) === null
}

/** @param {Dictionary} value @returns {boolean} */
function isModule(value) {
  return Reflect.get(value, Symbol.toStringTag) === 'Module' || value.__esModule === true
}

/**
 * The step in what a file exports or a caller passes: a v1 function, a component, or a module with one
 * of them as `default`.
 *
 * @param {unknown} given
 * @returns {Target}
 * @throws `ERR_SEND_INVALID_ARGUMENT` when there is nothing to run in it
 */
function resolveTarget(given) {
  let target = given
  for (let depth = 0; depth < MAX_DEFAULTS; depth++) {
    if (!isObject(target) || !('default' in target)) break
    // A component may have a property called `default`; a module's `default` is always the export.
    if (!isModule(target) && typeof target.run === 'function') break
    target = target.default
  }
  if (typeof target === 'function')
    return { kind: 'function', run: /** @type {Callable} */ (target) }
  if (!isObject(target) || typeof target.run !== 'function') {
    throw invalidArgument(
      `runStep(): ${inspect(given, { depth: 0 })} is not a step; pass a function (event, steps, params, auths), ` +
        'a component with a run() method, or a module whose default export is one of them',
    )
  }
  if (target.type === 'source') {
    throw invalidArgument(
      `runStep(): ${JSON.stringify(target.name ?? target.key ?? 'the component')} is an event source; only actions and code steps can be run`,
    )
  }
  return { kind: 'component', run: target.run, component: target }
}

/** @param {Dictionary} self @param {unknown} methods */
function bindMethods(self, methods) {
  if (!isObject(methods)) return
  for (const [name, method] of Object.entries(methods)) {
    self[name] = typeof method === 'function' ? method.bind(self) : method
  }
}

/** @param {unknown} value @returns {value is Dictionary} */
function hasMethods(value) {
  return (
    isObject(value) &&
    isObject(value.methods) &&
    Object.values(value.methods).some((method) => typeof method === 'function')
  )
}

/** @param {unknown} definition @returns {definition is Dictionary} */
function isApp(definition) {
  return isObject(definition) && (definition.type === 'app' || hasMethods(definition))
}

/**
 * The default that a prop's definition, or the app's definition it refers to, declares.
 *
 * @param {unknown} definition
 * @returns {unknown}
 */
function defaultOf(definition) {
  if (!isObject(definition)) return undefined
  if (definition.default !== undefined || !Array.isArray(definition.propDefinition))
    return definition.default
  const [app, name] = definition.propDefinition
  return app?.propDefinitions?.[name]?.default
}

/**
 * An app as methods see it: its values, `$auth`, and its own methods bound to it.
 *
 * @param {Dictionary} definition the app's module
 * @param {unknown} value what the caller gave for the prop
 * @param {unknown} auth the account's fields, when the caller gave them apart
 * @returns {unknown}
 */
function appInstance(definition, value, auth) {
  // An instance of a class is an app already; copying it would lose its prototype and private fields.
  if (value !== undefined && !isPlain(value)) return value
  /** @type {Dictionary} */
  const self = { ...value }
  if (self.$auth === undefined && auth !== undefined) self.$auth = auth
  bindMethods(self, definition.methods)
  if (hasMethods(value)) bindMethods(self, value.methods)
  return self
}

/**
 * The `this` of a component's `run`: the props with their defaults, nested apps with their methods, and
 * the component's own methods.
 *
 * @param {Dictionary} component
 * @param {Dictionary} props values by prop name
 * @param {Dictionary} auths accounts by prop name or by app
 * @returns {Dictionary}
 */
function componentThis(component, props, auths) {
  const definitions = isObject(component.props) ? component.props : {}
  /** @type {Dictionary} */
  const self = {}
  for (const name of new Set([...Object.keys(definitions), ...Object.keys(props)])) {
    const definition = definitions[name]
    const value = props[name] ?? (props[name] === null ? null : defaultOf(definition))
    const app = isApp(definition) ? definition : hasMethods(value) ? value : undefined
    if (app) self[name] = appInstance(app, value, auths[name] ?? auths[app.app])
    else if (value !== undefined) self[name] = value
  }
  bindMethods(self, component.methods)
  return self
}

module.exports = { componentThis, isObject, resolveTarget }
