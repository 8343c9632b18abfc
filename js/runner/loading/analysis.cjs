// @ts-check
'use strict'

// Decides the form of a step file from its text, and prepares the text to be compiled.

const { compile, StepSyntaxError } = require('./compile.cjs')
const { Edits } = require('./edits.cjs')
const { isProperty, LexError, NAME, placeOf, STRING, tokenize } = require('./lexer.cjs')
const { hasModuleSyntax, IMPORT, isFunction, readModule, stringValue } = require('./syntax.cjs')

/** @typedef {import('./lexer.cjs').Tokens} Tokens */
/** @typedef {import('./syntax.cjs').ModuleSyntax} ModuleSyntax */
/** @typedef {'module' | 'commonjs' | 'expression' | 'object' | 'body' | 'empty'} Kind */
/** @typedef {'step' | 'helper'} Role a helper is a module, whatever is in it */
/** @typedef {{ specifier: string, index: number }} Reference */
/**
 * @typedef {object} Analysis
 * @property {Kind} kind
 * @property {string} source as V8 gets it: without BOM and shebang
 * @property {Tokens} tokens
 * @property {ModuleSyntax} syntax `code` is what to compile
 * @property {Reference[]} dynamic of `import('x')`
 * @property {Reference[]} required of `require('x')`
 * @property {boolean} usesRequire without declaring it
 * @property {boolean} hasFormat the text alone says which kind of module it is
 * @property {boolean} usesThis an arrow function that is exported may use `this`
 * @property {(scope: object) => import('./compile.cjs').Callable} compiled
 */

const MODULE_WORDS = new Set(['exports', 'module'])

/**
 * @typedef {object} Scan What is found at any depth.
 * @property {Reference[]} dynamic
 * @property {Reference[]} required
 * @property {boolean} usesRequire
 * @property {boolean} hasThis
 * @property {boolean} isCommonJs
 * @property {number} exported the token behind `module.exports =`, or -1
 */

/**
 * @param {Tokens} tokens
 * @param {Edits} edits takes the words of `import(…)` and `import.meta`
 * @returns {Scan}
 */
function scan(tokens, edits) {
  /** @type {Scan} */
  const found = {
    dynamic: [],
    required: [],
    usesRequire: false,
    hasThis: false,
    isCommonJs: false,
    exported: -1,
  }
  let declaresRequire = false
  for (let at = 0; at < tokens.length; at++) {
    if (tokens.kinds[at] !== NAME || isProperty(tokens, at)) continue
    const text = tokens.text(at)
    if (text === 'this') found.hasThis = true
    else if (text === 'createRequire') declaresRequire = true
    else if (text === 'import') scanImport(tokens, at, edits, found)
    else if (text === 'require') scanRequire(tokens, at, found)
    else if (MODULE_WORDS.has(text)) scanExports(tokens, at, found)
  }
  if (declaresRequire) found.usesRequire = false
  return found
}

/** @param {Tokens} tokens @param {number} at @param {Edits} edits @param {Scan} found */
function scanImport(tokens, at, edits, found) {
  const next = tokens.text(at + 1)
  if (next !== '(' && next !== '.') return
  const isMethod = next === '(' && tokens.text(tokens.pairs[at + 1] + 1) === '{'
  if (isMethod && ['{', ',', 'async'].includes(tokens.text(at - 1))) return
  edits.replace(tokens.starts[at], tokens.ends[at], IMPORT)
  if (next === '(') addLiteral(tokens, at + 2, found.dynamic)
}

/** @param {Tokens} tokens @param {number} at @param {Scan} found */
function scanRequire(tokens, at, found) {
  if (tokens.text(at + 1) !== '(' && tokens.text(at + 1) !== '.') return
  found.usesRequire = true
  if (tokens.text(at + 1) === '(') addLiteral(tokens, at + 2, found.required)
}

/** @param {Tokens} tokens @param {number} at @param {Reference[]} list */
function addLiteral(tokens, at, list) {
  if (tokens.kinds[at] !== STRING) return
  list.push({ specifier: stringValue(tokens.text(at)), index: tokens.starts[at] })
}

