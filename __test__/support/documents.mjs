// The blocks of code of the documents: where they stand, and folders in which they run.

import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'

import { blocks, pages } from '../../scripts/docs/pages.mjs'
import { ROOT } from './copy.mjs'

/** @typedef {import('../../scripts/docs/pages.mjs').Block & { path: string, place: string }} Placed */

/**
 * Returns the blocks of all pages in some languages.
 *
 * @param {...string} languages
 * @returns {Placed[]}
 */
export function blocksIn(...languages) {
  return pages().flatMap(({ path, text }) =>
    blocks(text)
      .filter(({ language }) => languages.includes(language))
      .map((block) => ({ ...block, path, place: `${path}:${block.line}` })),
  )
}

/** Returns the name of the file that a block is: its first line, or that of its source. @param {Placed} block */
export function fileName({ code, file }) {
  const [, named] = /^\/\/ ([\w.-]+\.[cm]?[jt]s)\n/.exec(code) ?? []
  return file ? basename(file) : named
}

/**
 * Makes a folder a project in which this package and its command are installed, with the files that the
 * page shows.
 *
 * @param {string} folder
 * @param {string} path of the page
 * @param {(text: string) => string} [changed]
 */
export function projectOf(folder, path, changed = (text) => text) {
  const modules = join(folder, 'node_modules')
  mkdirSync(join(modules, '.bin'), { recursive: true })
  symlinkSync(ROOT, join(modules, 'dollar-send'), 'junction')
  symlinkSync(join(ROOT, 'examples'), join(folder, 'examples'), 'junction')
  for (const block of blocksIn('js').filter((block) => block.path === path)) {
    const name = fileName(block)
    if (name && !block.file) writeFileSync(join(folder, name), changed(block.code))
  }
}
