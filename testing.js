// `dollar-send/testing` for tools that do not read `exports` in package.json.

'use strict'

module.exports = require('./js/testing.cjs')