/** @param {Tokens} tokens @param {number} at @param {Scan} found */
function scanExports(tokens, at, found) {
  const isModule = tokens.text(at) === 'module'
  if (isModule && !(tokens.text(at + 1) === '.' && tokens.text(at + 2) === 'exports')) return
  const behind = tokens.text(at + (isModule ? 3 : 1))
  if (!isModule && behind !== '.' && behind !== '[') return
  found.isCommonJs = true
  if (isModule && behind === '=') found.exported = at + 4
}

/**
 * The form of an expression that is the whole file, if it is one.
 *
 * @param {Tokens} tokens
 * @param {number} first
 * @param {number} last
 * @returns {'expression' | 'object' | undefined}
 */
function expressionForm(tokens, first, last) {
  while (tokens.text(first) === '(' && tokens.pairs[first] === last) {
    first++
    last--
  }
  const text = tokens.text(first)
  const pair = tokens.pairs[first]
  if (text === '{' && pair === last) return 'object'
  if (text === 'defineComponent' && tokens.text(first + 1) === '(') {
    return tokens.pairs[first + 1] === last ? 'object' : undefined
  }
  if (isFunction(tokens, first)) {
    let at = first
    while (tokens.text(at) !== '{' && at < last) at = tokens.after(at)
    return tokens.pairs[at] === last ? 'expression' : undefined
  }
  const arrow = arrowAfter(tokens, first)
  if (arrow < 0) return undefined
  const hasBody = tokens.text(arrow + 1) === '{'
  return !hasBody || tokens.pairs[arrow + 1] === last ? 'expression' : undefined
}

/**
 * @param {Tokens} tokens
 * @param {number} first
 * @returns {number} the `=>` of an arrow function that begins there, or -1
 */
function arrowAfter(tokens, first) {
  const isAsync = tokens.text(first) === 'async' && tokens.text(first + 1) !== '=>'
  const at = isAsync ? first + 1 : first
  if (tokens.kinds[at] !== NAME && tokens.text(at) !== '(') return -1
  const arrow = tokens.after(at)
  return tokens.text(arrow) === '=>' ? arrow : -1
}

/** What follows a name that is a call, a member or a declaration. */
const MORE = new Set(['(', '.', '{', 'extends'])

/** @param {Tokens} tokens @param {number} at the exported value @returns {boolean} */
function mayBeArrow(tokens, at) {
  if (at < 0) return false
  if (arrowAfter(tokens, at) >= 0) return true
  const isName = tokens.kinds[at] === NAME && !isFunction(tokens, at)
  return isName && tokens.text(at) !== 'class' && !MORE.has(tokens.text(at + 1))
}

/**
 * Analyses a text.
 *
 * @param {string} text of the file
 * @param {string} path
 * @param {Role} [role]
 * @returns {Analysis}
 * @throws {StepSyntaxError}
 */
function analyse(text, path, role = 'step') {
  try {
    return analyseText(text, path, role)
  } catch (error) {
    // The only recursion is over what is nested.
    if (error instanceof RangeError) throw new StepSyntaxError('it is nested too deeply')
    throw error
  }
}

