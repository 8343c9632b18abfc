// The Markdown pages of the repository, and their blocks of code.

import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const ROOT = fileURLToPath(new URL('../../', import.meta.url))

/** The folders with pages; those of the root itself are not searched for folders. */
const FOLDERS = ['docs', 'examples', 'benches']

/** A changelog is written once for each release; it is no guide. */
const LEFT_OUT = ['CHANGELOG.md']

/**
 * Returns the pages, by their paths in the repository.
 *
 * @returns {Array<{ path: string, text: string }>}
 */
export function pages() {
  const inFolders = FOLDERS.flatMap((folder) =>
    readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' }).map((file) =>
      join(folder, file).replaceAll('\\', '/'),
    ),
  )
  return [...readdirSync(ROOT), ...inFolders]
    .filter((path) => path.endsWith('.md') && !LEFT_OUT.includes(path))
    .filter((path) => !path.includes('node_modules'))
    .map((path) => ({ path, text: readFileSync(join(ROOT, path), 'utf8') }))
}

/**
 * @typedef {object} Block
 * @property {string} language of the fence, empty for none
 * @property {string} code
 * @property {number} line of the fence, from 1
 * @property {string} [file] whose text it is
 */

/**
 * Returns the blocks of code of a page.
 *
 * @param {string} text
 * @returns {Block[]}
 */
export function blocks(text) {
  const found = []
  for (const match of text.matchAll(/^(?:<!-- file: (\S+) -->\n)?```(\w*)\n([^]*?)^```$/gm)) {
    const [, file, language, code] = match
    const before = text.slice(0, match.index).split('\n').length
    found.push({ language, code, line: before + (file ? 1 : 0), file })
  }
  return found
}

/** Returns a page without its blocks of code. @param {string} text */
export const withoutCode = (text) => text.replace(/^```[^]*?^```$/gm, '')

/** Returns the ids of the headings of a page, as GitHub makes them. @param {string} text */
export function anchors(text) {
  /** @type {Map<string, number>} */
  const taken = new Map()
  return [...withoutCode(text).matchAll(/^#+ (.*)$/gm)].map(([, title]) => {
    const id = title
      .toLowerCase()
      .replace(/\[([^\]]*)\]\([^)]*\)/g, '$1')
      .replace(/[^\p{L}\p{N}\-_ ]/gu, '')
      .replaceAll(' ', '-')
    const count = taken.get(id) ?? 0
    taken.set(id, count + 1)
    return count === 0 ? id : `${id}-${count}`
  })
}

/**
 * Returns the relative links of a page that lead nowhere.
 *
 * @param {{ path: string, text: string }} page
 */
export function brokenLinks({ path, text }) {
  const prose = withoutCode(text).replace(/`[^`\n]*`/g, '``')
  const patterns = [
    /\]\((?!https?:|mailto:)([^)\s]+)\)/g,
    /(?:src|srcset|href)="(?!https?:)([^"]+)"/g,
  ]
  const links = patterns.flatMap((pattern) => [...prose.matchAll(pattern)].map(([, link]) => link))
  return links.filter((link) => {
    const [file, anchor] = link.split('#')
    const target = join(ROOT, path, '..', file)
    if (file && !existsSync(target)) return true
    return anchor && !anchors(file ? readFileSync(target, 'utf8') : text).includes(anchor)
  })
}
