// Where a JSON text stops being one. `JSON.parse` does not always say, and never as line and column.

const TOKEN = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null|[[\]{},:]/y
/** Searched for, because a pattern over a long run of characters overflows the stack. */
const NOT_SPACE = /[^ \t\n\r]/g
// eslint-disable-next-line no-control-regex -- control characters are what this is about
const SPECIAL = /["\\\u0000-\u001f]/g
const ESCAPE = /\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})/y

/** @param {RegExp} pattern global @param {string} text @param {number} from @returns {number} its place, or the end */
function indexOf(pattern, text, from) {
  pattern.lastIndex = from
  return pattern.exec(text)?.index ?? text.length
}

/** @param {string} text @param {number} at @returns {number} the end of the string there; -1: it is none */
function stringEnd(text, at) {
  for (at = indexOf(SPECIAL, text, at + 1); text[at] === '\\'; at = indexOf(SPECIAL, text, at)) {
    ESCAPE.lastIndex = at
    if (!ESCAPE.test(text)) return -1
    at = ESCAPE.lastIndex
  }
  return text[at] === '"' ? at + 1 : -1
}

/** @param {string} text @param {number} at @returns {number} the end of the token there; -1: it is none */
function tokenEnd(text, at) {
  if (text[at] === '"') return stringEnd(text, at)
  TOKEN.lastIndex = at
  return TOKEN.test(text) ? TOKEN.lastIndex : -1
}

/** What may come next, by name, and what people call it. */
const EXPECTED = {
  value: 'a value',
  valueOrEnd: 'a value or ]',
  keyOrEnd: 'a name in double quotes or }',
  key: 'a name in double quotes',
  colon: ':',
  commaOrEnd: ', or the closing bracket',
  nothing: 'the end of the text',
}

/**
 * What may follow `token`, or `undefined` if it may not stand here.
 *
 * @param {string} token
 * @param {keyof typeof EXPECTED} state
 * @param {string[]} open the brackets that are open
 * @returns {keyof typeof EXPECTED | undefined}
 */
function advance(token, state, open) {
  /** @returns {keyof typeof EXPECTED} */
  const afterValue = () => (open.length > 0 ? 'commaOrEnd' : 'nothing')
  if (state === 'nothing') return undefined
  if (state === 'colon') return token === ':' ? 'value' : undefined
  if (state === 'key' || state === 'keyOrEnd') {
    if (token.startsWith('"')) return 'colon'
    if (token !== '}' || state === 'key') return undefined
    open.pop()
    return afterValue()
  }
  if (state === 'commaOrEnd') {
    const bracket = open.at(-1)
    if (token === ',') return bracket === '{' ? 'key' : 'value'
    if (token !== (bracket === '{' ? '}' : ']')) return undefined
    open.pop()
    return afterValue()
  }
  if (token === '{' || token === '[') {
    open.push(token)
    return token === '{' ? 'keyOrEnd' : 'valueOrEnd'
  }
  if (token === ']' && state === 'valueOrEnd') {
    open.pop()
    return afterValue()
  }
  return /^[\]},:]/.test(token) ? undefined : afterValue()
}

/**
 * The first place where `text` is not JSON.
 *
 * @param {string} text
 * @returns {{ line: number, column: number, expected: string } | undefined} from 1; undefined if it is JSON
 */
export function locateJsonError(text) {
  /** @type {string[]} */
  const open = []
  /** @type {keyof typeof EXPECTED} */
  let state = 'value'
  let at = indexOf(NOT_SPACE, text, 0)
  while (at < text.length) {
    const end = tokenEnd(text, at)
    /** @type {keyof typeof EXPECTED | undefined} */
    const next = end < 0 ? undefined : advance(text.slice(at, end), state, open)
    if (next === undefined) break
    state = next
    at = indexOf(NOT_SPACE, text, end)
  }
  if (at === text.length && state === 'nothing') return undefined
  const before = text.slice(0, at).split('\n')
  return {
    line: before.length,
    column: before[before.length - 1].length + 1,
    expected: EXPECTED[state],
  }
}
