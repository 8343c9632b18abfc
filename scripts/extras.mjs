// The specs that need more than a small machine has: found by what they import, themselves or through
// their support files.

import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const ROOT = fileURLToPath(new URL('..', import.meta.url))

/** What is large to install, by the module that installs or finds it. */
const EXTRAS = {
  'scripts/browser.mjs': 'Chromium',
  'scripts/clickhouse.mjs': "ClickHouse's engine",
  'scripts/npm-tools.mjs': 'other versions of Node, Bun, Deno, Jest and Vitest',
  'scripts/postgres-server.mjs': 'PostgreSQL',
}

/** Returns the files of the repository that a file imports. @param {string} path */
function importsOf(path) {
  const text = readFileSync(join(ROOT, path), 'utf8')
  return [...text.matchAll(/(?:from|import\(?) ?['"](\.[^'"]+)['"]/g)]
    .map(([, specifier]) => join(dirname(path), specifier).replaceAll('\\', '/'))
    .filter((found) => existsSync(join(ROOT, found)))
}

/**
 * Returns the extras that a spec needs.
 *
 * @param {string} spec its path in the repository
 * @returns {string[]}
 */
export function extrasOf(spec) {
  const seen = new Set([spec])
  for (const path of seen) {
    if (path in EXTRAS || !/\.[cm]?js$/.test(path)) continue
    for (const found of importsOf(path)) seen.add(found)
  }
  return Object.entries(EXTRAS)
    .filter(([module]) => seen.has(module))
    .map(([, name]) => name)
}
