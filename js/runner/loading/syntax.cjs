// @ts-check
'use strict'

// Imports and exports of a module, and the text in which they are taken out of it: what is left is the
// body of a function. Every line and column stays in its place.

const { isProperty, NAME, STRING } = require('./lexer.cjs')

/** @typedef {import('./lexer.cjs').Tokens} Tokens */
/**
 * @typedef {object} Import
 * @property {string} specifier as written
 * @property {number} index of the specifier in the text
 * @property {{ local: string, imported: string, index: number }[]} bindings `imported` is `*` for the namespace
 */
/**
 * @typedef {object} Export
 * @property {string} name
 * @property {string} [local] the binding behind it; absent: the value of `export default`, or that of `from`
 * @property {{ dependency: number, name: string }} [from] an export of an import; `*` is the namespace
 */
/**
 * @typedef {object} ModuleSyntax
 * @property {string} code
 * @property {Import[]} imports in their order
 * @property {Export[]} exports
 * @property {number[]} stars imports whose exports are all exported
 * @property {number} defaultToken the token behind `export default`, or -1
 */

/** The scope of a module that is loaded as a function: short enough to stand for `export`. */
const SCOPE = '$ƒ'
/** Stands for the word `import` of `import(…)` and `import.meta`, with the same length. */
const IMPORT = '$ƒimpt'

class ModuleReader {
  /** @param {Tokens} tokens @param {import('./edits.cjs').Edits} edits */
  constructor(tokens, edits) {
    this.tokens = tokens
    this.edits = edits
    /** @type {ModuleSyntax} */
    this.module = { code: '', imports: [], exports: [], stars: [], defaultToken: -1 }
  }

  read() {
    const { tokens } = this
    let at = 0
    while (at < tokens.length) at = this.statement(at) ?? tokens.after(at)
    return this.module
  }

  /** @param {number} at @returns {number | undefined} the token after the statement, if it is one of these */
  statement(at) {
    if (isImport(this.tokens, at)) return this.importStatement(at)
    if (isExport(this.tokens, at)) return this.exportStatement(at)
    return undefined
  }

  /** @param {number} from @param {number} to first and last token */
  drop(from, to) {
    const { tokens } = this
    const end = tokens.text(to + 1) === ';' ? to + 1 : to
    this.edits.replace(tokens.starts[from], tokens.ends[end], ';')
    return end + 1
  }

  /** @param {number} from */
  importStatement(from) {
    const { tokens } = this
    /** @type {Import['bindings']} */
    const bindings = []
    let at = from + 1
    for (; tokens.kinds[at] !== STRING && at < tokens.length; at++) {
      const text = tokens.text(at)
      if (text === '{') {
        for (const { first, second, index } of this.names(at)) {
          bindings.push({ imported: first, local: second, index })
        }
        at = tokens.pairs[at]
      } else if (text === '*') {
        bindings.push({ imported: '*', local: tokens.text(at + 2), index: tokens.starts[at + 2] })
        at += 2
      } else if (text !== ',' && !(text === 'from' && tokens.kinds[at + 1] === STRING)) {
        bindings.push({ imported: 'default', local: text, index: tokens.starts[at] })
      }
    }
    this.addImport(at, bindings)
    return this.drop(from, this.specifierEnd(at))
  }

  /** @param {number} at the specifier @param {Import['bindings']} bindings */
  addImport(at, bindings) {
    const specifier = stringValue(this.tokens.text(at))
    this.module.imports.push({ specifier, index: this.tokens.starts[at], bindings })
    return this.module.imports.length - 1
  }

  /** @param {number} at @returns {number} the last token, with `with { type: 'json' }` */
  specifierEnd(at) {
    const word = this.tokens.text(at + 1)
    const isWith = (word === 'with' || word === 'assert') && this.tokens.text(at + 2) === '{'
    return isWith ? this.tokens.pairs[at + 2] : at
  }

