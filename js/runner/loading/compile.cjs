// @ts-check
'use strict'

// Compiles the text of a step as a function, with the lines and columns of its file.

const { Script, constants, runInThisContext } = require('node:vm')
const { IMPORT, SCOPE } = require('./syntax.cjs')

/**
 * Whether this realm is not that of the process but of a `vm` context, as under Jest: there a script
 * would run beside the globals of the test.
 */
const isForeignRealm = runInThisContext('Object') !== Object

const [OPEN, CLOSE] = [`(function(${SCOPE}){with(${SCOPE}){return `, '\n}})']

const AsyncFunction = /** @type {FunctionConstructor} */ ((async () => {}).constructor)
const AsyncGeneratorFunction = /** @type {AsyncGeneratorFunctionConstructor} */ (
  async function* () {}.constructor
)
const STEP = 'event,steps,params,auths'

/**
 * Functions around a text: their constructor and word, their parameters, and what stands in their body
 * around the text. `with` makes imports live bindings, which parameters would not be; what the text
 * declares itself goes before them.
 *
 * @type {Record<'module' | 'commonjs' | 'expression' | 'body' | 'shadowed', Shape>}
 */
const WRAPPERS = {
  module: [AsyncGeneratorFunction, 'async function*', '', '"use strict";', ''],
  commonjs: [Function, 'function', 'exports,require,module,__filename,__dirname', '', ''],
  expression: [Function, 'function', '', 'return(', '\n)'],
  body: [AsyncFunction, 'async function', STEP, '', ''],
  /** A body that declares a name of the parameters itself. */
  shadowed: [AsyncFunction, 'async function', STEP, 'return await(async()=>{', '\n})()'],
}

/** @typedef {(...args: unknown[]) => unknown} Callable */
/** @typedef {[make: new (...texts: string[]) => object, word: string, parameters: string, open: string, close: string]} Shape */
/** @typedef {keyof typeof WRAPPERS} Wrapper */

/** A text that is not JavaScript, with its place from 1. */
class StepSyntaxError extends Error {
  /**
   * @param {string} message
   * @param {{ line: number, column: number }} [place]
   */
  constructor(message, place) {
    super(message)
    this.place = place
  }
}

/**
 * Compiles `code` in a wrapper; nothing of it runs before the returned function is called.
 *
 * @param {string} code
 * @param {Wrapper} wrapper
 * @param {string} path
 * @param {string} [before] statements before the code
 * @returns {(scope: object) => Callable}
 * @throws {StepSyntaxError}
 */
function compile(code, wrapper, path, before = '') {
  const [, word, parameters, open, close] = WRAPPERS[wrapper]
  const head = `${OPEN}${word}(${parameters}){${open}${before}`
  const tail = `${close}\n}${CLOSE}`
  let script
  try {
    script = new Script(`${head}\n${code}${tail}`, {
      filename: path,
      lineOffset: -1,
      importModuleDynamically: constants?.USE_MAIN_CONTEXT_DEFAULT_LOADER,
    })
    checkEnclosed(code, wrapper, before)
  } catch (error) {
    throw syntaxError(error, code, path)
  }
  const run = isForeignRealm
    ? // An indirect eval is the only way to run in the realm of this file; it has no offsets.
      () => (0, eval)(`${head}${code}${tail}\n//# sourceURL=${path}`)
    : () => script.runInThisContext()
  /** @type {((scope: object) => Callable) | undefined} */
  let made
  return (scope) => (made ??= run())(scope)
}

/**
 * Refuses a text that closes the function around it and goes on outside. The constructors of functions
 * parse a body alone, and run nothing.
 *
 * **Invariant:** a script that was compiled has nothing but the wrapper at its top level.
 *
 * @param {string} code
 * @param {Wrapper} wrapper
 * @param {string} before
 */
function checkEnclosed(code, wrapper, before) {
  const [make, , parameters, open, close] = WRAPPERS[wrapper]
  try {
    new make(parameters, `${open}${before}\n${code}${close}`)
    // Its own function is inside that one.
    if (wrapper === 'shadowed') new make(code)
  } catch (error) {
    // Node runs with --disallow-code-generation-from-strings.
    if (/** @type {Error} */ (error).name === 'EvalError') return
    if (/** @type {Error} */ (error).name !== 'SyntaxError') throw error
    throw new StepSyntaxError('it closes a bracket that it did not open')
  }
}

/**
 * @param {unknown} thrown by V8
 * @param {string} code
 * @param {string} path
 */
function syntaxError(thrown, code, path) {
  const error = /** @type {Error} */ (thrown)
  if (error instanceof StepSyntaxError) return error
  if (error.name === 'RangeError') return new StepSyntaxError('it is nested too deeply')
  const stack = String(error.stack)
  const at = stack.indexOf(`${path}:`)
  const message = String(error.message).replaceAll(IMPORT, 'import')
  const found = at < 0 ? null : /^(\d+)\n(.*)\n([^^]*)\^/.exec(stack.slice(at + path.length + 1))
  if (!found) return new StepSyntaxError(message)
  const lines = code.split(/\r\n|[\n\r\u2028\u2029]/)
  const line = Number(found[1])
  if (line <= lines.length) {
    return new StepSyntaxError(message, { line, column: found[3].length + 1 })
  }
  // What is missing at the end is found in the wrapper.
  const column = lines[lines.length - 1].length + 1
  return new StepSyntaxError('Unexpected end of the file', { line: lines.length, column })
}

module.exports = { compile, isForeignRealm, StepSyntaxError }
