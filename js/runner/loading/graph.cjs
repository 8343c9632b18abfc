// @ts-check
'use strict'

// The modules of one step that Node does not load as they are: links and evaluates them as ES modules
// are, with live bindings and cycles. All else is imported through Node.

const { readFileSync } = require('node:fs')
const { createRequire } = require('node:module')
const { dirname, extname } = require('node:path')
const { pathToFileURL } = require('node:url')
const { StepSyntaxError } = require('./compile.cjs')
const { evaluate } = require('./evaluation.cjs')
const { placeOf } = require('./lexer.cjs')
const { importerOf, namespaceOf, pinWarning } = require('./packages.cjs')
const { unpinned } = require('./pins.cjs')
const { Files, importedFile, nodeFormat, references, requiredFile } = require('./references.cjs')
const { isFileOrNothing, refusal } = require('./source.cjs')
const { IMPORT, SCOPE } = require('./syntax.cjs')
const { lexicalThis } = require('./this.cjs')

/** @typedef {import('./analysis.cjs').Analysis} Analysis */
/** @typedef {import('./packages.cjs').Namespace} Namespace */
/**
 * @typedef {object} Module A module, from wherever it comes.
 * @property {Namespace} [namespace] there after the evaluation, for our own modules after linking
 * @property {Module[]} dependencies in the order of the imports
 * @property {() => unknown} run evaluates it alone
 * @property {Promise<void>} [evaluation]
 * @property {Module[]} [awaited] the dependencies that it waits for; there when its cycles are known
 * @property {Module} [root] of its cycle, or itself: the one that is evaluated last
 * @property {number} [order] among the modules whose cycle is not complete
 * @property {boolean} [isSearched] all behind it are known
 * @property {Analysis} [analysis]
 * @property {string} name for messages
 */

class Graph {
  /** Warnings about pins. @type {Set<string>} */ warnings = new Set()
  files = new Files()
  /** @type {Map<string, Module>} */ #modules = new Map()

  /** @param {string} path @returns {Promise<Namespace>} */
  async importFile(path) {
    const module = this.#fileModule(path)
    await evaluate(module)
    return /** @type {Namespace} */ (module.namespace)
  }

  /**
   * The scope of a file that is a function and not a module, with its imports.
   *
   * @param {string} path
   * @returns {Promise<object>}
   */
  async scopeOfCell(path) {
    const analysis = this.files.analysis(path)
    const module = this.#blankModule(path, analysis)
    const scope = this.#scope(module, path)
    this.#link(module, scope, path)
    for (const dependency of module.dependencies) await evaluate(dependency)
    checkImports(module, path)
    return scope
  }

