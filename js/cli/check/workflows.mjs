// Finds the steps in an exported workflow. The schema of Pipedream's export is not public, so code is found
// wherever it stands, and what looks like a step without code is named.

import analysis from '../../runner/loading/analysis.cjs'

/** Keys under which code is expected. */
const CODE_KEY = /^(raw_?)?(code|source|script|function)(_?(raw|text|cell))?$/i
/** What code of a step has, wherever it stands. */
const CODE_TEXT =
  /\bexport\s+default\b|\bmodule\.exports\b|\bdefineComponent\s*\(|\$\.?send\b|\basync\s*\(\s*(event|params|\)|\{)/
/** Fields that name a step, the best first. */
const NAMES = ['namespace', 'step_name', 'stepName', 'slug', 'key', 'name', 'title', 'id']
const LANGUAGES = ['lang', 'language', 'runtime']
const PROPS = [
  'configured_props',
  'configuredProps',
  'props',
  'params',
  'params_json',
  'params_raw',
]
const JAVASCRIPT = /^(js|javascript|node(js)?([\d._-].*)?|typescript|ts|esm|commonjs|cjs)$/i
/** Nesting that a file may have. */
const MAX_DEPTH = 200

/** @typedef {Record<string, unknown>} Dictionary */
/**
 * @typedef {object} FoundStep
 * @property {string} name
 * @property {string} code
 * @property {string} place in the file, such as `steps[0].code`
 * @property {string} [language] when it is not JavaScript
 * @property {Dictionary} [props]
 */

/**
 * The steps of a workflow, in the order of the file.
 *
 * @param {unknown} workflow the parsed file
 * @returns {{ name?: string, steps: FoundStep[], notUnderstood: string[] }}
 */
export function stepsOf(workflow) {
  /** @type {FoundStep[]} */
  const steps = []
  /** @type {string[]} */
  const notUnderstood = []
  /**
   * @param {unknown} value
   * @param {string} place
   * @param {Dictionary[]} owners objects around it, the innermost last
   * @param {number} depth
   */
  const visit = (value, place, owners, depth) => {
    if (depth > MAX_DEPTH) {
      notUnderstood.push(`${place.slice(0, 80)}…: nested more than ${MAX_DEPTH} times`)
      return
    }
    if (typeof value === 'string') {
      if (isCode(lastKey(place), value)) steps.push(stepAt(value, place, owners))
    } else if (Array.isArray(value)) {
      value.forEach((one, index) => visit(one, `${place}[${index}]`, owners, depth + 1))
      if (/(^|\.)(steps|cells)$/.test(place))
        notUnderstood.push(...withoutCode(value, place, steps))
    } else if (isObject(value)) {
      for (const [key, one] of Object.entries(value)) {
        visit(one, place ? `${place}.${key}` : key, [...owners, value], depth + 1)
      }
    }
  }
  visit(workflow, '', [], 0)
  const name = isObject(workflow) ? textOf(workflow, ['name', 'title', 'id']) : undefined
  return { name, steps, notUnderstood }
}

/** @param {unknown} value @returns {value is Dictionary} */
function isObject(value) {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** @param {string} place */
function lastKey(place) {
  return place.slice(place.lastIndexOf('.') + 1)
}

/** @param {string} key @param {string} text @returns {boolean} */
function isCode(key, text) {
  if (text.trim() === '') return false
  if (CODE_KEY.test(key)) return true
  // A sentence or a template may have such words; code parses.
  return CODE_TEXT.test(text) && parses(text)
}

/** @param {string} text */
function parses(text) {
  try {
    return Boolean(analysis.analyse(text, 'step.js'))
  } catch {
    return false
  }
}

/**
 * @param {string} code
 * @param {string} place
 * @param {Dictionary[]} owners
 * @returns {FoundStep}
 */
function stepAt(code, place, owners) {
  const near = owners.slice(-3).reverse()
  const owner = near.find((one) => textOf(one, NAMES.slice(0, 3))) ?? near[0] ?? {}
  const language = near.map((one) => textOf(one, LANGUAGES)).find(Boolean)
  const props = near.map(propsOf).find(Boolean)
  return {
    name: textOf(owner, NAMES) ?? 'code',
    code,
    place,
    ...(language && !JAVASCRIPT.test(language) && { language }),
    ...(props && { props }),
  }
}

/** @param {Dictionary} owner @param {string[]} keys @returns {string | undefined} */
function textOf(owner, keys) {
  for (const key of keys) {
    const value = Object.hasOwn(owner, key) ? owner[key] : undefined
    if (typeof value === 'string' && value !== '') return value
  }
  return undefined
}

/** @param {Dictionary} owner @returns {Dictionary | undefined} */
function propsOf(owner) {
  for (const key of PROPS) {
    let value = Object.hasOwn(owner, key) ? owner[key] : undefined
    if (typeof value === 'string') {
      try {
        value = JSON.parse(value)
      } catch {
        continue
      }
    }
    if (isObject(value) && Object.keys(value).length > 0) return value
  }
  return undefined
}

/**
 * @param {unknown[]} list of steps
 * @param {string} place
 * @param {FoundStep[]} found
 * @returns {string[]} what the steps are that have no code
 */
function withoutCode(list, place, found) {
  return list.flatMap((one, index) => {
    const own = `${place}[${index}]`
    if (found.some((step) => step.place.startsWith(`${own}.`))) return []
    const name = isObject(one) ? textOf(one, NAMES) : undefined
    return [`${own}${name ? ` (${name})` : ''}: it has no code`]
  })
}
