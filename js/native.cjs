// @ts-check
'use strict'

// The addon, as the JavaScript of this package sees it. No other file names its loader.

const { candidates } = require('./addon-file.cjs')
const { version } = require('../package.json')

/**
 * Loads the addon.
 *
 * @returns {any}
 * @throws `ERR_SEND_ADDON` when it cannot be loaded, or is of another version.
 */
function load() {
  const places = candidates()
  const found = places[places.length - 1]
  if (found?.path && found.fault) throw require('./addon-error.cjs').loadError(places)
  const native = required(places)
  const own = native._version?.()
  if (own === version) return native
  throw require('./addon-error.cjs').versionError(places, version, own)
}

/**
 * @param {import('./addon-file.cjs').Candidate[]} places
 * @returns {any}
 */
function required(places) {
  try {
    return require('../binding.cjs')
  } catch (error) {
    throw require('./addon-error.cjs').loadError(places, error)
  }
}

module.exports = load()
