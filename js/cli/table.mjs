// Rows in columns that fit a terminal. Pure.

/** @typedef {import('./paint.mjs').Paint} Paint */
/**
 * @typedef {object} Column
 * @property {string} [title]
 * @property {'right'} [align]
 * @property {number} [least] the width to which it shrinks when there is not enough room
 */
/**
 * @typedef {object} Cell
 * @property {string} text one harmless line
 * @property {Parameters<Paint>[0]} [style]
 */

const GAP = '  '

/** @param {string} text */
const widthOf = (text) => [...text].length

/**
 * Lays rows out in columns.
 *
 * @param {Column[]} columns
 * @param {Cell[][]} rows
 * @param {Paint} paint
 * @param {number} [width] of the terminal; absent: as wide as the rows are
 * @param {'ruled'} [ruled] a rule below the titles
 * @returns {string[]} lines; the titles first if a column has one
 */
export function table(columns, rows, paint, width, ruled) {
  const head = columns.some(({ title }) => title !== undefined)
    ? [columns.map(({ title = '' }) => /** @type {Cell} */ ({ text: title, style: 'bold' }))]
    : []
  const all = [...head, ...rows]
  const natural = columns.map((_, place) =>
    Math.max(0, ...all.map((row) => widthOf(row[place].text))),
  )
  const widths = fitted(natural, columns, width)
  const lines = all.map((row) => {
    const cells = row.map(({ text, style }, place) => {
      const shown = cut(text, widths[place])
      const pad = ' '.repeat(widths[place] - widthOf(shown))
      const painted = style ? paint(style, shown) : shown
      if (columns[place].align === 'right') return pad + painted
      return place === columns.length - 1 ? painted : painted + pad
    })
    return cells
      .filter((_, place) => widths[place] > 0)
      .join(GAP)
      .trimEnd()
  })
  const rule = widths.map((one) => '-'.repeat(one)).join(GAP)
  return ruled ? [lines[0], rule, ...lines.slice(1)] : lines
}

/**
 * The widths, with the widest of the columns that can shrink made narrower until the row fits.
 *
 * @param {number[]} natural
 * @param {Column[]} columns
 * @param {number | undefined} width
 */
function fitted(natural, columns, width) {
  const widths = [...natural]
  if (width === undefined) return widths
  const used = widths.filter((one) => one > 0)
  let excess = used.reduce((sum, one) => sum + one, (used.length - 1) * GAP.length) - width
  while (excess > 0) {
    const room = widths.map((one, place) => (one > (columns[place].least ?? one) ? one : 0))
    const widest = Math.max(...room)
    if (widest === 0) return widths
    widths[room.indexOf(widest)]--
    excess--
  }
  return widths
}

/** @param {string} text @param {number} width */
function cut(text, width) {
  const characters = [...text]
  return characters.length > width
    ? `${characters.slice(0, Math.max(width - 1, 0)).join('')}…`
    : text
}

/**
 * The width of the terminal that a stream is; `undefined` when it is none.
 *
 * @param {{ isTTY?: boolean, columns?: number }} stream
 */
export function terminalWidth({ isTTY, columns }) {
  return isTTY && columns ? columns : undefined
}
