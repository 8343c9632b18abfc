// @ts-check
'use strict'

// Makes text of values: what `JSON.stringify` gives, with what it would lose spelled out. Refuses what
// cannot be text, with its path.

const { invalidArgument } = require('../errors.cjs')
const { isObject } = require('../values.cjs')
const { isPlainTree } = require('./plain.cjs')
const { Refusal, spelledOut } = require('./spelled-out.cjs')

/**
 * Returns the text of a value.
 *
 * @param {string} name the destination
 * @param {unknown} value
 * @param {string[]} warnings gets a sentence for each value that becomes less than it was
 * @returns {string} nothing at all if the value's own `toJSON` returns nothing
 */
function textOf(name, value, warnings) {
  if (isPlainTree(value)) return stringify(name, value)
  const walk = new Walk(warnings)
  try {
    return stringify(name, value, walk.replacer())
  } catch (error) {
    throw explained(name, walk, error)
  }
}

/**
 * @param {string} name
 * @param {unknown} value
 * @param {(this: unknown, key: string, member: unknown) => unknown} [replacer]
 */
function stringify(name, value, replacer) {
  try {
    return JSON.stringify(value, replacer)
  } catch (error) {
    const tooLong = error instanceof RangeError && /string length/i.test(error.message)
    throw tooLong ? tooLarge(name, 'more than a string can hold') : error
  }
}

/** Levels that `JSON.stringify` always goes down: above them a function of the value ran out of stack. */
const SHALLOW = 500

/**
 * Returns the refusal of a value by its path. Errors that come from getters and `toJSON` stay as they are.
 *
 * @param {string} name
 * @param {Walk} walk
 * @param {unknown} error
 */
function explained(name, walk, error) {
  if (error instanceof Refusal) return refused(name, walk.path(), error)
  const overflow = error instanceof RangeError && /call stack/i.test(error.message)
  if (!overflow || walk.depth < SHALLOW) return error
  return refused(name, [...walk.path().slice(0, 5), '…'], new Refusal('is nested too deeply'))
}

/**
 * @param {string} name
 * @param {string[]} path
 * @param {Refusal} refusal
 */
function refused(name, path, { reason, advice }) {
  const place = placeOf(path)
  const more = advice ? `: ${advice(place)}` : ''
  return invalidArgument(`$send.${name}: ${place} ${reason}, so it cannot be recorded${more}`)
}

/**
 * Returns what a function returns; what it refuses is refused by its path.
 *
 * @template Result
 * @param {string} name
 * @param {string[]} path
 * @param {() => Result} read
 */
function refusing(name, path, read) {
  try {
    return read()
  } catch (error) {
    throw error instanceof Refusal ? refused(name, path, error) : error
  }
}

/** @param {string[]} path */
const placeOf = (path) => path.join('.') || 'the argument'

/** The place of `JSON.stringify` in a value: the objects around it, and their keys. */
class Walk {
  /** @type {{ holder: unknown, given: object, key: string }[]} */
  #around = []
  #key = ''
  #warnings

  /** @param {string[]} warnings */
  constructor(warnings) {
    this.#warnings = warnings
  }

  get depth() {
    return this.#around.length
  }

  /** Returns the keys that lead to the place. The outermost value has none. */
  path() {
    return [...this.#around.map(({ key }) => key), this.#key].slice(1)
  }

  /** Returns the function that JSON.stringify calls for each member, after its own `toJSON`. */
  replacer() {
    const visit = this.#visit.bind(this)
    /** @this {unknown} @param {string} key @param {unknown} member */
    return function replace(key, member) {
      return visit(this, key, member)
    }
  }

  /**
   * @param {unknown} holder
   * @param {string} key
   * @param {unknown} given
   */
  #visit(holder, key, given) {
    while (this.depth > 0 && this.#around[this.depth - 1].holder !== holder) this.#around.pop()
    this.#key = key
    const spelled = spelledOut(given, (warning) =>
      this.#warnings.push(`${placeOf(this.path())} ${warning}`),
    )
    if (!isObject(given)) return spelled
    if (this.#around.some((one) => one.given === given)) {
      throw new Refusal('refers back to what contains it')
    }
    this.#around.push({ holder: spelled, given, key })
    return spelled
  }
}

/**
 * Returns the error for a call that is too large.
 *
 * @param {string} name
 * @param {string} size
 */
function tooLarge(name, size) {
  return Object.assign(
    new RangeError(
      `$send.${name}: the call has ${size}, over maxPayloadBytes. Send less, or raise the limit in Engine.open()`,
    ),
    { code: /** @type {const} */ ('ERR_SEND_PAYLOAD_TOO_LARGE') },
  )
}

module.exports = { refusing, textOf, tooLarge }
