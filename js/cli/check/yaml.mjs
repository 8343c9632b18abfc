// Reads the YAML that programs write: block and flow collections, quoted, plain and block scalars, comments.
// A reader of our own, because the package has no dependencies. Anchors, aliases, tags and several documents
// are refused, with their line.

import { parseFlow } from './yaml-flow.mjs'
import { YamlError, plainValue, setKey } from './yaml-values.mjs'

/** @typedef {{ raw: string, indent: number, text: string, number: number }} Line `text` is without the indentation */

/** Nesting that a file may have. */
const MAX_DEPTH = 200

const KEY =
  /^("(?:[^"\\]|\\.)*"|'(?:[^']|'')*'|[^\s"'[{#&*!|>%@`,\]}](?:[^:#]|:(?=\S)|(?<=\S)#)*?):(?=\s|$)/
const BLOCK_SCALAR = /^([|>])([+-]?)([1-9]?)([+-]?)\s*(?:#.*)?$/

/**
 * @param {string} text
 * @returns {unknown}
 * @throws {YamlError}
 */
export function parseYaml(text) {
  return new Reader(linesOf(text)).document()
}

/** @param {string} text @returns {Line[]} of the only document */
function linesOf(text) {
  const lines = text
    .replace(/^\uFEFF/, '')
    .split(/\r?\n/)
    .map((raw, index) => lineOf(raw, index + 1))
  const isContent = (/** @type {Line} */ { text: own }) => own !== '' && !/^[#%]/.test(own)
  const begin = lines.findIndex(({ raw }) => /^---\s*(#.*)?$/.test(raw))
  const hasHead = begin >= 0 && lines.slice(0, begin).every((line) => !isContent(line))
  const body = hasHead ? lines.slice(begin + 1) : lines
  const end = body.findIndex(({ raw }) => /^(---|\.\.\.)(\s|$)/.test(raw))
  if (end < 0) return body
  const second = body.slice(end + 1).find(isContent)
  if (second) throw new YamlError(second.number, 'more than one document')
  return body.slice(0, end)
}

/** @param {string} raw @param {number} number @returns {Line} */
function lineOf(raw, number) {
  const indent = raw.length - raw.trimStart().length
  return { raw, indent, text: raw.trim(), number }
}

class Reader {
  #at = 0
  #depth = 0

  /** @param {Line[]} lines */
  constructor(lines) {
    this.lines = lines
  }

  document() {
    const value = this.#block(-1)
    const line = this.#peek()
    if (line) throw new YamlError(line.number, 'it is not indented like what it belongs to')
    return value
  }

  /** Returns the next line that has content. @returns {Line | undefined} */
  #peek() {
    for (; this.#at < this.lines.length; this.#at++) {
      const line = this.lines[this.#at]
      if (line.text === '' || line.text.startsWith('#')) continue
      if (/^ *\t/.test(line.raw)) throw new YamlError(line.number, 'a tab is used to indent')
      return line
    }
    return undefined
  }

  /** Reads the value whose lines are indented by more than `parent`. @param {number} parent @returns {unknown} */
  #block(parent) {
    const line = this.#peek()
    if (!line || line.indent <= parent) return null
    if (++this.#depth > MAX_DEPTH)
      throw new YamlError(line.number, `nested more than ${MAX_DEPTH} times`)
    const value = this.#collection(line, parent)
    this.#depth--
    return value
  }

  /** @param {Line} line @param {number} parent @returns {unknown} */
  #collection(line, parent) {
    if (isItem(line)) return this.#sequence(line.indent)
    if (KEY.test(line.text)) return this.#mapping(line.indent)
    this.#at++
    return this.#value(line.text, parent, line)
  }

  /** @param {number} indent @returns {unknown[]} */
  #sequence(indent) {
    const items = []
    for (let line = this.#peek(); line && line.indent === indent && isItem(line);) {
      const rest = line.text.slice(1).trimStart()
      if (rest === '' || rest.startsWith('#')) this.#at++
      else this.#restAs(line, rest)
      items.push(this.#block(indent))
      line = this.#peek()
    }
    return items
  }

  /** Goes on behind a dash as if the rest were a line of its own. @param {Line} line @param {string} rest */
  #restAs(line, rest) {
    const indent = line.indent + line.text.length - rest.length
    this.lines[this.#at] = { ...line, raw: ' '.repeat(indent) + rest, indent, text: rest }
  }

  /** @param {number} indent @returns {Record<string, unknown>} */
  #mapping(indent) {
    /** @type {Record<string, unknown>} */
    const mapping = {}
    for (let line = this.#peek(); line && line.indent >= indent; line = this.#peek()) {
      const [all, written] = KEY.exec(line.text) ?? []
      if (line.indent > indent || all === undefined || isItem(line))
        throw new YamlError(line.number, 'a key is expected')
      const key = String(keyOf(written, line.number))
      if (Object.hasOwn(mapping, key))
        throw new YamlError(line.number, `the key ${JSON.stringify(key)} is there twice`)
      this.#at++
      setKey(mapping, key, this.#ofKey(line.text.slice(all.length).trim(), indent, line))
    }
    return mapping
  }

  /** @param {string} rest behind the colon @param {number} indent @param {Line} line @returns {unknown} */
  #ofKey(rest, indent, line) {
    if (rest !== '' && !rest.startsWith('#')) return this.#value(rest, indent, line)
    const next = this.#peek()
    // A list may stand at the indentation of its key.
    return next && next.indent === indent && isItem(next)
      ? this.#sequence(indent)
      : this.#block(indent)
  }

  /** @param {string} text @param {number} parent @param {Line} line @returns {unknown} */
  #value(text, parent, line) {
    if (/^[&*!]/.test(text))
      throw new YamlError(line.number, 'anchors, aliases and tags are not supported')
    if (/^\?(\s|$)/.test(text))
      throw new YamlError(line.number, 'keys with a question mark are not supported')
    const scalar = BLOCK_SCALAR.exec(text)
    if (scalar) return this.#blockScalar(scalar, parent)
    if (/^["'[{]/.test(text)) return parseFlow(text, line.number, () => this.#continuation(parent))
    return this.#plain(text, parent)
  }

  /** Returns the next line if it goes on with a value. @param {number} parent @returns {string | undefined} */
  #continuation(parent) {
    const line = this.lines[this.#at]
    if (!line || (line.text !== '' && line.indent <= parent)) return undefined
    this.#at++
    return line.text
  }

  /** @param {string} text @param {number} parent @returns {unknown} */
  #plain(text, parent) {
    const parts = [withoutComment(text)]
    if (parts[0] !== text) return plainValue(parts[0])
    for (let next = this.#peek(); next && next.indent > parent; next = this.#peek()) {
      if (KEY.test(next.text)) throw new YamlError(next.number, 'a key stands within a text')
      parts.push(withoutComment(next.text))
      this.#at++
    }
    return parts.length > 1 ? parts.join(' ') : plainValue(text)
  }

  /** @param {RegExpExecArray} header @param {number} parent @returns {string} */
  #blockScalar([, style, before, digit, after], parent) {
    /** @type {string[]} */
    const lines = []
    for (; this.#at < this.lines.length; this.#at++) {
      const { raw, text, indent } = this.lines[this.#at]
      if (text !== '' && indent <= parent) break
      lines.push(raw)
    }
    const first = lines.find((line) => line.trim() !== '') ?? ''
    const indent = digit
      ? Math.max(parent, 0) + Number(digit)
      : first.length - first.trimStart().length
    const own = lines.map((line) => line.slice(indent))
    return chomped(style === '>' ? folded(own) : own, before || after)
  }
}

/** @param {string} written @param {number} line */
function keyOf(written, line) {
  return /^["']/.test(written) ? parseFlow(written, line, () => undefined) : written.trimEnd()
}

/** @param {Line} line */
function isItem({ text }) {
  return text === '-' || text.startsWith('- ')
}

/** @param {string} text */
function withoutComment(text) {
  return text.replace(/\s#.*$/, '').trimEnd()
}

/** @param {string[]} lines @returns {string[]} with lines joined that are one paragraph */
function folded(lines) {
  /** @type {string[]} */
  const out = []
  let isOpen = false
  let blanks = 0
  for (const line of lines) {
    const isText = line !== '' && !/^\s/.test(line)
    if (line === '' && isOpen) {
      blanks++
      continue
    }
    if (isText && isOpen && blanks === 0) out[out.length - 1] += ` ${line}`
    else out.push(...Array(Math.max(0, blanks - (isText ? 1 : 0))).fill(''), line)
    isOpen = isText
    blanks = 0
  }
  return [...out, ...Array(blanks).fill('')]
}

/** @param {string[]} lines @param {string} mode @returns {string} */
function chomped(lines, mode) {
  const text = lines.join('\n')
  if (mode === '+') return `${text}\n`
  const trimmed = text.replace(/\n+$/, '')
  return mode === '-' || trimmed === '' ? trimmed : `${trimmed}\n`
}