  /** @param {string} path @param {Analysis} [analysis] @returns {Module} */
  #blankModule(path, analysis) {
    return { name: path, analysis, dependencies: [], run() {} }
  }

  /**
   * @param {string} specifier
   * @param {string} from
   * @returns {Module}
   */
  #dependency(specifier, from) {
    const file = importedFile(specifier, from)
    checkRegular(file)
    if (file && extname(file) === '.json') return this.#jsonModule(file)
    if (file && this.files.needsLoader(file)) return this.#fileModule(file)
    return nativeModule(unpinned(specifier), from)
  }

  /** @param {string} path @returns {Module} */
  #jsonModule(path) {
    const module = this.#blankModule(path)
    module.run = () => {
      module.namespace = namespaceOf(readJson(path))
    }
    return module
  }

  /** @param {string} path @returns {Module} */
  #fileModule(path) {
    const known = this.#modules.get(path)
    if (known) return known
    const analysis = this.#analysis(path)
    if (analysis.kind !== 'module' && analysis.kind !== 'commonjs') {
      throw refusal(path, 'it cannot be imported: it is a step and no module')
    }
    const module = this.#blankModule(path, analysis)
    this.#modules.set(path, module)
    const scope = this.#scope(module, path)
    if (analysis.kind === 'module') this.#prepareModule(module, analysis, scope, path)
    else this.#prepareCommonJs(module, analysis, scope, path)
    return module
  }

  /** @param {string} path */
  #analysis(path) {
    try {
      return this.files.analysis(path)
    } catch (error) {
      if (!(error instanceof StepSyntaxError)) throw error
      throw refusal(path, `it does not parse: ${error.message}`, error.place)
    }
  }

  /**
   * @param {Module} module
   * @param {Analysis} analysis
   * @param {Namespace} scope
   * @param {string} path
   */
  #prepareModule(module, analysis, scope, path) {
    const namespace = Object.defineProperty(Object.create(null), Symbol.toStringTag, {
      value: 'Module',
    })
    module.namespace = namespace
    scope[SCOPE] = exporter(namespace, analysis)
    const self = analysis.usesThis ? lexicalThis(() => ({})) : undefined
    const body = /** @type {AsyncGenerator} */ (analysis.compiled(scope).call(self))
    // Its functions exist from here on, for modules that import each other.
    body.next()
    this.#link(module, scope, path)
    exportAgain(module, analysis)
    module.run = () => {
      checkImports(module, path)
      exportStars(module, analysis)
      return body.next()
    }
  }

  /**
   * @param {Module} module
   * @param {Analysis} analysis
   * @param {Namespace} scope
   * @param {string} path
   */
  #prepareCommonJs(module, analysis, scope, path) {
    const blank = () => ({ exports: {}, id: path, filename: path, loaded: false })
    /** @type {ReturnType<typeof blank> | undefined} */
    let exported
    module.run = () => {
      if (exported) return
      const own = (exported = blank())
      const self = analysis.usesThis ? lexicalThis(() => own.exports) : own.exports
      try {
        const body = analysis.compiled(scope)
        body.call(self, own.exports, scope.require, own, path, dirname(path))
      } catch (error) {
        // What throws runs again when it is required again.
        exported = undefined
        throw error
      }
      own.loaded = true
      module.namespace = namespaceOf(own.exports)
    }
    Object.defineProperty(module, 'partial', { get: () => exported?.exports })
    for (const { specifier } of references(analysis)) this.#notePin(specifier, path)
  }

  /**
   * Gives the scope the imports of the module.
   *
   * @param {Module} module
   * @param {Namespace} scope
   * @param {string} path
   */
  #link(module, scope, path) {
    const analysis = /** @type {Analysis} */ (module.analysis)
    for (const { specifier } of references(analysis)) this.#notePin(specifier, path)
    for (const { specifier, bindings } of analysis.syntax.imports) {
      const dependency = this.#dependency(specifier, path)
      module.dependencies.push(dependency)
      for (const { local, imported } of bindings) {
        const get = () => exportOf(dependency, imported)
        Object.defineProperty(scope, local, { get, enumerable: true })
      }
    }
  }

  /** @param {string} specifier @param {string} path */
  #notePin(specifier, path) {
    const warning = pinWarning(specifier, path)
    if (warning) this.warnings.add(warning)
  }

  /**
   * What the code of a file finds outside itself.
   *
   * @param {Module} module
   * @param {string} path
   * @returns {Namespace}
   */
  #scope(module, path) {
    const load = async (/** @type {unknown} */ specifier) => {
      const dependency = this.#dependency(String(specifier), path)
      await evaluate(dependency)
      return dependency.namespace
    }
    const require = this.#requireOf(path)
    const url = pathToFileURL(path).href
    const resolve = (/** @type {string} */ specifier) => {
      const found = require.resolve(specifier)
      return found.startsWith('/') || /^[a-z]:\\/i.test(found) ? pathToFileURL(found).href : found
    }
    load.meta = Object.assign(Object.create(null), {
      ...{ url, filename: path, dirname: dirname(path), resolve },
    })
    return Object.assign(Object.create(null), {
      [IMPORT]: load,
      require,
      __filename: path,
      __dirname: dirname(path),
    })
  }

  /** @param {string} path @returns {NodeJS.Require} */
  #requireOf(path) {
    const native = createRequire(path)
    /** @param {string} specifier */
    const require = (specifier) => {
      const file = typeof specifier === 'string' ? requiredFile(specifier, path) : undefined
      checkRegular(file)
      if (file && extname(file) !== '.json' && this.files.needsLoader(file)) {
        return this.#requireFile(file)
      }
      return native(typeof specifier === 'string' ? unpinned(specifier) : specifier)
    }
    /** @param {string} specifier @param {{ paths?: string[] }} [options] */
    const resolve = (specifier, options) => native.resolve(unpinned(specifier), options)
    const { cache, main, extensions } = native
    const members = { resolve: Object.assign(resolve, { paths: native.resolve.paths }) }
    return Object.assign(require, { ...members, cache, main, extensions })
  }

  /** @param {string} path */
  #requireFile(path) {
    const module = /** @type {Module & { partial?: unknown }} */ (this.#fileModule(path))
    if (module.analysis?.kind === 'module') {
      throw refusal(path, 'it is an ES module, which require() cannot load here; use import()')
    }
    module.run()
    return module.partial
  }
}

