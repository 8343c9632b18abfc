// What `check` says of a step.

import { resolve } from 'node:path'

import analyser from '../../runner/loading/analysis.cjs'
import compiler from '../../runner/loading/compile.cjs'
import inspector from '../../runner/loading/inspect.cjs'
import finder from '../../runner/loading/references.cjs'
import source from '../../runner/loading/source.cjs'

/** @typedef {import('./read.mjs').Step} Step */
/**
 * @typedef {object} Report
 * @property {string} name
 * @property {string} origin
 * @property {'module' | 'expression' | 'body' | 'object'} [form] absent when it is no step
 * @property {string[]} destinations
 * @property {string[]} packages
 * @property {string[]} needs
 * @property {string[]} unsupported
 */

/** Inputs of a step that only a run can give. @type {[keyof import('../../runner/loading/inspect.cjs').Uses, string][]} */
const INPUTS = [
  ['steps', 'exports of earlier steps'],
  ['accounts', 'accounts'],
  ['env', 'environment variables'],
  ['files', 'files beside it'],
]

/**
 * @param {Step} step
 * @returns {{ report: Report, code: string, isModule: boolean, files: string[] }} `isModule`: it is an
 *   ES module; `files` are those that it imports
 */
export function inspectStep(step) {
  const { name, origin, language, missing } = step
  const base = { name, origin, destinations: [], packages: [], needs: [], unsupported: [] }
  if (language) {
    const unsupported = [`it is written in ${language}; only JavaScript runs`]
    return { report: { ...base, unsupported }, code: step.code ?? '', isModule: false, files: [] }
  }
  if (missing !== undefined) {
    return { report: { ...base, unsupported: [missing] }, code: '', isModule: false, files: [] }
  }
  try {
    const code = step.path === undefined ? (step.code ?? '') : source.readSource(step.path)
    const { isModule, files, ...found } = inspectCode(code, step.path ?? 'step.js')
    return { report: { ...base, ...found }, code, isModule, files }
  } catch (error) {
    const report = { ...base, unsupported: [reasonOf(error)] }
    return { report, code: step.code ?? '', isModule: false, files: [] }
  }
}

/** @param {string} code @param {string} path */
function inspectCode(code, path) {
  const analysis = analyser.analyse(code, path)
  const uses = inspector.usesOf(analysis)
  const given = INPUTS.filter(([kind]) => uses[kind].size > 0).map(
    ([kind, title]) => `${title}: ${[...uses[kind]].sort().join(', ')}`,
  )
  const { kind, syntax } = analysis
  if (kind === 'module' && !hasStep(syntax.exports.map(({ name }) => name))) {
    const names = syntax.exports.map(({ name }) => name).join(', ')
    throw new compiler.StepSyntaxError(
      `it has no default export (it exports ${names || 'nothing'})`,
    )
  }
  if (kind === 'empty') throw new compiler.StepSyntaxError('it has no code')
  return {
    isModule: kind === 'module',
    files: importedFiles([...uses.files], path),
    form: kind === 'commonjs' ? /** @type {const} */ ('module') : kind,
    destinations: [...uses.destinations].sort(),
    packages: [...uses.packages].sort(),
    needs: [...given, ...[...uses.needs].sort()],
    unsupported: [...uses.unsupported].sort(),
  }
}

/** @param {string[]} specifiers @param {string} path */
function importedFiles(specifiers, path) {
  return specifiers.flatMap((specifier) => {
    const from = resolve(path)
    return [finder.importedFile(specifier, from), finder.requiredFile(specifier, from)].filter(
      (file) => file !== undefined,
    )
  })
}

/** @param {string[]} names of exports */
function hasStep(names) {
  return names.length <= 1 || names.includes('default') || names.includes('run')
}

/** @param {unknown} error @returns {string} */
function reasonOf(error) {
  const { message, code } = /** @type {NodeJS.ErrnoException} */ (error)
  if (error instanceof compiler.StepSyntaxError) {
    const { place } = error
    if (!place) return message
    return `it does not parse from line ${place.line}, column ${place.column}: ${message}`
  }
  if (code === 'ERR_SEND_INVALID_ARGUMENT') return message
  throw error
}
