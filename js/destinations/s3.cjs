// @ts-check
'use strict'

// `$send.s3`: one record of an object.

const { optional, required } = require('../recording/check.cjs')
const { recordDestination } = require('./records.cjs')

module.exports = recordDestination('s3', 'bucket', [
  required('string', 'bucket'),
  required('content', 'payload'),
  optional('string', 'prefix'),
])
