// Writes the steps of a workflow as files that run, and a program that runs them in their order.

import { mkdirSync, writeFileSync } from 'node:fs'
import { extname, join } from 'node:path'

import { UsageError } from '../usage.mjs'

/**
 * @typedef {object} Written
 * @property {string} name of the step, as later steps find it
 * @property {string} code
 * @property {boolean} isModule
 * @property {string} [path] of the file it is from
 * @property {Record<string, unknown>} [props]
 * @property {string} [leftOut] why it cannot run
 */

/** A name that is a file's on every system, and stays in its folder. @param {string} name */
function fileName(name) {
  const safe = name
    .replace(/[^\p{L}\p{N}_$-]+/gu, '_')
    .replace(/^_+(?=.)/, '')
    .slice(0, 80)
  return /^(con|prn|aux|nul|com\d|lpt\d|workflow|)$/i.test(safe) ? `step_${safe}` : safe
}

/**
 * @param {string[]} names
 * @returns {string[]} the same, each once
 */
export function uniqueNames(names) {
  /** @type {Set<string>} */
  const taken = new Set()
  /** @type {Map<string, number>} */
  const counters = new Map()
  return names.map((name) => {
    const base = name.toLowerCase()
    let number = counters.get(base) ?? 1
    let own = name
    for (; taken.has(own.toLowerCase()); own = `${name}_${number}`) number++
    counters.set(base, number)
    taken.add(own.toLowerCase())
    return own
  })
}

/** A name that a step can have: not the trigger's, and none that an object would put first. @param {string} name */
function stepName(name) {
  return name === 'trigger' || /^\d+$/.test(name) || name === '__proto__' ? `step_${name}` : name
}

/**
 * Writes a workflow into a folder that it makes.
 *
 * @param {string} folder
 * @param {string} name of the workflow
 * @param {Written[]} all its steps, also those that cannot run
 * @returns {string[]} the files
 * @throws {UsageError} when one of them is there already
 */
export function writeWorkflow(folder, name, all) {
  const steps = all.filter(({ leftOut }) => leftOut === undefined)
  const bases = uniqueNames(steps.map((step) => fileName(step.name)))
  const files = steps.map(({ isModule, path }, index) => {
    const extension = path ? extname(path) : isModule ? '.mjs' : '.js'
    return `${bases[index]}${extension.replace('.mts', '.mjs').replace('.cts', '.cjs').replace('.ts', '.mjs')}`
  })
  mkdirSync(folder, { recursive: true })
  const program = programOf(name, all, files)
  const texts = [...steps.map(({ code }, index) => [files[index], code]), ['workflow.mjs', program]]
  return texts.map(([file, text]) => {
    const path = join(folder, file)
    try {
      writeFileSync(path, text, { flag: 'wx' })
    } catch (error) {
      const { code, message } = /** @type {NodeJS.ErrnoException} */ (error)
      throw new UsageError(code === 'EEXIST' ? `${path} is there already.` : `${path}: ${message}.`)
    }
    return path
  })
}

/** @param {string} name @param {Written[]} all @param {string[]} files of those that run */
function programOf(name, all, files) {
  const steps = all.filter(({ leftOut }) => leftOut === undefined)
  const names = uniqueNames(steps.map((step) => stepName(step.name)))
  let index = 0
  const entries = all.map(({ name: own, props, leftOut }) => {
    if (leftOut !== undefined)
      return `    // Left out: ${comment(own)}: ${leftOut.replace(/[\r\n\u2028\u2029]/g, ' ')}`
    const load = `await loadStep(new URL(${JSON.stringify(`./${encodeURIComponent(files[index])}`)}, import.meta.url))`
    const step = props ? `{ step: ${load}, props: ${indented(props)} }` : load
    return `    ${JSON.stringify(names[index++])}: ${step},`
  })
  return `// The workflow ${comment(name)}: node workflow.mjs [event.json]

import { readFileSync } from 'node:fs'
import { Engine, loadStep, runWorkflow } from 'dollar-send'

const [file] = process.argv.slice(2)
const event = file ? JSON.parse(readFileSync(file, 'utf8')) : {}

const engine = await Engine.open()
const outcome = await runWorkflow(
  engine,
  {
    id: ${JSON.stringify(fileName(name))},
    steps: {
${entries.map((entry) => entry.replace(/^ {4}/, '      ')).join('\n')}
    },
  },
  event,
)
console.log(outcome.status, outcome.error ?? outcome.exports)
await engine.close()
`
}

/** @param {string} text one line of it, for a comment */
function comment(text) {
  return JSON.stringify(text).replace(/[\u2028\u2029]/g, ' ')
}

/** Source text of a value: of JSON, but for a key that would set the prototype. @param {unknown} value */
function indented(value) {
  const text = JSON.stringify(value, null, 2).replaceAll('\n', '\n      ')
  return text.replace(/^( *)"__proto__":/gm, '$1["__proto__"]:')
}
