// @ts-check
'use strict'

// The addon, as the JavaScript of this package sees it. No other file names its loader.

/** @type {any} */
module.exports = require('../binding.cjs')
