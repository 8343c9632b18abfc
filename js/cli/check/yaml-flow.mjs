// The flow style of YAML: `[a, b]`, `{ a: 1 }`, and quoted texts, over one line or several.

import { YamlError, plainValue, setKey } from './yaml-values.mjs'

/** Nesting that a value may have. */
const MAX_DEPTH = 200

/** @type {Record<string, string>} */
const ESCAPES = {
  0: '\0',
  a: '\x07',
  b: '\b',
  t: '\t',
  n: '\n',
  v: '\v',
  f: '\f',
  r: '\r',
  e: '\x1b',
  ' ': ' ',
  '"': '"',
  '/': '/',
  '\\': '\\',
  N: '\x85',
  _: '\xa0',
  L: '\u2028',
  P: '\u2029',
}
/** @type {Record<string, number>} the digits behind an escape */
const HEX = { x: 2, u: 4, U: 8 }

/**
 * @param {string} text
 * @param {number} line
 * @param {() => string | undefined} next returns the line that goes on with the value
 * @returns {unknown}
 * @throws {YamlError}
 */
export function parseFlow(text, line, next) {
  const flow = new Flow(text, line, next)
  const value = flow.value(0)
  flow.end()
  return value
}

class Flow {
  #at = 0

  /** @param {string} text @param {number} line @param {() => string | undefined} next */
  constructor(text, line, next) {
    this.text = text
    this.line = line
    this.next = next
  }

  /** @param {string} reason @returns {never} */
  #fail(reason) {
    throw new YamlError(this.line, reason)
  }

  end() {
    const rest = this.text.slice(this.#at).trim()
    if (rest !== '' && !rest.startsWith('#')) this.#fail(`${rest.slice(0, 20)} is not expected`)
  }

  /** Goes on with the next line. */
  #advance() {
    const text = this.next()
    if (text === undefined) this.#fail('it is cut off')
    this.text = text
    this.line++
    this.#at = 0
  }

  /** Returns the next character that is no space, from the next line if need be. @returns {string} */
  #skip() {
    for (;;) {
      while (/\s/.test(this.text[this.#at] ?? '')) this.#at++
      if (this.#at < this.text.length && !this.text.startsWith('#', this.#at))
        return this.text[this.#at]
      this.#advance()
    }
  }

  /** @param {number} depth @returns {unknown} */
  value(depth) {
    if (depth > MAX_DEPTH) this.#fail(`nested more than ${MAX_DEPTH} times`)
    const first = this.#skip()
    if (first === '[') return this.#list(depth)
    if (first === '{') return this.#mapping(depth)
    if (first === '"' || first === "'") return this.#quoted(first)
    if (/[&*!]/.test(first)) this.#fail('anchors, aliases and tags are not supported')
    return plainValue(this.#plain())
  }

  /** @param {number} depth */
  #list(depth) {
    /** @type {unknown[]} */
    const items = []
    this.#at++
    while (this.#skip() !== ']') {
      items.push(this.value(depth + 1))
      if (this.#skip() === ',') this.#at++
      else if (this.#skip() !== ']') this.#fail('a comma or ] is expected')
    }
    this.#at++
    return items
  }

  /** @param {number} depth */
  #mapping(depth) {
    /** @type {Record<string, unknown>} */
    const mapping = {}
    this.#at++
    for (let first = this.#skip(); first !== '}'; first = this.#skip()) {
      const key = first === '"' || first === "'" ? this.#quoted(first) : this.#plain()
      const hasValue = this.#skip() === ':'
      if (hasValue) this.#at++
      const isEmpty = !hasValue || ',}'.includes(this.#skip())
      setKey(mapping, key, isEmpty ? null : this.value(depth + 1))
      if (this.#skip() === ',') this.#at++
      else if (this.#skip() !== '}') this.#fail('a comma or } is expected')
    }
    this.#at++
    return mapping
  }

  /** @returns {string} */
  #plain() {
    const [text] =
      /^(?:[^,[\]{}:#]|:(?=[^\s,[\]{}])|(?<=\S)#)+/.exec(this.text.slice(this.#at)) ?? []
    if (text === undefined) return this.#fail(`${this.text[this.#at]} is not expected`)
    this.#at += text.length
    return text.trim()
  }

  /** @param {string} quote @returns {string} */
  #quoted(quote) {
    let out = ''
    for (this.#at++; ;) {
      if (this.#at >= this.text.length) {
        out = this.#foldedInto(out)
        continue
      }
      const character = this.text[this.#at++]
      if (character === '\\' && quote === '"') out += this.#escape()
      else if (character !== quote) out += character
      else if (quote === "'" && this.text[this.#at] === "'") out += this.text[this.#at++]
      else return out
    }
  }

  /** Goes on with a quoted text in the next line. @param {string} out @returns {string} */
  #foldedInto(out) {
    let blanks = 0
    for (this.#advance(); this.text === ''; this.#advance()) blanks++
    return out.trimEnd() + (blanks > 0 ? '\n'.repeat(blanks) : ' ')
  }

  /** @returns {string} */
  #escape() {
    const name = this.text[this.#at++]
    if (name === undefined) {
      this.#advance()
      return ''
    }
    if (Object.hasOwn(ESCAPES, name)) return ESCAPES[name]
    if (!Object.hasOwn(HEX, name)) return this.#fail(`\\${name} is no escape`)
    const digits = this.text.slice(this.#at, this.#at + HEX[name])
    const code = parseInt(digits, 16)
    if (!/^[\da-f]+$/i.test(digits) || digits.length < HEX[name] || code > 0x10ffff)
      return this.#fail(`\\${name}${digits} is no escape`)
    this.#at += HEX[name]
    return String.fromCodePoint(code)
  }
}
