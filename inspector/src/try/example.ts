// Reads the arguments of calls in the text of a step, without running it: literals are read, and any
// other expression stands for itself as a text.

export type Literal = null | boolean | number | string | Literal[] | { [name: string]: Literal }

/** Nested values of an argument. */
const MAX_DEPTH = 30

/** Returns the first argument of each call of one of these functions. */
export function argumentsIn(source: string, ...names: string[]): Literal[] {
  const found: Literal[] = []
  for (let at = 0; at < source.length; at++) {
    const name = names.find((known) => source.startsWith(known, at))
    if (name === undefined) continue
    const reader = new Reader(source, at + name.length)
    if (!reader.take('(')) continue
    const value = reader.value(0)
    if (value !== undefined) found.push(value)
    at = reader.at - 1
  }
  return found
}

class Reader {
  constructor(
    readonly text: string,
    public at: number,
  ) {}

  /** Takes a character after spaces and comments. */
  take(character: string): boolean {
    this.#skip()
    if (this.text[this.at] !== character) return false
    this.at++
    return true
  }

  /** Takes a value. An expression that is no literal becomes its own text. */
  value(depth: number): Literal | undefined {
    this.#skip()
    const begin = this.at
    const value = depth > MAX_DEPTH ? undefined : this.#literal(depth)
    this.#skip()
    const isWhole = value !== undefined && /[,)\]}]|$/.test(this.text[this.at] ?? '')
    if (isWhole) return value
    this.at = begin
    return this.#expression()
  }

  #literal(depth: number): Literal | undefined {
    const first = this.text[this.at] ?? ''
    if (first === '{') return this.#object(depth)
    if (first === '[') return this.#list(depth)
    if (first === '"' || first === "'" || first === '`') return this.#string(first)
    const [word] = /^[\w.+-]+/.exec(this.text.slice(this.at, this.at + 40)) ?? []
    if (word === undefined) return undefined
    this.at += word.length
    if (word === 'true' || word === 'false') return word === 'true'
    if (word === 'null') return null
    return /^[+-]?\d/.test(word) && Number.isFinite(Number(word)) ? Number(word) : undefined
  }

  #object(depth: number): Literal | undefined {
    const members: [string, Literal][] = []
    this.take('{')
    while (!this.take('}')) {
      const name = this.#name()
      if (name === undefined) return undefined
      // `{ name }` is the variable of that name.
      const value = this.take(':') ? this.value(depth + 1) : placeholder(name)
      if (value !== undefined) members.push([name, value])
      if (!this.take(',') && this.text[this.at] !== '}') return undefined
    }
    return Object.fromEntries(members)
  }

  #name(): string | undefined {
    this.#skip()
    const first = this.text[this.at] ?? ''
    if (first === '"' || first === "'") return this.#string(first)
    const [name] = /^[\w$]+/.exec(this.text.slice(this.at, this.at + 200)) ?? []
    this.at += name?.length ?? 0
    return name
  }

  #list(depth: number): Literal | undefined {
    const values: Literal[] = []
    this.take('[')
    while (!this.take(']')) {
      const value = this.value(depth + 1)
      if (value === undefined) return undefined
      values.push(value)
      if (!this.take(',') && this.text[this.at] !== ']') return undefined
    }
    return values
  }

  /** Takes a string; undefined for a template with expressions. */
  #string(quote: string): string | undefined {
    let text = ''
    for (this.at++; this.at < this.text.length; this.at++) {
      const character = this.text[this.at] ?? ''
      if (character === quote) {
        this.at++
        return text
      }
      if (quote === '`' && this.text.startsWith('${', this.at)) return undefined
      if (character !== '\\') text += character
      else text += ESCAPES[this.text[++this.at] ?? ''] ?? this.text[this.at] ?? ''
    }
    return undefined
  }

  /** Takes an expression up to the comma or bracket that ends it. */
  #expression(): Literal | undefined {
    const begin = this.at
    let open = 0
    for (; this.at < this.text.length; this.at++) {
      const character = this.text[this.at] ?? ''
      if (open === 0 && /[,)\]}]/.test(character)) break
      if (/["'`]/.test(character)) this.#skipString(character)
      else if (/[([{]/.test(character)) open++
      else if (/[)\]}]/.test(character)) open--
    }
    const text = this.text.slice(begin, this.at).trim()
    return text === '' ? undefined : placeholder(text)
  }

  #skipString(quote: string): void {
    for (this.at++; this.at < this.text.length && this.text[this.at] !== quote; this.at++) {
      if (this.text[this.at] === '\\') this.at++
    }
  }

  #skip(): void {
    const [space] = /^(?:\s|\/\/[^\n]*|\/\*[^]*?\*\/)*/.exec(this.text.slice(this.at)) ?? ['']
    this.at += space.length
  }
}

const ESCAPES: Record<string, string> = { n: '\n', t: '\t', r: '\r', '\n': '' }

function placeholder(expression: string): string {
  return `‹${expression.replace(/\s+/g, ' ')}›`
}
