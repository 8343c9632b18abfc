// What a test run ends with: the time of each stage, and what did not run.

/**
 * @typedef {object} Run
 * @property {{ name: string, ms: number, hasFailed?: boolean }[]} stages that ran, in their order
 * @property {string[]} wanted all stages of this run
 * @property {string[]} all of `npm test all`
 * @property {string[]} named those that run only when they are named
 * @property {{ files: number, of: number, extras: string[] }} [leftOut] spec files, and what they need
 * @property {string[]} skipped the reasons of the tests that were skipped, one for each
 */

/** Reasons that are printed. */
const MAX_REASONS = 10

/**
 * Returns the summary of a run.
 *
 * @param {Run} run
 * @returns {string}
 */
export function summaryOf(run) {
  return ['== Summary', ...timesOf(run), '', ...notRun(run)].join('\n')
}

/** @param {Run} run */
function timesOf({ stages }) {
  const rows = stages.map(({ name, ms, hasFailed }) => [name, ms, hasFailed ? '  failed' : ''])
  rows.push(['total', stages.reduce((sum, { ms }) => sum + ms, 0), ''])
  const width = Math.max(...rows.map(([name]) => String(name).length))
  return rows.map(
    ([name, ms, end]) => `${String(name).padEnd(width)} ${timeOf(Number(ms)).padStart(10)}${end}`,
  )
}

/** @param {number} ms */
function timeOf(ms) {
  const seconds = Math.round(ms / 1000)
  return seconds < 60 ? `${seconds} s` : `${Math.floor(seconds / 60)} min ${seconds % 60} s`
}

/** @param {Run} run */
function notRun({ stages, wanted, all, named, leftOut, skipped }) {
  const ran = stages.filter(({ hasFailed }) => !hasFailed).map(({ name }) => name)
  const failed = stages.filter(({ hasFailed }) => hasFailed).map(({ name }) => name)
  const isLeft = (/** @type {string} */ name) => !ran.includes(name) && !failed.includes(name)
  const after = wanted.filter(isLeft)
  const others = all.filter((name) => isLeft(name) && !wanted.includes(name))
  const rare = named.filter((name) => isLeft(name) && !wanted.includes(name))
  return [
    ...(after.length > 0 ? [`Not run, after the failure: ${after.join(', ')}.`] : []),
    ...(leftOut && leftOut.files > 0
      ? [
          `Not run: ${leftOut.files} of ${leftOut.of} spec files, which need ${leftOut.extras.join('; ')}.`,
        ]
      : []),
    ...(others.length > 0 ? [`Not run: the stages ${others.join(', ')}. npm test all`] : []),
    ...(rare.length > 0 ? [`Only by name: ${rare.join(', ')}. npm test NAME`] : []),
    ...skippedLines(skipped),
  ]
}

/** @param {string[]} skipped */
function skippedLines(skipped) {
  if (skipped.length === 0) return []
  /** @type {Map<string, number>} */
  const counts = new Map()
  for (const reason of skipped) counts.set(reason, (counts.get(reason) ?? 0) + 1)
  const sorted = [...counts].sort(([, one], [, other]) => other - one)
  const more = sorted.length - MAX_REASONS
  return [
    `Skipped: ${skipped.length} ${skipped.length === 1 ? 'test' : 'tests'} of the specs.`,
    ...sorted.slice(0, MAX_REASONS).map(([reason, count]) => `  ${count} × ${reason}`),
    ...(more > 0 ? [`  and ${more} other reasons`] : []),
  ]
}
