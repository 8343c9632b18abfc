// Reads what `check` is given: step files, folders of them, exported workflows as JSON or in a ZIP file.

import { readdirSync, readFileSync, statSync } from 'node:fs'
import { basename, dirname, extname, join, posix, relative, sep } from 'node:path'

import source from '../../runner/loading/source.cjs'
import { stepNames } from '../sequence.mjs'
import { UsageError } from '../usage.mjs'
import { isDefinition, ofDefinition, ofJson } from './exported.mjs'
import { isZip, readZip } from './zip.mjs'

/** Files that a folder may have. */
const MAX_FILES = 10_000

/** @typedef {import('./exported.mjs').FileBeside} FileBeside */

/** The extensions of exported workflows. */
const EXPORTS = ['.json', '.zip']

/** JSON of tools, beside steps. */
const SETTINGS = /^(package(-lock)?|[jt]sconfig(\..+)?)\.json$/

/**
 * @typedef {object} Step
 * @property {string} name
 * @property {string} origin where it is from, for people
 * @property {string} [path] of its own file
 * @property {string} [code]
 * @property {string} [missing] why it has no code
 * @property {string} [language] when it is not JavaScript
 * @property {Record<string, unknown>} [props]
 */
/**
 * @typedef {object} Workflow
 * @property {string} name
 * @property {Step[]} steps
 * @property {Step[]} [others] step files beside a `workflow.yaml` that it does not name
 * @property {string[]} notUnderstood
 * @property {boolean} [isWithoutCode] JSON in which nothing looks like a step
 */

/**
 * @param {string[]} paths
 * @returns {Workflow[]} step files that are named one by one are one workflow
 * @throws {UsageError}
 */
export function readAll(paths) {
  /** @type {string[]} */
  const files = []
  const workflows = paths.flatMap((path) => {
    if (isFolder(path)) return ofFolder(path)
    const extension = extname(path).toLowerCase()
    if (source.EXTENSIONS.includes(extension)) {
      files.push(path)
      return []
    }
    return exported(path, extension)
  })
  return files.length > 0 ? [ofFiles('workflow', files), ...workflows] : workflows
}

/** @param {string} path @returns {boolean} */
function isFolder(path) {
  try {
    return statSync(path).isDirectory()
  } catch (error) {
    const { code, message } = /** @type {NodeJS.ErrnoException} */ (error)
    throw new UsageError(`${path}: ${code === 'ENOENT' ? 'there is no such file' : message}.`)
  }
}

/** @param {string} name @param {string[]} files @returns {Workflow} */
function ofFiles(name, files) {
  const names = stepNames(files)
  const steps = files.map((path, index) => ({
    name: names[index],
    origin: relative('', path) || path,
    path,
  }))
  return { name, steps, notUnderstood: [] }
}

/**
 * @param {string} folder
 * @returns {Workflow[]} each `workflow.yaml` with the step files of its folder, the other step files as one workflow,
 *   and each exported workflow
 */
function ofFolder(folder) {
  const files = filesIn(folder)
  const beside = files.filter((path) => !isExport(path)).map((path) => besideOf(folder, path))
  const { workflows, rest } = withDefinitions(beside)
  const exports = files
    .filter(isExport)
    .flatMap((path) => exported(path, extname(path).toLowerCase()))
    // Folders have other JSON, too: events, settings.
    .filter(({ isWithoutCode }) => !isWithoutCode)
  const loose = rest.map(({ path }) => String(path))
  const all = [
    ...(loose.length > 0 ? [ofFiles(basename(folder), loose)] : []),
    ...workflows,
    ...exports,
  ]
  if (all.length > 0) return all
  throw new UsageError(
    `${folder}: no step file (${source.EXTENSIONS.join(', ')}) and no exported workflow (JSON, ZIP) is in it.`,
  )
}

/** @param {string} path */
function isExport(path) {
  return EXPORTS.includes(extname(path).toLowerCase())
}

/** @param {string} folder @param {string} path @returns {FileBeside} */
function besideOf(folder, path) {
  const name = relative(folder, path).replaceAll(sep, posix.sep)
  return { name, origin: relative('', path) || path, path }
}

/**
 * Gives each `workflow.yaml` the step files of its folder, but for those of a deeper one.
 *
 * @param {FileBeside[]} files
 * @returns {{ workflows: Workflow[], rest: FileBeside[] }} `rest`: step files that belong to none
 */
