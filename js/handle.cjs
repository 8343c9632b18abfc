// @ts-check
'use strict'

/**
 * @typedef {object} Handle What JavaScript keeps of the handle of an engine.
 * @property {boolean} strict whether warnings throw
 * @property {number} maxPayloadBytes bytes that one call may have
 * @property {Map<string, import('./destination.cjs').Destination>} destinations those that are written
 *   in JavaScript, by their names
 */

/** @type {WeakMap<object, Handle>} */
const HANDLES = new WeakMap()

/** @param {any} engine */
function addHandle(engine) {
  HANDLES.set(engine, {
    strict: engine._strict,
    maxPayloadBytes: engine._maxPayloadBytes,
    destinations: new Map(),
  })
}

/**
 * @param {object} engine
 * @returns {Handle}
 */
function handleOf(engine) {
  const handle = HANDLES.get(engine)
  if (!handle) throw new TypeError('this is no engine: open one with Engine.open()')
  return handle
}

module.exports = { addHandle, handleOf }
