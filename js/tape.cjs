// @ts-check
'use strict'

// The snapshot of a common call, faster than JSON.stringify makes it: a tape of numbers, which Rust
// reads where it is, and the texts of the call put together to one. Rust makes the JSON of them.
// The keys of an object do not cross: objects with the same keys are of one shape, and a shape is
// told to Rust once.
//
// What cannot be taped is left to JSON.stringify where it loses nothing, and otherwise to what looks
// after uncommon calls: an object of a class, a BigInt, a cycle.

/** @type {import('./send.cjs').Native} */
const binding = require('./native.cjs')
const { hasOwnSymbols, isPlainTree } = require('./plain.cjs')

/**
 * @typedef {object} Shape the keys that objects have, in their order
 * @property {number} tag what stands on the tape for an object of the shape
 * @property {string[]} keys
 * @property {Place[]} places of its members
 *
 * @typedef {object} Place where objects stand in calls: as a member, as an item, as the call itself
 * @property {Shape[]} shapes what they were there so far
 * @property {boolean} open whether there may be more of them
 * @property {Place | undefined} items of the arrays that stood there
 * @property {ReadonlySet<string> | undefined} odd the keys with which an object is not taken there
 */

// What stands on the tape, as `binding/tape.rs` has it; an object's tag is its shape's.
const UNDEFINED = 0
const NULL = 1
const FALSE = 2
const TRUE = 3
/** And the number itself. */
const NUMBER = 4
/** And its length; the text is the next part of the call's. */
const STRING = 5
/** And its length: JSON, which is in the call's text as it is. */
const JSON_TEXT = 6
/** And its length; then the items. */
const ARRAY = 7
const FIRST_SHAPE = 8

/** The step, the kind and the number of the values stand before them. */
const HEADER = 3

/** Entries that values may begin at. */
const ROOM = 4096
const MAX_KEYS = 128
/** Characters of the keys of a shape. */
const MAX_KEY_CHARACTERS = 4096
const MAX_DEPTH = 32
/** Shapes that are told apart at one place; what else stands there is left to JSON.stringify. */
const MAX_SHAPES = 8

// How a value was taken.
const TAPED = 0
const OTHER_KEYS = 1
const GIVEN_UP = 2

// An object that begins in the room may go on behind it.
const tape = new Float64Array(ROOM + 2 * (MAX_KEYS + 1))
let end = HEADER
let text = ''
/** A getter that is read may make a call itself. */
let busy = false

/**
 * @param {ReadonlySet<string>} [odd]
 * @returns {Place}
 */
const placeFor = (odd) => ({ shapes: [], open: true, items: undefined, odd })

const newPlace = () => placeFor()

/**
 * Tapes a call; nothing when that cannot be done.
 *
 * @param {Place} place
 * @param {object} call
 * @returns {string | undefined} the texts of the call
 */
function taped(place, call) {
  if (busy) return undefined
  // Somebody has given all objects more keys than their own.
  for (const _ in Object.prototype) return undefined
  busy = true
  end = HEADER
  try {
    if (object(place, call, MAX_DEPTH) === TAPED && end <= ROOM) return text
  } catch {
    // What a getter threw comes again where it is looked after.
  } finally {
    busy = false
    text = ''
  }
  return undefined
}

/**
 * @param {Place} place
 * @param {unknown} given
 * @param {number} depth levels that there may still be
 * @returns {number} how it was taken
 */
function value(place, given, depth) {
  if (typeof given === 'string') return part(STRING, given)
  if (typeof given === 'number') {
    tape[end] = NUMBER
    tape[end + 1] = given
    end += 2
    return TAPED
  }
  if (typeof given === 'boolean') {
    tape[end++] = given ? TRUE : FALSE
    return TAPED
  }
  if (given === null || given === undefined) {
    tape[end++] = given === null ? NULL : UNDEFINED
    return TAPED
  }
  if (typeof given !== 'object' || depth === 0) return GIVEN_UP
  return Array.isArray(given) ? array(place, given, depth) : object(place, given, depth)
}

/**
 * @param {Place} place
 * @param {unknown[] & { toJSON?: unknown }} given
 * @param {number} depth
 * @returns {number} how it was taken
 */
function array(place, given, depth) {
  const { length } = given
  if (given.toJSON !== undefined || length > ROOM - end) return GIVEN_UP
  tape[end] = ARRAY
  tape[end + 1] = length
  end += 2
  const items = (place.items ??= newPlace())
  for (let index = 0; index < length; index++) {
    const how = value(items, given[index], depth - 1)
    if (how !== TAPED) return how
  }
  return TAPED
}

