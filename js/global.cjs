// `dollar-send/global`: loading it installs the globals.

'use strict'

module.exports = require('./runner/globals.cjs')
