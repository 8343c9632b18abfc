// @ts-check
'use strict'

// `$send.sse`: one event of the workflow's stream.

const { required } = require('../recording/check.cjs')
const { recordDestination } = require('./records.cjs')

module.exports = recordDestination('sse', 'channel', [
  required('string', 'channel'),
  required('content', 'payload'),
])
