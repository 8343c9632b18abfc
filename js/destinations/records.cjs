// @ts-check
'use strict'

// Calls of one payload that goes to a named place: a bucket, a table, a channel.

const { bytesOf } = require('../recording/bytes.cjs')
const { check } = require('../recording/check.cjs')
const { isPlainTree } = require('../recording/plain.cjs')
const { textOf } = require('../recording/snapshot.cjs')
const { isObject, isRecord } = require('../values.cjs')

/**
 * Returns a destination for calls of `{ [place]: string, payload, prefix? }`. Bytes become base64 text.
 *
 * @template {string} Name
 * @param {Name} name
 * @param {'bucket' | 'table' | 'channel'} place
 * @param {import('../recording/check.cjs').Rule[]} rules
 */
function recordDestination(name, place, rules) {
  /** @param {unknown} config */
  function isPlain(config) {
    if (!isRecord(config)) return false
    const { payload, prefix } = config
    return (
      typeof config[place] === 'string' &&
      (prefix === undefined || typeof prefix === 'string') &&
      (typeof payload === 'string' || isObject(payload)) &&
      isPlainTree(config)
    )
  }

  /**
   * @param {unknown} config
   * @returns {import('./index.cjs').Call}
   */
  function call(config) {
    const known = check(name, rules, config)
    /** @type {string[]} */
    const warnings = []
    const bytes = bytesOf(known.payload)
    if (bytes) known.payload = bytes.toString('base64')
    return { text: textOf(name, known, warnings), warnings }
  }

  return { name, rules, isPlain, call }
}

module.exports = { recordDestination }
