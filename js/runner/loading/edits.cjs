// @ts-check
'use strict'

// Changes to a text that keep every line and column in its place.

/** @param {string} text @returns {string} spaces, with its line breaks */
function blank(text) {
  return text.replace(/[^\n\r\u2028\u2029]/g, ' ')
}

class Edits {
  /** @param {string} source */
  constructor(source) {
    this.source = source
    /** @type {{ start: number, end: number, text: string }[]} */ this.list = []
  }

  /**
   * Replaces a part by a text that is not longer.
   *
   * @param {number} start
   * @param {number} end
   * @param {string} [text]
   */
  replace(start, end, text = '') {
    const rest = this.source.slice(start + text.length, end)
    this.list.push({ start, end, text: text + blank(rest) })
  }

  /** @param {number} at @param {string} text where a line ends, so that nothing moves */
  insert(at, text) {
    this.list.push({ start: at, end: at, text })
  }

  /** @returns {string} */
  apply() {
    const parts = []
    let at = 0
    for (const { start, end, text } of this.list.sort((one, other) => one.start - other.start)) {
      parts.push(this.source.slice(at, start), text)
      at = end
    }
    return parts.join('') + this.source.slice(at)
  }
}

module.exports = { Edits }
