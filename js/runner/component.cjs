// @ts-check
'use strict'

/**
 * A step as a target: which function to call, and what the `this` of a component holds.
 *
 * Nothing here touches an engine or an execution.
 */

const { inspect } = require('node:util')
const { invalidArgument } = require('../errors.cjs')
const { memberOf } = require('../values.cjs')
const { PROVIDED, isProvided, missingProps, typeWarnings } = require('./props.cjs')
const { isObject } = require('./steps.cjs')

/** @typedef {(...args: unknown[]) => unknown} Callable */
/** @typedef {import('./steps.cjs').Dictionary} Dictionary */
/**
 * @typedef {{ kind: 'function', run: Callable } | { kind: 'component', run: Callable, component: Dictionary }} Target
 */

/** `export default` of a CommonJS file that was itself compiled from ESM is nested once. */
const MAX_DEFAULTS = 3

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

/** Names that a module has beside what its author exported. */
const INTEROP = ['default', 'module.exports', '__esModule']

/**
 * Returns the one export of a module without a default one.
 *
 * @param {unknown} value
 * @returns {unknown}
 */
function singleExport(value) {
  if (!isObject(value) || !isModule(value) || typeof value.run === 'function') return value
  const names = Object.keys(value).filter((name) => !INTEROP.includes(name))
  return value.default === undefined && names.length === 1 ? value[names[0]] : value
}

/**
 * Returns the step in what a file exports or a caller passes: a v1 function, a component, or a module
 * with one of them as its default or only export.
 *
 * @param {unknown} given
 * @param {string} [where] the caller's function, for the message
 * @returns {Target}
 * @throws `ERR_SEND_INVALID_ARGUMENT` when there is nothing to run in it
 */
function resolveTarget(given, where = 'runStep()') {
  let target = singleExport(given)
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
      `${where}: ${inspect(given, { depth: 0 })} is not a step; pass a function (event, steps, params, auths), ` +
        'a component with a run() method, or a module whose default export is one of them',
    )
  }
  if (target.type === 'source') {
    throw invalidArgument(
      `${where}: ${JSON.stringify(target.name ?? target.key ?? 'the component')} is an event source; only actions and code steps can be run`,
    )
  }
  return { kind: 'component', run: /** @type {Callable} */ (target.run), component: target }
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

/** @param {unknown} app the default export of its module, or the module */
function appOf(app) {
  return isObject(app) && isModule(app) && isObject(app.default) ? app.default : app
}

/**
 * Returns the definition of a prop, with what its app declares for it.
 *
 * @param {unknown} definition
 * @returns {Dictionary | undefined}
 */
function definitionOf(definition) {
  // Pipedream's shorthand: `db: '$.service.db'`.
  const own = appOf(typeof definition === 'string' ? { type: definition } : definition)
  if (!isObject(own)) return undefined
  if (!Array.isArray(own.propDefinition)) return own
  const [app, name] = own.propDefinition
  const declared = memberOf(memberOf(appOf(app), 'propDefinitions'), String(name))
  return { .../** @type {object | undefined} */ (declared), ...own }
}

/**
 * Returns an app as methods see it: its values, `$auth`, and its own methods bound to it.
 *
 * @param {string} name the prop's
 * @param {Dictionary} definition the app's module
 * @param {unknown} value what the caller gave for the prop
 * @param {unknown} auth the account's fields, when the caller gave them apart
 * @returns {unknown}
 */
function appInstance(name, definition, value, auth) {
  // An instance of a class is an app already; copying it would lose its prototype and private fields.
  if (value !== undefined && !isPlain(value)) return value
  /** @type {Dictionary} */
  const self = { .../** @type {Dictionary} */ (value) }
  if (self.$auth === undefined && auth !== undefined) self.$auth = auth
  if (self.$auth === undefined && definition.type === 'app') missingAccount(self, name)
  bindMethods(self, definition.methods)
  if (hasMethods(value)) bindMethods(self, value.methods)
  return self
}

/**
 * Makes the first use of an account that is missing say so.
 *
 * @param {Dictionary} self
 * @param {string} name
 */
function missingAccount(self, name) {
  Object.defineProperty(self, '$auth', {
    get() {
      throw invalidArgument(`this.${name}.$auth: no account was given, pass auths: { ${name} }`)
    },
    set(value) {
      Object.defineProperty(self, '$auth', { value, writable: true, enumerable: true })
    },
    configurable: true,
    enumerable: false,
  })
}

/**
 * Returns the `this` of a component's `run`: the props with their defaults, nested apps with their
 * methods, what the runner provides, and the component's own methods.
 *
 * @param {Dictionary} component
 * @param {Dictionary} props values by prop name
 * @param {Dictionary} auths accounts by prop name or by app
 * @param {import('./props.cjs').Provider} provider
 * @returns {Dictionary}
 * @throws `ERR_SEND_INVALID_ARGUMENT` that names the required props without a value
 */
function componentThis(component, props, auths, provider) {
  const declared = isObject(component.props) ? component.props : {}
  /** @type {Dictionary} */
  const self = {}
  /** @type {Record<string, { definition: Dictionary, value: unknown }>} */
  const plain = {}
  for (const name of new Set([...Object.keys(declared), ...Object.keys(props)])) {
    const definition = definitionOf(declared[name])
    const value = props[name] ?? (props[name] === null ? null : defaultOf(definition))
    const app = isApp(definition) ? definition : hasMethods(value) ? value : undefined
    if (app) self[name] = appInstance(name, app, value, auths[name] ?? auths[String(app.app)])
    else if (definition && isProvided(definition, value)) {
      self[name] = PROVIDED[String(definition.type)](name, value, provider)
    } else {
      if (value !== undefined) self[name] = value
      if (definition) plain[name] = { definition, value }
    }
  }
  const missing = missingProps(plain)
  if (missing.length > 0) throw invalidArgument(missingMessage(component, missing))
  provider.host.warnings.push(...typeWarnings(plain))
  bindMethods(self, component.methods)
  return self
}

/** @param {Dictionary} component @param {string[]} missing */
function missingMessage(component, missing) {
  const who = component.name ?? component.key
  const names = missing.join(', ')
  const required =
    missing.length === 1 ? `prop ${names} is required` : `props ${names} are required`
  return `${who ? `${who}: ` : ''}the ${required}, pass props: { ${names} }`
}

/** @param {Dictionary | undefined} definition */
function defaultOf(definition) {
  const value = definition?.default
  // A step may change what it finds; the next run finds the default again.
  return isPlain(value) || Array.isArray(value) ? structuredClone(value) : value
}

module.exports = { componentThis, isObject, resolveTarget }
