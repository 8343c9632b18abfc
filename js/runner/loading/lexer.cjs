// @ts-check
'use strict'

// Splits JavaScript into tokens: enough to find imports, exports and brackets. Whether a text is
// JavaScript at all is V8's to say; see `compile.cjs`.

/** Kinds of tokens. */
const NAME = 1
const NUMBER = 2
const STRING = 3
const TEMPLATE = 4
const REGEX = 5
const PUNCTUATION = 6

/** Words after which a slash begins a regular expression. */
const OPERATOR_WORDS = new Set(
  'return typeof instanceof in of new delete void throw case do else yield await'.split(' '),
)
/** Words whose parentheses are followed by a statement. */
const CONDITION_WORDS = new Set(['if', 'while', 'for', 'with'])
const BLOCK_WORDS = new Set(['else', 'do', 'try', 'finally', 'static'])
const BLOCK_MARKS = new Set([';', '{', '}', ')', '=>'])
const CLOSERS = /** @type {Record<string, string>} */ ({ ')': '(', ']': '[', '}': '{' })

/** Searched for, because a pattern over a long run of characters overflows the stack. */
const NOT_SPACE = /\S/g
const LINE_END = /[\n\r\u2028\u2029]/g
const WORD =
  /#?(?:[\p{ID_Start}$_]|\\u\{[\da-fA-F]+\}|\\u[\da-fA-F]{4})(?:[\p{ID_Continue}$\u200c\u200d]|\\u\{[\da-fA-F]+\}|\\u[\da-fA-F]{4})*/uy
const PLAIN_WORD = /#?[A-Za-z_$][\w$]*/y
const NUMERAL = /0[xXbBoO][\da-fA-F_]+n?|(?:\d[\d_]*\.?[\d_]*|\.\d[\d_]*)(?:[eE][+-]?[\d_]+)?n?/y
const MARK = /=>|\.\.\.|\?\.(?!\d)|\+\+|--|[=!]==?|[<>]=|[^]/y
const LINE_BREAK = /[\n\r\u2028\u2029]/

/** A place where a text stops being JavaScript. */
class LexError extends Error {
  /**
   * @param {string} message
   * @param {number} index in the text
   */
  constructor(message, index) {
    super(message)
    this.index = index
  }
}

/** The tokens of a text, as columns: a large file has millions of them. */
class Tokens {
  /** @param {string} source */
  constructor(source) {
    this.source = source
    /** @type {number[]} */ this.kinds = []
    /** @type {number[]} */ this.starts = []
    /** @type {number[]} */ this.ends = []
    /** @type {number[]} The other bracket of a pair, else -1. */ this.pairs = []
    /** @type {boolean[]} Whether a line break comes before the token. */ this.breaks = []
  }

  get length() {
    return this.kinds.length
  }

  /** @param {number} index @returns {string} the token's text; empty outside */
  text(index) {
    return index < 0 || index >= this.length
      ? ''
      : this.source.slice(this.starts[index], this.ends[index])
  }

  /** @param {number} index @returns {number} the token after it, brackets and their contents as one */
  after(index) {
    return Math.max(this.pairs[index], index) + 1
  }
}

class Lexer {
  /** @param {string} source */
  constructor(source) {
    this.source = source
    this.at = 0
    this.tokens = new Tokens(source)
    /** @type {{ mark: string, index: number, isBlock: boolean }[]} */ this.open = []
    /** Whether the brace that was closed last was that of a block. */
    this.closedBlock = false
  }

  run() {
    const { source } = this
    for (;;) {
      const isNewLine = this.skipSpace()
      if (this.at >= source.length) break
      const kind = this.next()
      this.tokens.breaks[this.tokens.length - 1] = isNewLine
      if (kind === undefined) break
    }
    const left = this.open.at(-1)
    if (left) throw new LexError(`${left.mark} is never closed`, this.tokens.starts[left.index])
    return this.tokens
  }

