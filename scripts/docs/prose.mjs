// The rules for prose that can be counted.

import { withoutCode } from './pages.mjs'

/** The longest line, tables included. */
const MAX_LINE = 160

/** The front page is read in two minutes. */
const README = { words: 1300, lines: 200 }

/** Sentences that begin with one of these hide their subject. */
const OPENING = /^(What|Whether|Who|How|Where)\b(?!.*\?$)/

/** Words for people, parables, and phrases that another one replaces. */
const BANNED = [
  ...['nobody', 'somebody', 'whoever', 'everybody', 'asked', 'told', 'wants to', 'whom'],
  ...['wish', 'hurry', 'notebook', 'landed', 'heard', 'rung', 'bell'],
  ...['the answer', 'the original', "the documents' example", 'attempted again'],
]
const BANNED_WORD = new RegExp(`\\b(${BANNED.join('|')})\\b`, 'i')

/**
 * Returns the sentences of a line of Markdown: those of a paragraph, of an item and of cells.
 *
 * @param {string} line
 */
function sentencesOf(line) {
  const plain = line
    .replace(/`[^`]*`/g, '`code`')
    .replace(/\[([^\]]*)\]\([^)]*\)/g, '$1')
    .replace(/[*_]{1,2}(?=\S)|(?<=\S)[*_]{1,2}/g, '')
  const cells = plain.startsWith('|')
    ? plain.split(/(?<!\\)\|/)
    : [plain.replace(/^\s*([-+]|\d+\.) /, '')]
  return cells.flatMap((cell) => cell.trim().split(/(?<=[.:;!?]) +(?=[A-Z`])/))
}

/** Returns whether a line ends a sentence, so that the next one begins with its own. @param {string} line */
const isEnd = (line) => line === '' || /^[#|>]|[.:!?]$|-->$/.test(line)

/**
 * Returns what is wrong with the prose of a page, one text each.
 *
 * @param {{ path: string, text: string }} page
 */
export function faultsOf({ path, text }) {
  const found = []
  const prose = withoutCode(text)
  let before = ''
  for (const line of prose.split('\n')) {
    if (line.length > MAX_LINE)
      found.push(`a line of ${line.length} characters: ${line.slice(0, 60)}…`)
    const [, word] = BANNED_WORD.exec(line.replace(/`[^`]*`/g, '')) ?? []
    if (word) found.push(`"${word}": ${line.trim().slice(0, 100)}`)
    const isItem = /^\s*([-+|]|\d+\.)/.test(line)
    const own = line.startsWith('#') ? [] : sentencesOf(line)
    const whole = isEnd(before) || isItem ? own : own.slice(1)
    for (const sentence of whole) {
      if (OPENING.test(sentence))
        found.push(`begins with ${sentence.split(' ')[0]}: ${sentence.slice(0, 80)}`)
    }
    before = line.trim()
  }
  if (path === 'README.md') found.push(...sizeOf(text))
  return found.map((fault) => `${path}: ${fault}`)
}

/** @param {string} text */
function sizeOf(text) {
  const words = text.split(/\s+/).filter(Boolean).length
  const lines = text.trimEnd().split('\n').length
  return [
    words > README.words && `${words} words, more than ${README.words}`,
    lines > README.lines && `${lines} lines, more than ${README.lines}`,
  ].filter((fault) => typeof fault === 'string')
}
