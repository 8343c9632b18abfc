// @ts-check
'use strict'

// Refusals of unknown names, with the known name that was probably meant.

/** The longest name that a suggestion is sought for. */
const MAX_NAME = 64

/**
 * Returns the known name that is most like `name`, if one is like enough.
 *
 * @param {string} name
 * @param {readonly string[]} known
 * @returns {string | undefined}
 */
function nearest(name, known) {
  if (name === '' || name.length > MAX_NAME) return undefined
  const wanted = folded(name)
  let best
  let least = Infinity
  for (const candidate of known) {
    const other = folded(candidate)
    const isBeginning = wanted.length >= 2 && other.startsWith(wanted)
    const edits = isBeginning ? 1 : distance(wanted, other)
    const limit = Math.min(Math.max(Math.floor(Math.min(other.length, wanted.length) / 3), 1), 3)
    if (edits <= limit && edits < least) {
      best = candidate
      least = edits
    }
  }
  return best
}

/** @param {string} name */
function folded(name) {
  return name.replace(/[_-]/g, '').toLowerCase()
}

/**
 * Returns the number of edits between two words: a letter more, less or other, or two swapped.
 *
 * @param {string} one
 * @param {string} other
 */
function distance(one, other) {
  /** @type {number[]} */
  let before = []
  let last = Array.from({ length: other.length + 1 }, (_, place) => place)
  for (let row = 0; row < one.length; row++) {
    const next = [row + 1]
    for (let column = 0; column < other.length; column++) {
      const replaced = last[column] + (one[row] === other[column] ? 0 : 1)
      let best = Math.min(replaced, last[column + 1] + 1, next[column] + 1)
      const isSwapped =
        row > 0 && column > 0 && one[row - 1] === other[column] && one[row] === other[column - 1]
      if (isSwapped) best = Math.min(best, before[column - 1] + 1)
      next.push(best)
    }
    before = last
    last = next
  }
  return last[other.length]
}

/**
 * Returns the refusal of an unknown name: the suggestion, or else every known name.
 *
 * @param {string} noun such as `option`
 * @param {string} name
 * @param {readonly string[]} known
 * @param {string} [parent] before each name, such as `services.`
 * @returns {string}
 */
function unknown(noun, name, known, parent = '') {
  const meant = nearest(name, known)
  const hint = meant ? `Did you mean ${parent}${meant}?` : `Known: ${known.join(', ')}`
  return `unknown ${noun} ${parent}${name.slice(0, MAX_NAME)}. ${hint}`
}

module.exports = { distance, nearest, unknown }
