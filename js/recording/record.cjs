// @ts-check
'use strict'

// Hands snapshots to the buffers in Rust.

const native = require('../native.cjs')

/** The step and the destination's number of the call that is being recorded, which Rust reads in place. */
const target = new Float64Array(2)
const recordText = native.recorder(target)

/**
 * Records a call that is text alone. Returns `false`, and records nothing, when the text is over
 * `maxPayloadBytes`.
 *
 * @param {number} step
 * @param {number} kind the destination's number
 * @param {string} text
 * @returns {boolean}
 */
function record(step, kind, text) {
  target[0] = step
  target[1] = kind
  return recordText(text)
}

module.exports = { record }
