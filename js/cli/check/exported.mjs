// Workflows of one exported file: JSON, or a `workflow.yaml` with its code in files beside it.

import { basename, extname, posix } from 'node:path'

import source from '../../runner/loading/source.cjs'
import { locateJsonError } from '../json.mjs'
import { workflowsOf } from './workflows.mjs'
import { parseYaml } from './yaml.mjs'
import { YamlError } from './yaml-values.mjs'

/** @typedef {import('./read.mjs').Step} Step */
/** @typedef {import('./read.mjs').Workflow} Workflow */
/** @typedef {import('./workflows.mjs').FoundStep} FoundStep */
/**
 * @typedef {object} FileBeside
 * @property {string} name relative to the folder that was read, with slashes
 * @property {string} origin where it is, for people
 * @property {string} [path]
 * @property {Buffer} [content] of a file that has no path
 */

/** A component of Pipedream's registry, such as `slack-send-message`. */
const ACTION = /^[a-z\d_]+(-[a-z\d_]+)+$/
const ACTION_KEYS = ['key', 'component_key', 'componentKey', 'action']

/** @param {string} name of a file */
export function isDefinition(name) {
  return /^workflow\.ya?ml$/i.test(basename(name))
}

/** @param {string} origin @param {Buffer} content @returns {Workflow[]} */
export function ofJson(origin, content) {
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
    return [{ name: file, steps: [], notUnderstood: [`${origin} is not JSON${where}`] }]
  }
  const found = workflowsOf(value)
  return found.map(({ name, steps, notUnderstood }, index) => {
    const misses = notUnderstood.map((one) => `${origin}: ${one}`)
    if (steps.length === 0) misses.push(`${origin}: no code was found in it`)
    return {
      name: name ?? (found.length > 1 ? `${file}_${index + 1}` : file),
      steps: steps.map((step) => stepOf(step, origin)),
      notUnderstood: misses,
      isWithoutCode: steps.length === 0 && notUnderstood.length === 0,
    }
  })
}

/**
 * Reads the order of the steps from a `workflow.yaml`, and their code from the files beside it.
 *
 * @param {FileBeside} definition
 * @param {string} text of it
 * @param {FileBeside[]} files of its folder
 * @returns {Workflow}
 */
export function ofDefinition(definition, text, files) {
  const { name, origin } = definition
  const folder = posix.dirname(name)
  const own = basename(folder === '.' ? posix.dirname(origin.replaceAll('\\', '/')) : folder)
  const stepFiles = files.filter((file) => isStepFile(file.name))
  let value
  try {
    value = parseYaml(text)
  } catch (error) {
    if (!(error instanceof YamlError)) throw error
    const notUnderstood = [`${origin} is not understood: ${error.message}`]
    return { name: own, steps: stepFiles.map(stepIn), notUnderstood }
  }
  const found = workflowsOf(value)
  const notUnderstood = found.flatMap((one) =>
    one.notUnderstood.map((miss) => `${origin}: ${miss}`),
  )
  if (found.every(({ steps }) => steps.length === 0))
    notUnderstood.push(`${origin}: no step was found in it`)
  /** @type {Set<FileBeside>} */
  const used = new Set()
  const steps = found.flatMap(({ steps: all }) =>
    all.map((step) => {
      const file = step.code === undefined ? fileOf(step, folder, files) : undefined
      if (!file) return stepOf(step, origin)
      used.add(file)
      const { name: own, language, props } = step
      return {
        ...stepIn(file),
        name: own,
        ...(language && { language }),
        ...(props && { props }),
      }
    }),
  )
  const others = stepFiles.filter((file) => !used.has(file)).map(stepIn)
  return { name: found[0].name ?? own, steps, others, notUnderstood }
}

/** @param {FileBeside} file @returns {Step} */
function stepIn({ name, origin, path, content }) {
  const own = basename(name, extname(name))
  const folder = basename(posix.dirname(name))
  const isEntry = (own === 'entry' || own === 'index') && folder !== '.'
  return {
    name: isEntry ? folder : own,
    origin,
    ...(path === undefined ? { code: content?.toString() ?? '' } : { path }),
  }
}

/** @param {FoundStep} step @param {string} origin @returns {Step} */
function stepOf({ place, item, ...step }, origin) {
  return {
    ...step,
    origin: `${origin}: ${place}`,
    ...(step.code === undefined && { missing: reasonOf(item) }),
  }
}

/** @param {unknown} item a step that has no code @returns {string} */
function reasonOf(item) {
  const texts = Object.entries(typeof item === 'object' && item !== null ? item : {}).filter(
    (entry) => typeof entry[1] === 'string',
  )
  const action = texts.find(([key, text]) => ACTION_KEYS.includes(key) && ACTION.test(text))
  if (action) {
    return `it has no code: it is the action ${action[1]}, whose code is in Pipedream's repository`
  }
  const file = texts.find(([, text]) => isStepFile(text))
  return file ? `its file ${file[1]} is missing` : 'it has no code'
}

/**
 * Finds the file of a step: the one that a text of the step names, or the one with the step's name.
 *
 * @param {FoundStep} step
 * @param {string} folder of the definition
 * @param {FileBeside[]} files
 * @returns {FileBeside | undefined}
 */
function fileOf({ name, item, language }, folder, files) {
  const texts = Object.values(typeof item === 'object' && item !== null ? item : {})
  const named = texts.filter((text) => typeof text === 'string' && isStepFile(text))
  const usual = ['/entry', '/index', ''].flatMap((tail) =>
    source.EXTENSIONS.map((extension) => `${name}${tail}${extension}`),
  )
  const wanted = [...named, ...(named.length > 0 || language ? [] : usual)]
  for (const text of wanted) {
    const path = posix.join(folder, text.replaceAll('\\', '/'))
    const file = files.find((one) => one.name === path)
    if (file) return file
  }
  return undefined
}

/** @param {string} text */
function isStepFile(text) {
  return source.EXTENSIONS.includes(extname(text))
}
