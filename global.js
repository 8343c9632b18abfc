// `dollar-send/global` for tools that do not read `exports` in package.json.

'use strict'

module.exports = require('./js/global.cjs')
