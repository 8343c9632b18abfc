// Checks that the repository says the same version everywhere before it is released:
// `node scripts/check-release.mjs [TAG]`. Without a tag the changelog may still be undated.

import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

import { fail } from './run.mjs'
import { readManifest, ROOT } from './targets.mjs'

/**
 * Returns what keeps a version from being released.
 *
 * @param {{ tag: string, version: string, cargo: string, changelog: string }} state
 * @returns {string[]}
 */
export function obstacles({ tag, version, cargo, changelog }) {
  const crate = /^version = "(.*)"$/m.exec(cargo)?.[1]
  const section = sectionOf(changelog, version)
  const dated = new RegExp(`^## \\[${escaped(version)}\\] - \\d{4}-\\d{2}-\\d{2}$`, 'm')
  return [
    crate !== version && `Cargo.toml has version ${crate}, package.json has ${version}`,
    !section && `CHANGELOG.md has no section for ${version}`,
    tag && tag !== `v${version}` && `the tag is ${tag}, package.json has version ${version}`,
    tag && !dated.test(changelog) && `the section for ${version} in CHANGELOG.md has no date`,
    tag && sectionOf(changelog, 'Unreleased') && 'CHANGELOG.md has unreleased entries',
  ].filter((obstacle) => typeof obstacle === 'string' && obstacle !== '')
}

/**
 * Returns the text of a section of the changelog; an empty text when there is none.
 *
 * @param {string} changelog
 * @param {string} name
 */
function sectionOf(changelog, name) {
  const [, ...sections] = changelog.split(/^## /m)
  const section = sections.find((text) => text.startsWith(`[${name}]`)) ?? ''
  return section.split('\n').slice(1).join('\n').trim()
}

/** @param {string} text */
function escaped(text) {
  return text.replace(/[.+]/g, '\\$&')
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const read = (/** @type {string} */ name) => readFileSync(`${ROOT}${name}`, 'utf8')
  const state = { cargo: read('Cargo.toml'), changelog: read('CHANGELOG.md') }
  const { version } = readManifest()
  const found = obstacles({ tag: process.argv[2] ?? '', version, ...state })
  if (found.length > 0) fail(found.join('\n'))
  console.log(`Version ${version}: nothing keeps it from being released`)
}
