// @ts-check
'use strict'

// Decides which modules a module waits for, and evaluates each once.

/** @typedef {import('./graph.cjs').Module} Module */

/**
 * Evaluates a module after its dependencies, each once, and all of its cycle.
 *
 * @param {Module} module
 * @returns {Promise<void>}
 */
function evaluate(module) {
  if (!module.root) findCycles(module, [])
  return evaluateOne(/** @type {Module} */ (module.root))
}

/** @param {Module} module @returns {Promise<void>} */
function evaluateOne(module) {
  module.evaluation ??= evaluateNow(module)
  return module.evaluation
}

/** @param {Module} module */
async function evaluateNow(module) {
  for (const dependency of /** @type {Module[]} */ (module.awaited)) await evaluateOne(dependency)
  await module.run()
}

/**
 * Decides what a module and all behind it wait for, as ES modules do: within a cycle not for the importers
 * that led there, across cycles for the whole cycle (Tarjan's algorithm).
 *
 * **Invariant:** modules wait only for those whose search ended before their own, so evaluations that begin at
 * the same time at different modules of a cycle never wait for each other.
 *
 * @param {Module} module
 * @param {Module[]} open modules whose cycle is not complete
 * @returns {number} the order of the first module of its cycle that is known
 */
function findCycles(module, open) {
  const place = open.push(module) - 1
  module.order = place
  const awaited = (module.awaited = /** @type {Module[]} */ ([]))
  let first = place
  for (const dependency of module.dependencies) {
    const isKnown = dependency.order !== undefined
    const reached = isKnown ? Number(dependency.order) : findCycles(dependency, open)
    if (dependency.root) awaited.push(dependency.root)
    else {
      first = Math.min(first, reached)
      if (!isKnown || dependency.isSearched) awaited.push(dependency)
    }
  }
  module.isSearched = true
  if (first === place) for (const member of open.splice(place)) member.root = module
  return first
}

module.exports = { evaluate }
