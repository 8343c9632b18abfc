// The commands of a block of the shell.

/**
 * Splits a line into words; quotes hold them together.
 *
 * @param {string} line
 */
function wordsOf(line) {
  const words = line.match(/(?:'[^']*'|"(?:\\.|[^"\\])*"|\\.|[^\s'"\\])+/g) ?? []
  return words.map((word) => word.replace(/'([^']*)'|"((?:\\.|[^"\\])*)"/g, '$1$2'))
}

/**
 * Returns the commands of a block, each as its words, without variables and redirections.
 *
 * @param {string} code
 * @returns {string[][]}
 */
export function commandsIn(code) {
  const lines = code.replaceAll('\\\n', ' ').split('\n')
  return lines
    .map((line) => line.replace(/(^|\s)#.*$/, ''))
    .flatMap((line) => line.split(/ && | \| /))
    .map((line) => wordsOf(line.replace(/ > \S+.*$/, '')))
    .map((words) => words.slice(words.findIndex((word) => !/^\w+=/.test(word))))
    .filter((words) => words.length > 0)
}
