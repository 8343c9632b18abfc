// @ts-check
'use strict'

// Pinned imports: `got@~14`, `@scope/pkg@1.2.3/sub`. The range check is our own, because the package has
// no dependencies; it knows the ranges of npm, and takes tags such as `latest` as satisfied.

const PIN = /^((?:@[^/@]+\/)?[^/@.:][^/@:]*)@([^/]+)(\/.*)?$/
const PARTIAL = /^[v=]*(\d+|[x*])(?:\.(\d+|[x*])(?:\.(\d+|[x*]))?)?(?:-([\w.-]+))?(?:\+[\w.-]+)?$/i
const COMPARATOR = /^(\^|~>?|>=|<=|>|<|=)?\s*(.*)$/

/** @typedef {{ name: string, range: string, bare: string }} Pin `bare` is what is installed, with its subpath */
/** @typedef {[number, number, number, string]} Version the last part is that of a prerelease */

/**
 * @param {string} specifier
 * @returns {Pin | undefined} undefined when nothing is pinned
 */
function pinOf(specifier) {
  const found = PIN.exec(specifier)
  return found ? { name: found[1], range: found[2], bare: found[1] + (found[3] ?? '') } : undefined
}

/** @param {string} specifier @returns {string} without its pin */
function unpinned(specifier) {
  return pinOf(specifier)?.bare ?? specifier
}

/** @param {string} text @returns {Version | undefined} */
function versionOf(text) {
  const [, major, minor, patch, prerelease = ''] = PARTIAL.exec(text) ?? []
  if (patch === undefined) return undefined
  return [Number(major), Number(minor), Number(patch), prerelease]
}

/** @param {Version} one @param {Version} other @returns {number} */
function compare(one, other) {
  for (const part of /** @type {const} */ ([0, 1, 2])) {
    if (one[part] !== other[part]) return one[part] - other[part]
  }
  return comparePrereleases(one[3], other[3])
}

/** @param {string} one @param {string} other */
function comparePrereleases(one, other) {
  if (one === other) return 0
  if (one === '' || other === '') return one === '' ? 1 : -1
  const [parts, others] = [one.split('.'), other.split('.')]
  for (const [index, part] of parts.entries()) {
    const against = others[index]
    if (part === against) continue
    if (against === undefined) return 1
    const areNumbers = /^\d+$/.test(part) && /^\d+$/.test(against)
    if (areNumbers) return Number(part) - Number(against)
    return part < against ? -1 : 1
  }
  return -1
}

/**
 * The versions from `min` to below `max` that a comparator allows.
 *
 * @param {string} text such as `^1.2` or `1.x`
 * @returns {{ min: Version, max: Version } | undefined} undefined when it is no comparator
 */
function interval(text) {
  const [, operator = '', rest] = /** @type {string[]} */ (COMPARATOR.exec(text))
  const partial = PARTIAL.exec(rest === '' ? '*' : rest)
  if (!partial) return undefined
  const numbers = partial.slice(1, 4).map((part) => (/^\d+$/.test(part ?? '') ? Number(part) : -1))
  const given = numbers.indexOf(-1) < 0 ? 3 : numbers.indexOf(-1)
  const at = /** @param {number} index */ (index) => Math.max(numbers[index], 0)
  /** @type {Version} */
  const min = [at(0), at(1), at(2), given === 3 ? (partial[4] ?? '') : '']
  const after = next(min, given - 1)
  const end = /** @type {Version} */ ([Infinity, 0, 0, ''])
  const start = /** @type {Version} */ ([0, 0, 0, ''])
  if (given === 0) return { min: start, max: end }
  switch (operator) {
    case '^':
      return { min, max: next(min, caretPart(min, given)) }
    case '~':
    case '~>':
      return { min, max: next(min, Math.min(given - 1, 1)) }
    case '>=':
      return { min, max: end }
    case '>':
      return { min: after, max: end }
    case '<':
      return { min: start, max: min }
    case '<=':
      return { min: start, max: after }
    default:
      return { min, max: after }
  }
}

/** @param {Version} version @param {number} given @returns {number} the part that `^` lets alone */
function caretPart([major, minor], given) {
  if (major > 0 || given === 1) return 0
  return minor > 0 || given === 2 ? 1 : 2
}

/**
 * The first version after all that share the parts up to `part`.
 *
 * @param {Version} version
 * @param {number} part
 * @returns {Version}
 */
function next([major, minor, patch, prerelease], part) {
  if (part <= 0) return [major + 1, 0, 0, '']
  if (part === 1) return [major, minor + 1, 0, '']
  return prerelease ? [major, minor, patch, `${prerelease}.0`] : [major, minor, patch + 1, '']
}

/**
 * @param {string} version
 * @param {string} range
 * @returns {boolean} also true for a range that is a tag, which only a registry could say
 */
function satisfies(version, range) {
  const installed = versionOf(version)
  if (!installed) return true
  return range.split('||').some((alternative) => {
    const hyphen = /^\s*(\S+)\s+-\s+(\S+)\s*$/.exec(alternative)
    const text = hyphen ? `>=${hyphen[1]} <=${hyphen[2]}` : alternative
    const comparators = text
      .trim()
      .replace(/([<>=~^]+)\s+/g, '$1')
      .split(/\s+/)
    return comparators.every((comparator) => {
      const allowed = interval(comparator)
      if (!allowed) return true
      return compare(installed, allowed.min) >= 0 && compare(installed, allowed.max) < 0
    })
  })
}

module.exports = { pinOf, satisfies, unpinned }
