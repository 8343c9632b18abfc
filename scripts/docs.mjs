// Writes the generated parts of the documents, and the lists of destinations: `npm run docs`. With --check
// it changes nothing, and fails if a part is not what its source says.

import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

import { cliSection } from './docs/cli.mjs'
import { interfaceSection, optionsSection } from './docs/declarations.mjs'
import { errorsSection, warningsSection } from './docs/codes.mjs'
import { outdatedFiles } from './docs/destinations.mjs'
import { pages, ROOT } from './docs/pages.mjs'
import { metricsSection, restSection } from './docs/server.mjs'

/** The generated parts by the name in `<!-- begin: NAME ARGUMENTS -->`. */
const SECTIONS = {
  cli: cliSection,
  errors: errorsSection,
  interface: interfaceSection,
  metrics: metricsSection,
  options: optionsSection,
  rest: restSection,
  warnings: warningsSection,
}

const SECTION = /<!-- begin: (\w+)(.*?) -->\n[^]*?<!-- end: \1 -->/g
const INCLUDED = /<!-- file: (\S+) -->\n```(\w+)\n[^]*?^```$/gm

/**
 * Returns the page as its sources have it.
 *
 * @param {string} text
 * @returns {Promise<string>}
 */
export async function generated(text) {
  const parts = await Promise.all(
    [...text.matchAll(SECTION)].map(async ([, name, words]) => {
      const args = words.split(' ').filter(Boolean)
      if (!(name in SECTIONS)) throw new Error(`There is no generated part ${name}`)
      const body = (await SECTIONS[name](...args)).trim()
      return `<!-- begin: ${name}${words} -->\n\n${body}\n\n<!-- end: ${name} -->`
    }),
  )
  return text
    .replace(SECTION, () => /** @type {string} */ (parts.shift()))
    .replace(INCLUDED, (_, path, language) => {
      const content = readFileSync(join(ROOT, path), 'utf8').trimEnd()
      return `<!-- file: ${path} -->\n\`\`\`${language}\n${content}\n\`\`\``
    })
}

/** Returns the pages and files that differ from their sources, with the text that they should have. */
export async function outdated() {
  const found = await outdatedFiles()
  for (const { path, text } of pages()) {
    const wanted = await generated(text)
    if (wanted !== text) found.push({ path, wanted })
  }
  return found
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const isCheck = process.argv.includes('--check')
  const found = await outdated()
  for (const { path, wanted } of found) {
    if (!isCheck) writeFileSync(join(ROOT, path), wanted)
    console.log(isCheck ? `${path} is not what its sources say: npm run docs` : `Wrote ${path}`)
  }
  if (isCheck && found.length > 0) process.exitCode = 1
}
