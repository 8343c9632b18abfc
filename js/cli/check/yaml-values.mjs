// Values of YAML: what a plain text means, and keys that are only data.

const NUMBER = /^[-+]?(0|[1-9]\d*)(\.\d*)?(e[-+]?\d+)?$/i
const WORDS = new Map([
  ['', null],
  ['~', null],
  ['null', null],
  ['true', true],
  ['false', false],
])

export class YamlError extends Error {
  /** @param {number} line @param {string} reason */
  constructor(line, reason) {
    super(`line ${line}: ${reason}`)
    this.name = 'YamlError'
  }
}

/** @param {string} text without quotes @returns {unknown} */
export function plainValue(text) {
  const word = text.toLowerCase()
  if (WORDS.has(word)) return WORDS.get(word)
  return NUMBER.test(text) ? Number(text) : text
}

/** Sets a key, `__proto__` too, as data. @param {Record<string, unknown>} target @param {string} key @param {unknown} value */
export function setKey(target, key, value) {
  Object.defineProperty(target, key, {
    value,
    enumerable: true,
    writable: true,
    configurable: true,
  })
}