/** @param {string} text @param {string} path @param {Role} role @returns {Analysis} */
function analyseText(text, path, role) {
  const source = text.replace(/^\uFEFF/, '').replace(/^#!/, '//')
  const tokens = tokensOf(source)
  const edits = new Edits(source)
  const { isCommonJs, exported, hasThis, ...found } = scan(tokens, edits)
  const isModule = hasModuleSyntax(tokens)
  /** @type {ModuleSyntax} */
  const syntax = isModule
    ? readModule(tokens, edits)
    : { code: source, imports: [], exports: [], stars: [], defaultToken: -1 }
  const isExporting = syntax.exports.length + syntax.stars.length > 0
  const value = isExporting ? syntax.defaultToken : exported
  const hasFormat = isModule || isCommonJs
  const usesThis = hasThis && mayBeArrow(tokens, value)
  const base = { source, tokens, syntax, ...found, hasFormat, usesThis }
  const isHelper = role === 'helper'
  const isModuleFile = isModule || (!isCommonJs && /\.m[jt]s$/i.test(path))
  if (isExporting || (isHelper && isModuleFile)) {
    return { ...base, ...compiledModule(syntax, edits, path) }
  }
  if (isCommonJs || isHelper) {
    return { ...base, ...compiledAs('commonjs', 'commonjs', syntax, edits, path) }
  }
  return { ...base, ...compiledCell(tokens, syntax, edits, path) }
}

/** @param {string} source */
function tokensOf(source) {
  try {
    return tokenize(source)
  } catch (error) {
    if (error instanceof LexError) {
      throw new StepSyntaxError(error.message, placeOf(source, error.index))
    }
    throw error
  }
}

/** @param {ModuleSyntax} syntax @param {Edits} edits @param {string} path */
function compiledModule(syntax, edits, path) {
  const getters = syntax.exports
    .filter(({ local }) => local !== undefined)
    .map(({ name, local }) => `${JSON.stringify(name)}:()=>${local}`)
  syntax.code = edits.apply()
  const before = `$ƒ.init({__proto__:null,${getters.join()}});yield;`
  return {
    kind: /** @type {const} */ ('module'),
    compiled: compile(syntax.code, 'module', path, before),
  }
}

/**
 * @template {Kind} K
 * @param {K} kind
 * @param {import('./compile.cjs').Wrapper} wrapper
 * @param {ModuleSyntax} syntax
 * @param {Edits} edits
 * @param {string} path
 */
function compiledAs(kind, wrapper, syntax, edits, path) {
  syntax.code = edits.apply()
  return { kind, compiled: compile(syntax.code, wrapper, path) }
}

/**
 * A file that exports nothing: an expression, else a body.
 *
 * @param {Tokens} tokens
 * @param {ModuleSyntax} syntax
 * @param {Edits} edits
 * @param {string} path
 */
function compiledCell(tokens, syntax, edits, path) {
  const first = firstStatement(tokens)
  let last = tokens.length - 1
  while (tokens.text(last) === ';') last--
  if (last < first) return compiledAs('empty', 'body', syntax, edits, path)
  const form = expressionForm(tokens, first, last)
  if (form) {
    const whole = new Edits(edits.source)
    // The semicolons that stand for imports would end the expression.
    whole.list = edits.list.map((edit) => ({ ...edit, text: edit.text.replace(/^;/, ' ') }))
    for (let at = last + 1; at < tokens.length; at++) {
      whole.replace(tokens.starts[at], tokens.ends[at])
    }
    try {
      return compiledAs(form, 'expression', syntax, whole, path)
    } catch (error) {
      const body = tryBody(syntax, edits, path)
      if (body) return body
      throw error
    }
  }
  return compiledBody(syntax, edits, path)
}

/** @param {Tokens} tokens @returns {number} the first token that is of no import */
function firstStatement(tokens) {
  let at = 0
  while (
    tokens.text(at) === 'import' &&
    tokens.text(at + 1) !== '(' &&
    tokens.text(at + 1) !== '.'
  ) {
    while (tokens.kinds[at] !== STRING && at < tokens.length) at = tokens.after(at)
    at++
    if (tokens.text(at) === 'with' && tokens.text(at + 1) === '{') at = tokens.after(at + 1)
    while (tokens.text(at) === ';') at++
  }
  return at
}

/** @param {ModuleSyntax} syntax @param {Edits} edits @param {string} path */
function compiledBody(syntax, edits, path) {
  try {
    return compiledAs('body', 'body', syntax, edits, path)
  } catch (error) {
    const isDeclared = /Identifier '\w+' has already been declared/.test(String(error))
    if (isDeclared) return compiledAs('body', 'shadowed', syntax, edits, path)
    throw error
  }
}

/** @param {ModuleSyntax} syntax @param {Edits} edits @param {string} path */
function tryBody(syntax, edits, path) {
  try {
    return compiledBody(syntax, edits, path)
  } catch {
    return undefined
  }
}

module.exports = { analyse }