  /**
   * @param {number} open the brace of `{ a as b, c }`
   * @returns {{ first: string, second: string, index: number }[]} `a` and `b`
   */
  names(open) {
    const { tokens } = this
    const found = []
    for (let at = open + 1; at < tokens.pairs[open]; at++) {
      if (tokens.text(at) === ',') continue
      const index = tokens.starts[at]
      const first = this.exportName(at)
      const isRenamed = tokens.text(at + 1) === 'as' && tokens.text(at + 2) !== ','
      if (isRenamed && at + 2 < tokens.pairs[open]) at += 2
      found.push({ first, second: this.exportName(at), index })
    }
    return found
  }

  /** @param {number} at */
  exportName(at) {
    const text = this.tokens.text(at)
    return this.tokens.kinds[at] === STRING ? stringValue(text) : text
  }

  /** @param {number} from */
  exportStatement(from) {
    const word = this.tokens.text(from + 1)
    if (word === 'default') return this.exportDefault(from)
    if (word === '*') return this.exportAll(from)
    if (word === '{') return this.exportNames(from)
    const { starts, ends } = this.tokens
    this.edits.replace(starts[from], ends[from])
    if (word === 'const' || word === 'let' || word === 'var') this.exportVariables(from + 2)
    else this.exportLocal(this.declaredName(from + 1))
    return from + 1
  }

  /** @param {string} local @param {string} [name] */
  exportLocal(local, name = local) {
    this.module.exports.push({ name, local })
  }

  /** @param {number} at `function`, `async` or `class` @returns {string} empty without a name */
  declaredName(at) {
    const { tokens } = this
    let name = at + (tokens.text(at) === 'async' ? 2 : 1)
    if (tokens.text(name) === '*') name++
    const text = tokens.text(name)
    return tokens.kinds[name] === NAME && text !== 'extends' ? text : ''
  }

  /** @param {number} from */
  exportDefault(from) {
    const { tokens, module } = this
    const value = from + 2
    module.defaultToken = value
    const isDeclared = isFunction(tokens, value) || tokens.text(value) === 'class'
    const name = isDeclared ? this.declaredName(value) : ''
    if (name) {
      this.edits.replace(tokens.starts[from], tokens.ends[from + 1], ';')
      this.exportLocal(name, 'default')
      return value
    }
    const words = tokens.source.slice(tokens.starts[from], tokens.ends[from + 1])
    this.edits.replace(tokens.starts[from], tokens.starts[from] + 6, `;${SCOPE}.d=`)
    this.edits.replace(tokens.starts[from] + 6, tokens.starts[from] + words.length)
    module.exports.push({ name: 'default' })
    if (!isDeclared) return value
    // A declaration ends at its brace, an expression would go on.
    let body = value
    while (tokens.text(body) !== '{' && body < tokens.length) body = tokens.after(body)
    const end = tokens.pairs[body]
    if (tokens.text(end + 1) !== ';') this.edits.insert(tokens.ends[end], ';')
    return end + 1
  }

  /** @param {number} from `export * from "x"` or `export * as n from "x"` */
  exportAll(from) {
    const { tokens, module } = this
    const isNamed = tokens.text(from + 2) === 'as'
    const at = from + (isNamed ? 5 : 3)
    const dependency = this.addImport(at, [])
    if (isNamed) {
      module.exports.push({ name: this.exportName(from + 3), from: { dependency, name: '*' } })
    } else module.stars.push(dependency)
    return this.drop(from, this.specifierEnd(at))
  }

  /** @param {number} from `export { a as b }`, and with `from "x"` */
  exportNames(from) {
    const { tokens, module } = this
    const names = this.names(from + 1)
    const close = tokens.pairs[from + 1]
    if (tokens.text(close + 1) !== 'from') {
      for (const { first, second } of names) this.exportLocal(first, second)
      return this.drop(from, close)
    }
    const dependency = this.addImport(close + 2, [])
    for (const { first, second } of names) {
      module.exports.push({ name: second, from: { dependency, name: first } })
    }
    return this.drop(from, this.specifierEnd(close + 2))
  }

