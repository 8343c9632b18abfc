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
 * @property {string} [code]
 * @property {string} place in the file, such as `steps[0].code`
 * @property {unknown} [item] the step itself, when it has no code
 * @property {string} [language] when it is not JavaScript
 * @property {Dictionary} [props]
 */
/** @typedef {{ name?: string, place: string, steps: FoundStep[], notUnderstood: string[] }} FoundWorkflow */
/** @typedef {{ value: unknown, place: string, owners: Dictionary[], depth: number }} Position */

/**
 * Returns the workflows of a file: the outermost objects that have steps. A file with one of them, or with none, is
 * one workflow as a whole.
 *
 * @param {unknown} file parsed
 * @returns {FoundWorkflow[]}
 */
export function workflowsOf(file) {
  const roots = rootsIn({ value: file, place: '', owners: [], depth: 0 })
  if (roots.length < 2) return [workflowAt({ value: file, place: '', owners: [], depth: 0 }, [])]
  const workflows = roots.map((root) => workflowAt(root, []))
  const taken = new Set(roots.map(({ value }) => value))
  const rest = workflowAt({ value: file, place: '', owners: [], depth: 0 }, taken)
  return rest.steps.length > 0 ? [...workflows, rest] : workflows
}

/** @param {Position} position @returns {Position[]} */
function rootsIn(position) {
  if (position.depth > MAX_DEPTH) return []
  const { value } = position
  if (isObject(value) && ['steps', 'cells'].some((key) => isList(value, key))) return [position]
  return childrenOf(position).flatMap(rootsIn)
}

/** Returns whether a key of the object has steps: a list, or objects by their names. @param {Dictionary} object @param {string} key */
function isList(object, key) {
  const value = Object.hasOwn(object, key) ? object[key] : undefined
  if (Array.isArray(value)) return value.some(isObject)
  return (
    isObject(value) && stepsIn({ value, place: key, owners: [], depth: 0 }, []).steps.length > 0
  )
}

/** @param {Position} position @param {Iterable<unknown>} without parts that belong to other workflows @returns {FoundWorkflow} */
function workflowAt(position, without) {
  const { value, place } = position
  const name = isObject(value) ? textOf(value, ['name', 'title', 'id']) : undefined
  const key = lastKey(place)
  return {
    name: name ?? (key === '' || key.endsWith(']') ? undefined : key),
    place,
    ...stepsIn(position, without),
  }
}

/**
 * Finds the steps of a workflow, in the order of the file.
 *
 * @param {Position} begin
 * @param {Iterable<unknown>} without
 * @returns {{ steps: FoundStep[], notUnderstood: string[] }}
 */
function stepsIn(begin, without) {
  const passed = new Set(without)
  /** @type {string[]} */
  const notUnderstood = []
  /** @param {Position} position @returns {FoundStep[]} */
  const visit = (position) => {
    const { value, place, owners, depth } = position
    if (passed.has(value)) return []
    if (depth > MAX_DEPTH) {
      notUnderstood.push(`${place.slice(0, 80)}…: nested more than ${MAX_DEPTH} times`)
      return []
    }
    if (typeof value === 'string')
      return isCode(lastKey(place), value) ? [stepAt(value, place, owners)] : []
    const children = childrenOf(position)
    const found = children.map(visit)
    const hasSteps = Array.isArray(value) || found.some((steps) => steps.length > 0)
    if (!hasSteps || !/(^|\.)(steps|cells)$/.test(place)) return found.flat()
    return found.flatMap((steps, index) => {
      return steps.length > 0 || passed.has(children[index].value)
        ? steps
        : [withoutCode(children[index], index)]
    })
  }
  return { steps: visit(begin), notUnderstood }
}

/** @param {Position} position @returns {Position[]} its items, or the values of its keys */
function childrenOf({ value, place, owners, depth }) {
  if (Array.isArray(value))
    return value.map((one, index) => ({
      value: one,
      place: `${place}[${index}]`,
      owners,
      depth: depth + 1,
    }))
  if (!isObject(value)) return []
  const isMap = /(^|\.)(steps|cells)$/.test(place)
  return Object.entries(value).map(([key, one]) => ({
    // Among steps by their names, the key is the name.
    value:
      isMap && isObject(one) && !textOf(one, NAMES.slice(0, 3)) ? { namespace: key, ...one } : one,
    place: place ? `${place}.${key}` : key,
    owners: [...owners, value],
    depth: depth + 1,
  }))
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

/** @param {Position} position @param {number} index @returns {FoundStep} */
function withoutCode({ value, place }, index) {
  const owner = isObject(value) ? value : {}
  const language = textOf(owner, LANGUAGES)
  return {
    name: textOf(owner, NAMES) ?? `step_${index + 1}`,
    place,
    item: value,
    ...(language && !JAVASCRIPT.test(language) && { language }),
    ...(propsOf(owner) && { props: propsOf(owner) }),
  }
}