  /** @returns {boolean} whether there was a line break in it */
  skipSpace() {
    const { source } = this
    const begun = this.at
    for (;;) {
      this.at = this.indexOf(NOT_SPACE)
      if (source.startsWith('/*', this.at)) {
        const end = source.indexOf('*/', this.at + 2)
        if (end < 0) throw new LexError('the comment is never closed', this.at)
        this.at = end + 2
      } else if (this.beginsLineComment(begun)) this.at = this.indexOf(LINE_END)
      else break
    }
    return this.hasBreak(begun)
  }

  /** @param {number} begun where the space before this began @returns {boolean} */
  beginsLineComment(begun) {
    const { source, at } = this
    if (source.startsWith('//', at)) return true
    // The comments of HTML, which a script has and a module does not. The wrapper is a script.
    if (source.startsWith('<!--', at)) return true
    return source.startsWith('-->', at) && (begun === 0 || this.hasBreak(begun))
  }

  /** @param {number} begun @returns {boolean} whether there is a line break between it and here */
  hasBreak(begun) {
    return this.at > begun && LINE_BREAK.test(this.source.slice(begun, this.at))
  }

  /** @param {RegExp} pattern global @returns {number} where it is found next, or the end */
  indexOf(pattern) {
    pattern.lastIndex = this.at
    return pattern.exec(this.source)?.index ?? this.source.length
  }

  /** @returns {number} the kind of the token that was added */
  next() {
    const character = this.source[this.at]
    if (character === '"' || character === "'") return this.add(STRING, this.stringEnd(character))
    if (character === '`') return this.template(this.at + 1, -1)
    const open = this.open.at(-1)
    if (character === '}' && open?.mark === '`') {
      this.open.pop()
      return this.template(this.at + 1, open.index)
    }
    if (character === '/' && this.beginsRegex()) return this.add(REGEX, this.regexEnd())
    const word = this.match(PLAIN_WORD) ?? this.match(WORD)
    if (word !== undefined) return this.add(NAME, this.wordEnd(word))
    if (isDigit(this.source, this.at) || (character === '.' && isDigit(this.source, this.at + 1))) {
      return this.add(NUMBER, /** @type {number} */ (this.match(NUMERAL)))
    }
    return this.mark(/** @type {number} */ (this.match(MARK)))
  }

  /** @param {RegExp} pattern sticky @returns {number | undefined} the end of a match */
  match(pattern) {
    pattern.lastIndex = this.at
    return pattern.test(this.source) ? pattern.lastIndex : undefined
  }

  /** @param {number} end @returns {number} the end, with characters beyond ASCII */
  wordEnd(end) {
    const next = this.source.charCodeAt(end)
    return next > 127 || next === 92 ? (this.match(WORD) ?? end) : end
  }

  /**
   * @param {number} kind
   * @param {number} end
   * @param {number} [pair]
   */
  add(kind, end, pair = -1) {
    const { tokens } = this
    tokens.kinds.push(kind)
    tokens.starts.push(this.at)
    tokens.ends.push(end)
    tokens.pairs.push(pair)
    if (pair >= 0) tokens.pairs[pair] = tokens.length - 1
    this.at = end
    return kind
  }

  /** @param {number} end */
  mark(end) {
    const text = this.source.slice(this.at, end)
    const opener = CLOSERS[text]
    if (opener !== undefined) {
      const opened = this.open.pop()
      if (opened?.mark !== opener) throw new LexError(`Unexpected token '${text}'`, this.at)
      this.closedBlock = opened.isBlock
      return this.add(PUNCTUATION, end, opened.index)
    }
    if (text === '(' || text === '[' || text === '{') {
      const isBlock = text === '{' && this.beginsBlock()
      this.open.push({ mark: text, index: this.tokens.length, isBlock })
    }
    return this.add(PUNCTUATION, end)
  }

  /** @param {string} quote */
  stringEnd(quote) {
    const { source } = this
    for (let at = this.at + 1; at < source.length; at++) {
      const character = source[at]
      if (character === quote) return at + 1
      if (character === '\\') at += source.startsWith('\r\n', at + 1) ? 2 : 1
      else if (character === '\n' || character === '\r') break
    }
    throw new LexError('the string is never closed', this.at)
  }

