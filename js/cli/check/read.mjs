// Reads what `check` is given: step files, folders of them, exported workflows as JSON or in a ZIP file.

import { readdirSync, readFileSync, statSync } from 'node:fs'
import { basename, extname, join, relative } from 'node:path'

import source from '../../runner/loading/source.cjs'
import { locateJsonError } from '../json.mjs'
import { stepNames } from '../sequence.mjs'
import { UsageError } from '../usage.mjs'
import { stepsOf } from './workflows.mjs'
import { isZip, readZip } from './zip.mjs'

/** Files that a folder may have. */
const MAX_FILES = 10_000

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
 * @property {string} [language] when it is not JavaScript
 * @property {Record<string, unknown>} [props]
 */
/**
 * @typedef {object} Workflow
 * @property {string} name
 * @property {Step[]} steps
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

/** @param {string} folder @returns {Workflow[]} its step files as one, and each exported workflow in it */
function ofFolder(folder) {
  const files = filesIn(folder)
  const isExport = (/** @type {string} */ path) => EXPORTS.includes(extname(path).toLowerCase())
  const steps = files.filter((path) => !isExport(path))
  const exports = files
    .filter(isExport)
    .flatMap((path) => exported(path, extname(path).toLowerCase()))
    // Folders have other JSON, too: events, settings.
    .filter(({ isWithoutCode }) => !isWithoutCode)
  if (steps.length > 0) return [ofFiles(basename(folder), steps), ...exports]
  if (exports.length > 0) return exports
  throw new UsageError(
    `${folder}: no step file (${source.EXTENSIONS.join(', ')}) and no exported workflow (JSON, ZIP) is in it.`,
  )
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
  if (EXPORTS.includes(extname(name).toLowerCase())) return !SETTINGS.test(name)
  return isStepFile(name)
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
    const all = entries.map(({ name, content }) => ofEntry(`${path}/${name}`, content))
    // Pipedream's list of the workflows in the file.
    const found = all.filter(({ name, isWithoutCode }) => !(name === 'manifest' && isWithoutCode))
    if (found.length > 0) return found
    throw new UsageError(`${path}: it is an empty ZIP file.`)
  }
  if (extension === '.json') return [ofJson(path, bytes)]
  throw new UsageError(
    `${path}: check reads step files (${source.EXTENSIONS.join(', ')}), folders, JSON, and ZIP files.`,
  )
}

/** @param {string} origin @param {Buffer} content @returns {Workflow} */
function ofEntry(origin, content) {
  const name = basename(origin)
  const extension = extname(name).toLowerCase()
  if (extension === '.json') return ofJson(origin, content)
  if (source.EXTENSIONS.includes(extension)) {
    const [own] = stepNames([origin])
    return { name, steps: [{ name: own, origin, code: content.toString() }], notUnderstood: [] }
  }
  return { name, steps: [], notUnderstood: [`${origin}: it is neither JSON nor a step file`] }
}

/** @param {string} origin @param {Buffer} content @returns {Workflow} */
function ofJson(origin, content) {
  const text = content.toString().replace(/^\uFEFF/, '')
  const file = basename(origin, extname(origin))
  let value
  try {
    value = JSON.parse(text)
  } catch {
    const place = locateJsonError(text)
    const where = place
      ? `: line ${place.line}, column ${place.column}: expected ${place.expected}`
      : ''
    return { name: file, steps: [], notUnderstood: [`${origin} is not JSON${where}`] }
  }
  const { name = file, steps, notUnderstood } = stepsOf(value)
  const misses = notUnderstood.map((one) => `${origin}: ${one}`)
  if (steps.length === 0) misses.push(`${origin}: no code was found in it`)
  return {
    name,
    steps: steps.map(({ place, ...step }) => ({ ...step, origin: `${origin}: ${place}` })),
    notUnderstood: misses,
    isWithoutCode: steps.length === 0 && notUnderstood.length === 0,
  }
}
