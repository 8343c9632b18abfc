// @ts-check
'use strict'

// `$send.sql`: one row of a table.

const { required } = require('../recording/check.cjs')
const { recordDestination } = require('./records.cjs')

module.exports = recordDestination('sql', 'table', [
  required('content', 'payload'),
  required('string', 'table'),
])
