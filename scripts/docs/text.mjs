// Markdown from sentences.

/** The longest line of a list. */
const WIDTH = 140

/**
 * Breaks a paragraph into lines; those after the first are indented.
 *
 * @param {string} text
 * @param {string} [indent]
 */
export function wrapped(text, indent = '') {
  const lines = []
  let line = ''
  // A break inside of code would change it.
  for (const word of text.match(/(?:`[^`]*`|[^\s`])+/g) ?? []) {
    if (line && line.length + word.length + 1 > WIDTH) {
      lines.push(line)
      line = indent + word
    } else line = line ? `${line} ${word}` : word
  }
  return [...lines, line].join('\n')
}

/** Returns a comment of a declaration as one line. @param {string} comment */
export const flat = (comment) =>
  comment
    .replace(/^\s*\/?\*+\/?|\*\/\s*$/gm, '')
    .replace(/\{@link (\w+)\}/g, '`$1`')
    .replace(/\s+/g, ' ')
    .trim()
