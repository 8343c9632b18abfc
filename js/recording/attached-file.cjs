// @ts-check
'use strict'

// Files that mails attach by their path. They are read at the call, as everything of a call is.

const fs = require('node:fs')
const { isAbsolute, join, relative, resolve, sep } = require('node:path')

const { constants } = fs

/**
 * Returns the bytes of a file in the folder. Throws for what is outside it, behind a link, no plain
 * file, or larger than the limit.
 *
 * @param {string | undefined} folder
 * @param {string} path
 * @param {number} limit
 */
function attachedFile(folder, path, limit) {
  if (!folder) throw new Error('files are attached from `email.attachmentFolder`, which is not set')
  const root = fs.realpathSync(folder)
  const file = join(root, inside(folder, root, path))
  refuseLinks(root, file)
  // A link that takes the place of the file now is refused, and a pipe does not block.
  const descriptor = fs.openSync(
    file,
    constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0),
  )
  try {
    const stat = fs.fstatSync(descriptor)
    if (!stat.isFile()) throw new Error('it is no plain file')
    if (stat.size > limit) throw new Error(`the file has ${stat.size} bytes`)
    // So does a link that takes the place of a folder.
    refuseLinks(root, file)
    return fs.readFileSync(descriptor)
  } finally {
    fs.closeSync(descriptor)
  }
}

/**
 * Returns a path below the folder, relative to it.
 *
 * @param {string} folder as it is configured
 * @param {string} root the same without links
 * @param {string} path
 */
function inside(folder, root, path) {
  if (path.includes('\0')) throw new Error('it is no path')
  for (const base of [root, resolve(folder)]) {
    const below = relative(base, resolve(base, path))
    const isOutside = below === '..' || below.startsWith(`..${sep}`) || isAbsolute(below)
    if (!isOutside && below !== '') return below
  }
  throw new Error('the file is not in `email.attachmentFolder`')
}

/**
 * @param {string} root
 * @param {string} file
 */
function refuseLinks(root, file) {
  let path = root
  for (const name of relative(root, file).split(sep)) {
    path = join(path, name)
    if (fs.lstatSync(path).isSymbolicLink()) throw new Error('links are not followed')
  }
}

module.exports = { attachedFile }
