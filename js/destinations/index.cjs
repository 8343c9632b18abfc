// @ts-check
'use strict'

// The destinations that the package brings. Each is a file of its own, that of its name.

const { load, sendOf } = require('./built-in.cjs')

/**
 * @typedef {object} Destination
 * @property {string} name its name, as in `$send.name`
 * @property {import('../recording/check.cjs').Rule[]} rules of the members that it knows
 * @property {(argument: unknown) => boolean} isPlain whether the text of a call is what
 *   `JSON.stringify` makes of its argument: nothing in it has to be refused, warned of or spelled out
 * @property {(argument: unknown, settings: Settings) => Call} call checks any other call, and takes its
 *   snapshot
 * @property {(first: unknown, second: unknown) => unknown} [argumentOf] makes the argument of a function
 *   with two parameters
 *
 * @typedef {object} Settings What a call has to know of its engine.
 * @property {boolean} strict whether warnings throw
 * @property {number} maxPayloadBytes bytes that one call may have
 * @property {string} [attachmentFolder] the folder whose files mails may attach
 *
 * @typedef {object} Call A checked call.
 * @property {string} text its snapshot
 * @property {string[]} warnings
 * @property {import('../recording/body.cjs').Body} [body]
 */

/** @type {readonly Destination[]} */
const DESTINATIONS = load()

module.exports = { DESTINATIONS, sendOf }
