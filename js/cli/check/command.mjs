// `dollar-send check`: which steps run as they are, and what they need.

import { join, resolve } from 'node:path'

import { createPaint, harmlessJson, oneLine } from '../paint.mjs'
import { readAll } from './read.mjs'
import { inspectStep } from './report.mjs'
import { uniqueNames, writeWorkflow } from './write.mjs'

/** @typedef {import('./report.mjs').Report} Report */
/** @typedef {{ name: string, steps: Report[], notUnderstood: string[], files: string[] }} Checked */

/** Exit status when something is not supported. */
const UNSUPPORTED = 1

/**
 * @param {import('../arguments.mjs').CheckSettings} settings
 * @returns {Promise<number>} the exit status
 * @throws {import('../usage.mjs').UsageError}
 */
export async function checkCommand({ paths, write, json }) {
  const workflows = readAll(paths)
  const folders = write && workflows.length > 1 ? foldersOf(workflows, write) : [write]
  const checked = workflows.map((workflow, index) => checkWorkflow(workflow, folders[index]))
  process.stdout.write(json ? asJson(checked) : asText(checked))
  return checked.every(isSupported) ? 0 : UNSUPPORTED
}

/** @param {import('./read.mjs').Workflow[]} workflows @param {string} parent @returns {string[]} */
function foldersOf(workflows, parent) {
  const names = workflows.map(({ name }) => name.replace(/[^\p{L}\p{N}_-]+/gu, '_') || '_')
  return uniqueNames(names).map((name) => join(parent, name))
}

/**
 * @param {import('./read.mjs').Workflow} workflow
 * @param {string | undefined} folder
 * @returns {Checked}
 */
function checkWorkflow({ name, steps, others = [], notUnderstood }, folder) {
  const inspected = withoutHelpers(steps.map((step) => ({ step, ...inspectStep(step) })))
  const written = inspected.map(({ step, report, code, isModule }) => ({
    name: step.name,
    code,
    isModule,
    path: step.path,
    props: step.props,
    ...(report.form === undefined && { leftOut: report.unsupported.join('; ') }),
  }))
  const isRunnable = written.some(({ leftOut }) => leftOut === undefined)
  const files = folder !== undefined && isRunnable ? writeWorkflow(folder, name, written) : []
  const misses = unnamed(others, inspected)
  return {
    name,
    steps: inspected.map(({ report }) => report),
    notUnderstood: [...notUnderstood, ...misses],
    files,
  }
}

/**
 * Names the files beside a `workflow.yaml` that are no step of it, and that no step imports.
 *
 * @param {import('./read.mjs').Step[]} others
 * @param {{ step: import('./read.mjs').Step, report: Report, files: string[] }[]} inspected
 * @returns {string[]}
 */
function unnamed(others, inspected) {
  const own = others.map((step) => ({ step, ...inspectStep(step) }))
  const imported = new Set([...inspected, ...own].flatMap(({ files }) => files))
  const specifiers = inspected.flatMap(({ report }) => report.needs).join('\n')
  return others
    .filter(({ path, name }) =>
      path === undefined ? !specifiers.includes(`/${name}`) : !imported.has(resolve(path)),
    )
    .map(({ origin }) => `${origin}: no step of workflow.yaml names it`)
}

/**
 * Leaves out files that other steps of the workflow import.
 *
 * @template {{ step: import('./read.mjs').Step, files: string[] }} Inspected
 * @param {Inspected[]} all
 * @returns {Inspected[]}
 */
function withoutHelpers(all) {
  const imported = new Set(all.flatMap(({ files }) => files))
  return all.filter(({ step }) => step.path === undefined || !imported.has(resolve(step.path)))
}

/** @param {Checked} workflow */
function isSupported({ steps, notUnderstood }) {
  return notUnderstood.length === 0 && steps.every(({ unsupported }) => unsupported.length === 0)
}

/** @param {Checked[]} checked */
function asJson(checked) {
  const supported = checked.every(isSupported)
  return `${harmlessJson({ supported, workflows: checked })}\n`
}

/** @param {Checked[]} checked */
function asText(checked) {
  const paint = createPaint(process.stdout)
  const parts = checked.map(({ name, steps, notUnderstood, files }) => {
    const lines = [paint('bold', `Workflow ${oneLine(name)}`)]
    for (const step of steps) lines.push(...stepLines(step, paint))
    for (const miss of notUnderstood)
      lines.push(`  ${paint('red', `✘ not understood: ${oneLine(miss)}`)}`)
    for (const file of files) lines.push(`  ${paint('dim', 'written')} ${oneLine(file)}`)
    return lines.join('\n')
  })
  const all = checked.flatMap(({ steps }) => steps)
  return `${parts.join('\n\n')}\n\n${paint('bold', summaryOf(all))}\n`
}

/** @param {Report[]} steps */
function summaryOf(steps) {
  const good = steps.filter(({ unsupported }) => unsupported.length === 0)
  const count = good.filter(needsFlow).length
  const needy = count > 0 ? `, ${count} of them in a runner with the option flow` : ''
  return `${good.length} of ${steps.length} steps run as they are${needy}`
}

/** Returns whether a step throws in a runner that has no `flow`. @param {Report} step */
function needsFlow({ needs }) {
  return needs.some((need) => need.startsWith('flow.'))
}

/** @param {Report} step @param {import('../paint.mjs').Paint} paint @returns {string[]} */
function stepLines(step, paint) {
  const { name, origin, form, destinations, packages, needs, unsupported } = step
  const well = needsFlow(step) ? paint('yellow', '!') : paint('green', '✔')
  const mark = unsupported.length === 0 ? well : paint('red', '✘')
  const lines = [`${mark} ${oneLine(name)}  ${form ?? 'no step'}  ${paint('dim', oneLine(origin))}`]
  if (destinations.length > 0) lines.push(`  sends by: ${oneLine(destinations.join(', '))}`)
  if (packages.length > 0) lines.push(`  packages: ${oneLine(packages.join(', '))}`)
  lines.push(...needs.map((need) => `  needs ${oneLine(need)}`))
  lines.push(...unsupported.map((one) => `  ${paint('red', `not supported: ${oneLine(one)}`)}`))
  return lines
}