function withDefinitions(files) {
  let rest = files.filter(({ name }) => !isDefinition(name))
  const depth = (/** @type {FileBeside} */ { name }) => name.split('/').length
  const definitions = files.filter(({ name }) => isDefinition(name))
  const deepest = definitions.toSorted((one, other) => depth(other) - depth(one))
  /** @type {Map<FileBeside, Workflow>} */
  const found = new Map()
  for (const definition of deepest) {
    const folder = posix.dirname(definition.name)
    const isOwn = (/** @type {FileBeside} */ { name }) =>
      folder === '.' || name.startsWith(`${folder}/`)
    const own = rest.filter((file) => isOwn(file) && !isExport(file.name))
    rest = rest.filter((file) => !own.includes(file))
    const { path, content } = definition
    const text = (path === undefined ? (content ?? '') : readFileSync(path)).toString()
    found.set(definition, ofDefinition(definition, text, own))
  }
  const workflows = definitions.map((one) => /** @type {Workflow} */ (found.get(one)))
  return { workflows, rest }
}

/** @param {string} folder @returns {string[]} its files to read, sorted, without packages and hidden files */
function filesIn(folder) {
  /** @type {string[]} */
  const files = []
  const open = [folder]
  for (let place = open.pop(); place !== undefined; place = open.pop()) {
    for (const entry of readdirSync(place, { withFileTypes: true })) {
      if (entry.name.startsWith('.') || entry.name === 'node_modules') continue
      const path = join(place, entry.name)
      if (entry.isDirectory()) open.push(path)
      else if (entry.isFile() && isRead(entry.name)) files.push(path)
    }
    if (files.length > MAX_FILES) throw new UsageError(`${folder}: more than ${MAX_FILES} files.`)
  }
  return files.sort()
}

/** @param {string} name @returns {boolean} */
function isRead(name) {
  if (isExport(name)) return !SETTINGS.test(name)
  return isStepFile(name) || isDefinition(name)
}

/** @param {string} name */
function isStepFile(name) {
  return (
    source.EXTENSIONS.includes(extname(name)) &&
    !/\.(d\.[cm]?ts|test\.[cm]?js|spec\.[cm]?js)$/.test(name)
  )
}

/** @param {string} path @param {string} extension @returns {Workflow[]} */
function exported(path, extension) {
  if (!statSync(path).isFile()) throw new UsageError(`${path}: it is not a regular file.`)
  const bytes = readFileSync(path)
  if (isZip(bytes) || extension === '.zip') {
    const entries = readZip(bytes, path)
    const files = entries.map(({ name, content }) => ({ name, origin: `${path}/${name}`, content }))
    const { workflows, rest } = withDefinitions(files)
    const all = rest.flatMap(({ origin, content }) => ofEntry(origin, content ?? Buffer.alloc(0)))
    // Pipedream's list of the workflows in the file.
    const found = all.filter(({ name, isWithoutCode }) => !(name === 'manifest' && isWithoutCode))
    if (workflows.length + found.length > 0) return [...workflows, ...found]
    throw new UsageError(`${path}: it is an empty ZIP file.`)
  }
  if (extension === '.json') return ofJson(path, bytes)
  if (isDefinition(path)) return ofNamedDefinition(path, bytes.toString())
  throw new UsageError(
    `${path}: check reads step files (${source.EXTENSIONS.join(', ')}), folders, workflow.yaml, JSON, and ZIP files.`,
  )
}

/** @param {string} path @param {string} text @returns {Workflow[]} */
function ofNamedDefinition(path, text) {
  const folder = dirname(path)
  const files = filesIn(folder).filter((file) => isStepFile(basename(file)))
  const beside = files.map((file) => besideOf(folder, file))
  return [ofDefinition(besideOf(folder, path), text, beside)]
}

/** @param {string} origin @param {Buffer} content @returns {Workflow[]} */
function ofEntry(origin, content) {
  const name = basename(origin)
  const extension = extname(name).toLowerCase()
  if (extension === '.json') return ofJson(origin, content)
  if (source.EXTENSIONS.includes(extension)) {
    const [own] = stepNames([origin])
    return [{ name, steps: [{ name: own, origin, code: content.toString() }], notUnderstood: [] }]
  }
  const notUnderstood = [`${origin}: it is neither JSON nor a step file`]
  return [{ name, steps: [], notUnderstood }]
}