  /**
   * A part of a template, up to `${` or the end.
   *
   * @param {number} from
   * @param {number} pair the part that it goes on from
   */
  template(from, pair) {
    const { source } = this
    for (let at = from; at < source.length; at++) {
      if (source[at] === '\\') at++
      else if (source[at] === '`') return this.add(TEMPLATE, at + 1, pair)
      else if (source.startsWith('${', at)) {
        this.open.push({ mark: '`', index: this.tokens.length, isBlock: false })
        return this.add(TEMPLATE, at + 2, pair)
      }
    }
    throw new LexError('the template is never closed', this.at)
  }

  regexEnd() {
    const { source } = this
    let isClass = false
    for (let at = this.at + 1; at < source.length; at++) {
      const character = source[at]
      if (LINE_BREAK.test(character)) break
      if (character === '\\') at++
      else if (character === '[') isClass = true
      else if (character === ']') isClass = false
      else if (character === '/' && !isClass) {
        return (
          at +
          1 +
          /** @type {RegExpExecArray} */ (/^\w*/.exec(source.slice(at + 1, at + 12)))[0].length
        )
      }
    }
    throw new LexError('the regular expression is never closed', this.at)
  }

  /** Whether a slash here begins a regular expression; else it divides. */
  beginsRegex() {
    const { tokens } = this
    const last = tokens.length - 1
    if (last < 0) return true
    const kind = tokens.kinds[last]
    const text = tokens.text(last)
    if (kind === TEMPLATE) return text.endsWith('${')
    if (kind === NAME) return this.isOperator(last)
    if (kind !== PUNCTUATION) return false
    if (text === ')') return this.isCondition(tokens.pairs[last])
    if (text === '}') return this.closedBlock
    return text !== ']' && text !== '++' && text !== '--'
  }

  /** @param {number} index of a name @returns {boolean} */
  isOperator(index) {
    const { tokens } = this
    const text = tokens.text(index)
    if (!OPERATOR_WORDS.has(text) || isProperty(tokens, index)) return false
    if (text !== 'of') return true
    // A name of its own unless it follows what a loop declares.
    const before = tokens.text(index - 1)
    if (tokens.kinds[index - 1] === NAME) return !OPERATOR_WORDS.has(before)
    return before === ']' || before === '}'
  }

  /** @param {number} open a parenthesis @returns {boolean} whether a statement follows its pair */
  isCondition(open) {
    const { tokens } = this
    const isForAwait = tokens.text(open - 1) === 'await' && tokens.text(open - 2) === 'for'
    const word = isForAwait ? open - 2 : open - 1
    return CONDITION_WORDS.has(tokens.text(word)) && !isProperty(tokens, word)
  }

  /** Whether a brace here begins a block or body; else it is an object. */
  beginsBlock() {
    const { tokens } = this
    const last = tokens.length - 1
    if (last < 0) return true
    const text = tokens.text(last)
    if (tokens.kinds[last] === NAME) {
      return isProperty(tokens, last) || BLOCK_WORDS.has(text) || !OPERATOR_WORDS.has(text)
    }
    if (text === ':') return this.open.at(-1)?.isBlock ?? true
    return tokens.kinds[last] === PUNCTUATION && BLOCK_MARKS.has(text)
  }
}

/** @param {string} source @param {number} at */
function isDigit(source, at) {
  const code = source.charCodeAt(at)
  return code >= 48 && code <= 57
}

/** @param {Tokens} tokens @param {number} index @returns {boolean} whether a dot comes before the token */
function isProperty(tokens, index) {
  const before = tokens.text(index - 1)
  return before === '.' || before === '?.'
}

/**
 * @param {string} source
 * @returns {Tokens}
 * @throws {LexError}
 */
function tokenize(source) {
  return new Lexer(source).run()
}

/**
 * @param {string} source
 * @param {number} index
 * @returns {{ line: number, column: number }} from 1
 */
function placeOf(source, index) {
  const lines = source.slice(0, index).split(/\r\n|[\n\r\u2028\u2029]/)
  return { line: lines.length, column: lines[lines.length - 1].length + 1 }
}

module.exports = { isProperty, LexError, NAME, placeOf, STRING, tokenize, Tokens }
