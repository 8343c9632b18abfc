// The lists of the destinations that are built in, for JavaScript and for the page: files that are
// generated whole, from the list that the addon exports.

import { existsSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'

import { format, resolveConfig } from 'prettier'

import { ROOT } from './pages.mjs'

const SOURCE = '`src/delivery/kind.rs`: `npm run docs`'

/** @param {string[]} names */
const quoted = (names) => names.map((name) => `'${name}'`).join(', ')

/** @type {Record<string, (names: string[]) => string>} */
const FILES = {
  'js/destinations/built-in.cjs': (names) => `// @ts-check
'use strict'

// The destinations that are built in, in the order of their numbers. Generated from the list in
// ${SOURCE}.

const NAMES = /** @type {const} */ ([${quoted(names)}])

const load = () =>
  /** @type {const} */ ([
${names.map((name) => `    require('./${name}.cjs'),`).join('\n')}
  ])

/**
 * Returns a \`$send\` with a function for each of them. It is a literal: V8 keeps functions that are
 * assigned to members for as long as old objects live.
 *
 * @template Sender
 * @param {object} prototype
 * @param {Sender[]} senders
 */
const sendOf = (prototype, [${names.join(', ')}]) => ({
  __proto__: prototype,
${names.map((name) => `  ${name},`).join('\n')}
})

module.exports = { NAMES, load, sendOf }
`,
  'inspector/src/destinations.ts': (
    names,
  ) => `// The destinations that are built in. Generated from the list in
// ${SOURCE}.

export const DESTINATIONS = [${quoted(names)}]
`,
}

/** Returns the generated files that differ from the list, with the text that they should have. */
export async function outdatedFiles() {
  const names = createRequire(import.meta.url)('../../js/native.cjs').destinations()
  const found = []
  for (const [path, textOf] of Object.entries(FILES)) {
    const filepath = join(ROOT, path)
    const wanted = await format(textOf(names), { ...(await resolveConfig(filepath)), filepath })
    if (!existsSync(filepath) || readFileSync(filepath, 'utf8') !== wanted) {
      found.push({ path, wanted })
    }
  }
  return found
}