/**
 * A module that Node loads.
 *
 * @param {string} specifier
 * @param {string} from
 * @returns {Module}
 */
function nativeModule(specifier, from) {
  /** @type {Module} */
  const module = {
    name: specifier,
    dependencies: [],
    async run() {
      module.namespace = await importerOf(from)(specifier)
    },
  }
  return module
}

/** @param {string} [path] */
function checkRegular(path) {
  if (path && !isFileOrNothing(path)) throw refusal(path, 'it is not a regular file')
}

/** @param {string} path */
function readJson(path) {
  try {
    return JSON.parse(readFileSync(path, 'utf8').replace(/^\uFEFF/, ''))
  } catch (error) {
    throw refusal(path, /** @type {Error} */ (error).message)
  }
}

/** @param {Module} module @param {string} name @returns {unknown} */
function exportOf({ namespace, name: place }, name) {
  if (!namespace)
    throw new ReferenceError(`${place} is not loaded yet: it is part of an import cycle`)
  return name === '*' ? namespace : namespace[name]
}

/**
 * Refuses names that a dependency does not export, as Node does.
 *
 * @param {Module} module
 * @param {string} path
 */
function checkImports({ analysis, dependencies }, path) {
  const { syntax, source } = /** @type {Analysis} */ (analysis)
  for (const [number, { specifier, bindings }] of syntax.imports.entries()) {
    const { namespace } = dependencies[number]
    for (const { imported, index } of bindings) {
      if (!namespace || imported === '*' || imported in namespace) continue
      const { line, column } = placeOf(source, index)
      const message = `The requested module '${specifier}' does not provide an export named '${imported}'`
      throw new SyntaxError(`${path}:${line}:${column}: ${message}`)
    }
  }
}

/**
 * What the code of a module calls to export.
 *
 * @param {Namespace} namespace
 * @param {Analysis} analysis
 */
function exporter(namespace, { syntax }) {
  /** @type {{ value: unknown } | undefined} */
  let standard
  const getDefault = () => {
    if (standard) return standard.value
    throw new ReferenceError("Cannot access 'default' before initialization")
  }
  return {
    /** @param {Record<string, () => unknown>} getters */
    init(getters) {
      for (const { name, local, from } of syntax.exports) {
        if (from) continue
        const get = local === undefined ? getDefault : getters[name]
        Object.defineProperty(namespace, name, { get, enumerable: true })
      }
    },
    set d(/** @type {unknown} */ value) {
      standard = { value }
    },
  }
}

/** @param {Module} module @param {Analysis} analysis */
function exportAgain({ namespace, dependencies }, { syntax }) {
  for (const { name, from } of syntax.exports) {
    if (!from) continue
    const get = () => exportOf(dependencies[from.dependency], from.name)
    Object.defineProperty(namespace, name, { get, enumerable: true })
  }
}

/** @param {Module} module @param {Analysis} analysis */
function exportStars({ namespace, dependencies }, { syntax }) {
  const own = /** @type {Namespace} */ (namespace)
  for (const number of syntax.stars) {
    const other = dependencies[number].namespace ?? {}
    for (const name of Object.keys(other)) {
      if (name === 'default' || name in own) continue
      Object.defineProperty(own, name, { get: () => other[name], enumerable: true })
    }
  }
}

module.exports = { Graph, nodeFormat }
