// Where a JSON text stops being one. `JSON.parse` does not always say, and never as line and column.

const TOKEN =
  // eslint-disable-next-line no-control-regex -- control characters are what this is about
  /[ \t\n\r]+|"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null|[[\]{},:]/y

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
  const token = new RegExp(TOKEN)
  /** @type {string[]} */
  const open = []
  /** @type {keyof typeof EXPECTED} */
  let state = 'value'
  let at = 0
  while (at < text.length) {
    token.lastIndex = at
    const match = token.exec(text)
    const blank = match !== null && /^[ \t\n\r]/.test(match[0])
    /** @type {keyof typeof EXPECTED | undefined} */
    const next = match === null ? undefined : blank ? state : advance(match[0], state, open)
    if (match === null || next === undefined) break
    state = next
    at += match[0].length
  }
  if (at === text.length && state === 'nothing') return undefined
  const before = text.slice(0, at).split('\n')
  return {
    line: before.length,
    column: before[before.length - 1].length + 1,
    expected: EXPECTED[state],
  }
}