/**
 * @param {Place} place
 * @param {{ toJSON?: unknown }} given
 * @param {number} depth
 * @returns {number} how it was taken
 */
function object(place, given, depth) {
  const prototype = Object.getPrototypeOf(given)
  if (prototype !== Object.prototype) {
    return prototype === Date.prototype ? date(/** @type {Date} */ (given)) : GIVEN_UP
  }
  if (given.toJSON !== undefined || end > ROOM) return GIVEN_UP
  const { shapes } = place
  const start = end
  const before = text
  for (let index = 0; index < shapes.length; index++) {
    const how = members(shapes[index], given, depth)
    if (how !== OTHER_KEYS) return how
    end = start
    text = before
  }
  const keys = Object.keys(given)
  if (place.odd !== undefined && hasOddKeys(place.odd, keys)) return GIVEN_UP
  const shape = learned(place, keys)
  if (shape === undefined) {
    return isPlainTree(given) ? part(JSON_TEXT, JSON.stringify(given)) : GIVEN_UP
  }
  return members(shape, given, depth) === TAPED ? TAPED : GIVEN_UP
}

/**
 * @param {Shape} shape
 * @param {object} given
 * @param {number} depth
 * @returns {number} how it was taken
 */
function members({ tag, keys, places }, given, depth) {
  tape[end++] = tag
  let index = 0
  // The loop that V8 makes fastest; the prototype adds nothing to it.
  for (const key in given) {
    if (key !== keys[index]) return OTHER_KEYS
    const member = /** @type {Record<string, unknown>} */ (given)[key]
    const how = value(places[index], member, depth - 1)
    if (how !== TAPED) return how
    index++
  }
  if (index !== keys.length) return OTHER_KEYS
  return index === 0 && hasOwnSymbols(given) ? GIVEN_UP : TAPED
}

/**
 * @param {ReadonlySet<string>} odd
 * @param {string[]} keys
 */
const hasOddKeys = (odd, keys) => keys.some((key) => odd.has(key))

/** @param {Date} given */
function date(given) {
  const json = given.toJSON()
  return typeof json === 'string' ? part(STRING, json) : GIVEN_UP
}

/**
 * A part of the call's text.
 *
 * @param {number} tag
 * @param {string} given
 */
function part(tag, given) {
  tape[end] = tag
  tape[end + 1] = given.length
  end += 2
  text += given
  return TAPED
}

/**
 * A new shape, unless there are enough.
 *
 * @param {Place} place
 * @param {string[]} keys
 * @returns {Shape | undefined}
 */
function learned(place, keys) {
  if (!place.open) return undefined
  const characters = keys.reduce((sum, key) => sum + key.length, 0)
  if (keys.length > MAX_KEYS || characters > MAX_KEY_CHARACTERS) return undefined
  const number = binding._shape(keys.map((key) => `${JSON.stringify(key)}:`))
  if (number < 0) {
    place.open = false
    return undefined
  }
  const shape = { tag: FIRST_SHAPE + number, keys, places: keys.map(newPlace) }
  place.shapes.push(shape)
  place.open = place.shapes.length < MAX_SHAPES
  return shape
}

/** Above this a text is held against the limit before it is copied. */
const MAX_CHARACTERS = 65_536

const recordTaped = binding._recorder(tape)

/** The calls of each kind. */
const CALLS = /** @type {Place[]} */ ([])

/**
 * Records a plain call. Returns `false`, and records nothing, when the call has to be taken with care:
 * something is in it that cannot be snapshotted, or that JSON.stringify loses something of, or a key
 * that leaves a warning, or it is too large (which may be for the sake of an ignored key).
 *
 * @param {number} step
 * @param {number} kind
 * @param {object} call
 * @param {ReadonlySet<string>} [odd] the keys that leave a warning
 * @returns {boolean}
 */
function record(step, kind, call, odd) {
  const place = (CALLS[kind] ??= placeFor(odd))
  let known = taped(place, call)
  // With no values on the tape the text is the call's JSON.
  const values = known === undefined ? 0 : end - HEADER
  known ??= jsonOf(call, odd)
  if (known === undefined || known.length > MAX_CHARACTERS) return false
  tape[0] = step
  tape[1] = kind
  tape[2] = values
  return recordTaped(known)
}

/**
 * The JSON of a call that was not taped, if it loses nothing.
 *
 * @param {object} call
 * @param {ReadonlySet<string> | undefined} odd
 */
function jsonOf(call, odd) {
  try {
    if (odd !== undefined && hasOddKeys(odd, Object.keys(call))) return undefined
    return isPlainTree(call) ? JSON.stringify(call) : undefined
  } catch {
    return undefined
  }
}

module.exports = { record }
