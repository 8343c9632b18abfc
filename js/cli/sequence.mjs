// Several steps as one workflow: in their order, each with what the earlier ones export.

import { basename, dirname, extname, resolve } from 'node:path'

import { UsageError } from './usage.mjs'

/** @typedef {import('../runner/steps.cjs').Dictionary} Dictionary */
/** @typedef {import('../runner/run.cjs').Result} Result */
/** @typedef {import('../runner/component.cjs').Target} Target */
/** @typedef {{ name: string, target: Target, props: Dictionary }} NamedStep */
/** @typedef {{ event: unknown, steps: Dictionary, auths: Dictionary }} Input */

/**
 * Names for the steps of files, as later steps find them in `steps`.
 *
 * @param {string[]} files
 * @returns {string[]}
 */
export function stepNames(files) {
  /** @type {Set<string>} */
  const taken = new Set(['trigger'])
  /** @type {Map<string, number>} */
  const counters = new Map()
  return files.map((file) => {
    const own = ownName(file).replace(/[^\p{L}\p{N}_$]/gu, '_') || 'code'
    let number = counters.get(own) ?? 1
    let name = own
    for (; taken.has(name); name = `${own}_${number}`) number++
    counters.set(own, number)
    taken.add(name)
    return name
  })
}

/** @param {string} file @returns {string} that of its folder for `notify/entry.js`, as Pipedream commits it */
function ownName(file) {
  const name = basename(file, extname(file))
  const folder = basename(dirname(resolve(file)))
  return (name === 'entry' || name === 'index') && folder ? folder : name
}

/**
 * The props of each step: those of a single step, or by the names of several.
 *
 * @param {string[]} names
 * @param {Dictionary} props
 * @returns {Dictionary[]}
 */
export function propsOf(names, props) {
  if (names.length === 1) return [props]
  for (const name of Object.keys(props)) {
    if (names.includes(name)) continue
    throw new UsageError(`--props has ${name}, but the steps are ${names.join(', ')}.`)
  }
  return names.map((name) => /** @type {Dictionary} */ (props[name] ?? {}))
}

/**
 * Runs steps in their order, until one ends the workflow.
 *
 * @param {NamedStep[]} steps
 * @param {Input} input
 * @param {(step: NamedStep, input: Input & { props: Dictionary }) => Promise<Result>} run
 * @returns {Promise<Result & { steps?: Record<string, Result> }>} the result of the last step that ran, and with several steps all as `steps`
 */
export async function runInOrder(steps, input, run) {
  const exported = { ...input.steps }
  /** @type {Record<string, Result>} */
  const results = {}
  /** @type {Result | undefined} */
  let result
  for (const step of steps) {
    result = await run(step, { ...input, steps: { ...exported }, props: step.props })
    results[step.name] = result
    exported[step.name] = result.exports
    if (result.status !== 'returned') break
  }
  const last = /** @type {Result} */ (result)
  return steps.length > 1 ? { ...last, steps: results } : last
}
