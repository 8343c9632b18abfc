// Data directories that end with the test.

import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** @param {{ after(fn: () => unknown): void }} t */
export function dataDirectory(t) {
  const parent = mkdtempSync(join(tmpdir(), 'dollar-send-test-'))
  t.after(() => rmSync(parent, { recursive: true, force: true }))
  return join(parent, 'data')
}

/**
 * All bytes of a directory's files.
 *
 * @param {string} directory
 */
export function bytesIn(directory) {
  const files = readdirSync(directory).map((name) => readFileSync(join(directory, name)))
  return Buffer.concat(files).toString('latin1')
}
