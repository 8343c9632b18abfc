// @ts-check
'use strict'

/**
 * Loads a step file of any form. It runs nothing of a step but its module's top level, and knows no
 * engine.
 *
 * The interface to the runner: `loadStep(path)` resolves with a `LoadedStep`, which `runStep`,
 * `execution.run` and `runWorkflow` take as a target like any module, because its `default` is
 *
 * - an ordinary function, for v1 forms: call it as `fn.call(exports, event, steps, params, auths)`. It
 *   hands its `this` on to arrow functions, so that `this.x = 1` sets `exports.x` in all forms.
 * - a component object with `run`, for v2 forms: call `component.run.call(self, { event, steps, $ })`.
 *
 * `event`, `steps`, `params` and `auths` of a bare body are the arguments of that call, and `require` is
 * given by the loader. `$send`, `$end`, `$event`, `$respond`, `$checkpoint`, `$attachments`, `$context`
 * and `defineComponent` are the globals of `dollar-send/global` in every form.
 *
 * How a file is read: `loading/analysis.cjs`; how it and its helpers are evaluated: `loading/graph.cjs`.
 *
 * @typedef {object} LoadedStep
 * @property {'module' | 'expression' | 'body' | 'object'} form
 * @property {string} path absolute
 * @property {Callable | Dictionary} default
 * @property {string[]} warnings such as an installed version that does not satisfy a pin
 */

const { resolve } = require('node:path')
const { fileURLToPath, pathToFileURL } = require('node:url')
const { invalidArgument } = require('../errors.cjs')
const { memberOf } = require('../values.cjs')
const { StepSyntaxError } = require('./loading/compile.cjs')
const { Graph } = require('./loading/graph.cjs')
const { importerOf } = require('./loading/packages.cjs')
const { notAStep } = require('./loading/source.cjs')
const { withThis } = require('./loading/this.cjs')
const { isObject } = require('./steps.cjs')

/** @typedef {import('./loading/analysis.cjs').Analysis} Analysis */
/** @typedef {import('./loading/compile.cjs').Callable} Callable */
/** @typedef {import('./steps.cjs').Dictionary} Dictionary */

/** Names that CommonJS adds to a module's exports. */
const INTEROP = new Set(['default', 'module.exports', '__esModule'])

/** `default` of a CommonJS file that was itself compiled from ESM is nested. */
const MAX_DEFAULTS = 3

/** Warnings that the process had already. @type {Set<string>} */
const warned = new Set()

/**
 * Loads a step file. See `index.d.ts` for what callers are promised.
 *
 * @param {string | URL} file
 * @returns {Promise<LoadedStep>}
 */
async function loadStep(file) {
  const path = pathOf(file)
  const graph = new Graph()
  const analysis = analysed(graph, path)
  const { form, value } = await loaded(graph, path, analysis)
  for (const warning of graph.warnings) {
    if (warned.has(warning)) continue
    warned.add(warning)
    process.emitWarning(warning, { code: 'SEND_PINNED_VERSION' })
  }
  return { form, path, default: value, warnings: [...graph.warnings] }
}

/** @param {unknown} file @returns {string} */
function pathOf(file) {
  const isUrl = file instanceof URL || (typeof file === 'string' && file.startsWith('file:'))
  if (isUrl) return fileURLToPath(/** @type {string | URL} */ (file))
  if (typeof file === 'string' && file !== '') return resolve(file)
  throw invalidArgument('loadStep(): the argument must be the path of a file, as text or file: URL')
}

/** @param {Graph} graph @param {string} path @returns {Analysis} */
function analysed(graph, path) {
  try {
    return graph.files.analysis(path, 'step')
  } catch (error) {
    if (!(error instanceof StepSyntaxError)) throw error
    const { place, message } = error
    const where = place ? ` at line ${place.line}, column ${place.column}` : ''
    throw notAStep(path, `${message}${where && `, where parsing stopped${where}`}`, place)
  }
}

/**
 * @param {Graph} graph
 * @param {string} path
 * @param {Analysis} analysis
 * @returns {Promise<{ form: LoadedStep['form'], value: LoadedStep['default'] }>}
 */
async function loaded(graph, path, analysis) {
  const { kind, usesThis } = analysis
  if (kind === 'module' || kind === 'commonjs') {
    const isOurs = usesThis || graph.files.needsLoader(path)
    const namespace = await (isOurs
      ? graph.importFile(path)
      : importerOf(path)(pathToFileURL(path).href))
    const value = stepOf(namespace, path)
    return {
      form: 'module',
      value: isOurs && typeof value === 'function' ? withThis(value) : value,
    }
  }
  if (kind === 'empty') throw notAStep(path, 'it has no code')
  const code = analysis.compiled(await graph.scopeOfCell(path))
  if (kind === 'object') return { form: kind, value: checkedStep(code.call({}), path) }
  return { form: kind, value: kind === 'body' ? withSelf(code) : calledAnew(code) }
}

/**
 * @param {Callable} code
 * @returns {Callable} never called with the global object for `this`
 */
function withSelf(code) {
  /** @this {unknown} @param {unknown[]} args */
  return function code_(...args) {
    return code.apply(this ?? {}, args)
  }
}

/**
 * @param {Callable} code evaluates to the function of a step
 * @returns {Callable} evaluates it for each run, so that an arrow function gets the run's `this`
 */
function calledAnew(code) {
  /** @this {unknown} @param {unknown[]} args */
  return function step(...args) {
    const self = this ?? {}
    return /** @type {Callable} */ (code.call(self)).apply(self, args)
  }
}

/**
 * The step among the exports of a module: the default one, the module itself, or the only one.
 *
 * @param {import('./loading/packages.cjs').Namespace} namespace
 * @param {string} path
 */
function stepOf(namespace, path) {
  /** @type {unknown} */
  let value = namespace
  for (
    let depth = 0;
    depth < MAX_DEFAULTS && isObject(value) && value.default !== undefined;
    depth++
  ) {
    value = value.default
  }
  if (isStep(value)) return value
  const names = isObject(value) ? Object.keys(value).filter((name) => !INTEROP.has(name)) : []
  const single = names.length === 1 ? memberOf(value, names[0]) : undefined
  return isStep(single) ? single : checkedStep(value, path, names)
}

/** @param {unknown} value @returns {value is Callable | Dictionary} */
const isStep = (value) =>
  typeof value === 'function' || typeof memberOf(value, 'run') === 'function'

/**
 * @param {unknown} value
 * @param {string} path
 * @param {string[]} [names] of exports
 */
function checkedStep(value, path, names = []) {
  if (isStep(value)) return value
  if (names.length > 0)
    throw notAStep(path, `it has no default export (it exports ${names.join(', ')})`)
  if (isObject(value) && Object.keys(value).length > 0) {
    throw notAStep(path, 'it exports an object without a function run()')
  }
  const kind = isObject(value) || value === undefined ? 'nothing' : `a ${typeof value}`
  throw notAStep(path, `it exports ${kind}`)
}

module.exports = { loadStep }
