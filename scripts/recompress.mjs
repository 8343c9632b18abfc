// Compresses a tarball again, smaller: gzip as it is, made by Zopfli.

import { spawnSync } from 'node:child_process'
import { readFileSync, statSync, writeFileSync } from 'node:fs'
import { basename } from 'node:path'

import { installFromPyPI, pythonProgram } from './python.mjs'

const ZOPFLI = '0.4.3'

/** More rounds win less than a thousandth of the size. */
const ROUNDS = 3

const PROGRAM = `
import gzip, sys, zopfli.gzip
files = gzip.decompress(sys.stdin.buffer.read())
sys.stdout.buffer.write(zopfli.gzip.compress(files, numiterations=${ROUNDS}))
`

/**
 * Takes about a minute for 18 MB. Without Python the tarball stays as it is.
 *
 * @param {string} tarball
 */
export function recompress(tarball) {
  try {
    installFromPyPI('zopfli', ZOPFLI)
  } catch (error) {
    const { message } = /** @type {Error} */ (error)
    console.warn(
      `${basename(tarball)} stays as npm compressed it, which may be too large. ${message}`,
    )
    return
  }
  const python = pythonProgram('zopfli', ZOPFLI, 'python')
  const before = readFileSync(tarball)
  const settings = { input: before, maxBuffer: before.length }
  const { status, stdout, stderr } = spawnSync(python, ['-c', PROGRAM], settings)
  if (status !== 0) throw new Error(`Zopfli could not compress ${tarball}: ${String(stderr)}`)
  writeFileSync(tarball, stdout)
  console.log(
    `${basename(tarball)}: ${before.length} bytes by npm, ${statSync(tarball).size} by Zopfli`,
  )
}
