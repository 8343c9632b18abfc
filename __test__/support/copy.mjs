// Copies of the package in folders of their own, as an installation has them.

import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const ROOT = fileURLToPath(new URL('../../', import.meta.url))

/** The name of the addon's file on this platform. */
export const ADDON = readdirSync(ROOT).find((name) => /^dollar-send\..*\.node$/.test(name)) ?? ''

/**
 * A folder that is removed after the test.
 *
 * @param {{ after(fn: () => unknown): void }} t
 */
export function folderFor(t) {
  const folder = mkdtempSync(join(tmpdir(), 'package-'))
  t.after(() => rmSync(folder, { recursive: true, force: true, maxRetries: 3 }))
  return folder
}

/**
 * Copies what is published of the package, with or without the addon.
 *
 * @param {string} place
 * @param {{ addon?: boolean }} [options]
 */
export function copyPackage(place, { addon = true } = {}) {
  const { files } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'))
  const names = readdirSync(ROOT).filter(
    (name) => files.includes(name) || name === 'package.json' || name === 'binding.cjs',
  )
  mkdirSync(place, { recursive: true })
  for (const name of names) cpSync(join(ROOT, name), join(place, name), { recursive: true })
  if (addon) placeAddon(place)
}

/**
 * Puts a copy of the addon there. A link would be the same library for the system, and share its state.
 *
 * @param {string} place
 * @param {string} [name]
 */
export function placeAddon(place, name = ADDON) {
  mkdirSync(place, { recursive: true })
  cpSync(join(ROOT, ADDON), join(place, name))
}
