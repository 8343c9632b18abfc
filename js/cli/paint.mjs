// Text for a terminal: colour where it is wanted, and nothing that could steer the terminal.

const STYLES = /** @type {const} */ ({ bold: 1, dim: 2, red: 31, green: 32, yellow: 33, cyan: 36 })

const HARMFUL =
  // eslint-disable-next-line no-control-regex -- control characters are what this is about
  /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g

/** @typedef {(style: keyof typeof STYLES, text: string) => string} Paint */

const MARKS = /** @type {const} */ ({
  delivered: ['green', '✔'],
  failed: ['red', '✘'],
  discarded: ['yellow', '○'],
})

/**
 * Returns the style and the mark of a delivery in this status.
 *
 * @param {string} status
 */
export function markOf(status) {
  return MARKS[/** @type {keyof typeof MARKS} */ (status)] ?? /** @type {const} */ (['yellow', '…'])
}

/**
 * Colours for a stream: only on a terminal, and not when `NO_COLOR` is set to anything (no-color.org).
 *
 * @param {{ isTTY?: boolean }} stream
 * @param {Record<string, string | undefined>} [environment]
 * @returns {Paint}
 */
export function createPaint(stream, environment = process.env) {
  if (!stream.isTTY || environment.NO_COLOR || environment.TERM === 'dumb') return (_, text) => text
  return (style, text) => (text === '' ? '' : `\u001b[${STYLES[style]}m${text}\u001b[0m`)
}

/**
 * Foreign text made harmless: control characters, also those that reorder text, become visible escapes.
 * Line feeds and tabs stay.
 *
 * @param {string} text
 * @returns {string}
 */
export function harmless(text) {
  return text.replaceAll('\r\n', '\n').replace(HARMFUL, (character) => {
    const code = character.charCodeAt(0)
    return code < 256 ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u${code.toString(16)}`
  })
}

/**
 * Foreign text made harmless that is to stay on one line, so that it cannot pass for other lines.
 *
 * @param {string} text
 * @returns {string}
 */
export function oneLine(text) {
  return harmless(text).replaceAll('\n', '\\n').replaceAll('\t', '\\t')
}

/**
 * A value as JSON that a terminal shows as it is: what could steer it becomes an escape of JSON.
 *
 * @param {unknown} value
 * @param {number} [indent]
 * @returns {string}
 */
export function harmlessJson(value, indent = 2) {
  return JSON.stringify(value, null, indent).replace(HARMFUL, (character) => {
    return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`
  })
}

/**
 * Coloured text made harmless: its colours stay.
 *
 * @param {string} text
 * @returns {string}
 */
export function harmlessColours(text) {
  // eslint-disable-next-line no-control-regex -- the beginning of a colour
  const parts = text.split(/(\u001b\[\d+m)/)
  return parts.map((part, place) => (place % 2 === 0 ? harmless(part) : part)).join('')
}