  /** @param {number} at the first token behind `const` */
  exportVariables(at) {
    const { tokens } = this
    for (;;) {
      for (const name of boundNames(tokens, at)) this.exportLocal(name)
      at = tokens.after(at)
      while (at < tokens.length && tokens.text(at) !== ',') {
        if (tokens.text(at) === ';' || endsStatement(tokens, at)) return
        at = tokens.after(at)
      }
      if (at >= tokens.length) return
      at++
    }
  }
}

/**
 * The names that a pattern binds: `a`, `{ a, b: c, ...d }`, `[a, b = 1]`.
 *
 * @param {Tokens} tokens
 * @param {number} at
 * @returns {string[]}
 */
function boundNames(tokens, at) {
  if (tokens.pairs[at] < 0) return [tokens.text(at)]
  const end = tokens.pairs[at]
  const names = []
  for (let element = at + 1; element < end;) {
    let target = tokens.text(element) === '...' ? element + 1 : element
    const colon = tokens.after(target)
    if (tokens.text(at) === '{' && tokens.text(colon) === ':') target = colon + 1
    if (tokens.text(target) !== ',') names.push(...boundNames(tokens, target))
    element = target
    while (element < end && tokens.text(element) !== ',') element = tokens.after(element)
    element++
  }
  return names
}

/** Words that go on an expression. */
const INFIX_WORDS = new Set(['in', 'instanceof', 'of'])

/** @param {Tokens} tokens @param {number} at @returns {boolean} whether a line break ends the statement before it */
function endsStatement(tokens, at) {
  if (!tokens.breaks[at] || INFIX_WORDS.has(tokens.text(at))) return false
  const isOperand = tokens.kinds[at] <= STRING || tokens.text(at) === '{'
  const before = tokens.text(at - 1)
  const isOver = tokens.kinds[at - 1] < 6 || [')', ']', '}', '++', '--'].includes(before)
  return isOperand && isOver
}

/** @param {Tokens} tokens @param {number} at */
function isFunction(tokens, at) {
  if (tokens.text(at) === 'function') return true
  const isAsync = tokens.text(at) === 'async' && tokens.text(at + 1) === 'function'
  return isAsync && !tokens.breaks[at + 1]
}

/** @param {Tokens} tokens @param {number} at */
function isImport(tokens, at) {
  if (tokens.text(at) !== 'import' || isProperty(tokens, at)) return false
  const next = tokens.text(at + 1)
  return (
    tokens.kinds[at + 1] === STRING || next === '{' || next === '*' || tokens.kinds[at + 1] === NAME
  )
}

/** @param {Tokens} tokens @param {number} at */
function isExport(tokens, at) {
  if (tokens.text(at) !== 'export' || isProperty(tokens, at)) return false
  const next = tokens.text(at + 1)
  return next === '{' || next === '*' || tokens.kinds[at + 1] === NAME
}

/** @param {string} literal @returns {string} */
function stringValue(literal) {
  const inner = literal.slice(1, -1)
  if (!inner.includes('\\')) return inner
  return inner.replace(
    /\\(?:u\{([\da-f]+)\}|u([\da-f]{4})|x([\da-f]{2})|([^]))/gi,
    (_, ...found) => {
      const code = found[0] ?? found[1] ?? found[2]
      return code ? String.fromCodePoint(parseInt(code, 16)) : found[3]
    },
  )
}

/**
 * Reads imports and exports and takes them out of the text.
 *
 * @param {Tokens} tokens
 * @param {import('./edits.cjs').Edits} edits also changed elsewhere; applied by the caller
 * @returns {ModuleSyntax} without its code
 */
function readModule(tokens, edits) {
  return new ModuleReader(tokens, edits).read()
}

/** @param {Tokens} tokens @returns {boolean} */
function hasModuleSyntax(tokens) {
  for (let at = 0; at < tokens.length; at = tokens.after(at)) {
    if (isImport(tokens, at) || isExport(tokens, at)) return true
  }
  return false
}

module.exports = { hasModuleSyntax, IMPORT, isFunction, readModule, SCOPE, stringValue }
