// Files that the command line names: the step and its JSON inputs. Every refusal says what to do.

import { execFile } from 'node:child_process'
import { readFile, stat } from 'node:fs/promises'
import { resolve } from 'node:path'
import { text } from 'node:stream/consumers'
import { pathToFileURL } from 'node:url'
import { promisify } from 'node:util'

import { locateJsonError } from './json.mjs'
import { UsageError } from './usage.mjs'

const run = promisify(execFile)

const STEP_FORMS =
  'A step is, for example:\n' +
  '  export default async function (event, steps) { $send.http({ ... }) }\n' +
  '  export default defineComponent({ async run({ steps, $ }) { $.send.http({ ... }) } })'

/** What Node adds to the exports of a CommonJS file. */
const INTEROP = ['default', 'module.exports', '__esModule']

/** @param {unknown} error @returns {string} */
function codeOf(error) {
  return String(/** @type {{ code?: unknown }} */ (error)?.code ?? '')
}

/**
 * @param {string} what the option or argument, for the message
 * @param {string} file
 * @returns {Promise<string>} its absolute path
 */
async function existingFile(what, file) {
  const path = resolve(file)
  const info = await stat(path).catch((error) => {
    const reason = codeOf(error) === 'ENOENT' ? 'there is no such file' : error.message
    throw new UsageError(`${what} ${file}: ${reason}.`)
  })
  if (info.isDirectory())
    throw new UsageError(`${what} ${file}: it is a directory, name a file in it.`)
  return path
}

/**
 * The value of `--event` or `--props`.
 *
 * @param {string} option
 * @param {string | undefined} file `-` is standard input
 * @returns {Promise<any>} `{}` without a file
 * @throws {UsageError} with line and column when it is not JSON
 */
export async function loadJson(option, file) {
  if (file === undefined) return {}
  const source =
    file === '-'
      ? await text(process.stdin)
      : await readFile(await existingFile(option, file), 'utf8')
  const json = source.replace(/^\uFEFF/, '')
  try {
    return JSON.parse(json)
  } catch (error) {
    const place = locateJsonError(json)
    const name = file === '-' ? 'standard input' : file
    if (json.trim() === '')
      throw new UsageError(`${option} ${name}: it is empty; an empty event is {}.`)
    if (!place)
      throw new UsageError(
        `${option} ${name} is not JSON: ${/** @type {Error} */ (error).message}.`,
      )
    throw new UsageError(
      `${option} ${name} is not JSON: line ${place.line}, column ${place.column}: expected ${place.expected}.`,
    )
  }
}

/**
 * Where a syntax error is: the error itself does not say, the checker of Node does.
 *
 * @param {string} path
 * @param {Error} error
 * @returns {Promise<string>}
 */
async function syntaxReport(path, error) {
  const checked = await run(process.execPath, ['--check', path]).catch((failure) => failure)
  const report = String(checked.stderr ?? '')
    .split(/\n\s+at /)[0]
    .replace(/^\((?:node:|Use `node).*\n/gm, '')
    .trim()
  return report.includes('SyntaxError')
    ? report
    : (error.stack ?? error.message).split(/\n\s+at /)[0]
}

/**
 * The reason why a file cannot be a step, if that is what `error` says; any other error is the file's own.
 *
 * @param {string} file
 * @param {string} path
 * @param {unknown} error
 * @returns {Promise<UsageError | undefined>}
 */
async function importRefusal(file, path, error) {
  if (error instanceof SyntaxError) {
    const hint =
      path.endsWith('.js') && /\b(export|import)\b/.test(error.message)
        ? ' Name it .mjs if it is an ES module.'
        : ''
    return new UsageError(`${file} does not parse.${hint}\n${await syntaxReport(path, error)}`)
  }
  const message = error instanceof Error ? error.message.split('\n')[0] : String(error)
  switch (codeOf(error)) {
    case 'ERR_UNKNOWN_FILE_EXTENSION':
      return new UsageError(
        `${file}: Node.js cannot run this kind of file; compile it to .mjs, .cjs or .js first.`,
      )
    case 'ERR_MODULE_NOT_FOUND':
    case 'MODULE_NOT_FOUND':
      return new UsageError(
        `${file}: ${message.replace(/\.?$/, '.')} Install what it imports next to it.`,
      )
    case 'ERR_SEND_NO_STEP':
      return new UsageError(
        `${file} sends while it loads, before there is a step: put its code into an exported function.\n${STEP_FORMS}`,
      )
    default:
      return undefined
  }
}

/**
 * The module in `file`: an object whose `default` is worth running.
 *
 * @param {string} file
 * @returns {Promise<Record<string, unknown>>}
 * @throws {UsageError} for what is wrong with the file; whatever the file throws while it loads
 */
export async function loadStep(file) {
  const path = await existingFile('File', file)
  let module
  try {
    module = await import(pathToFileURL(path).href)
  } catch (error) {
    throw (await importRefusal(file, path, error)) ?? error
  }
  if (module.default === undefined && typeof module.run !== 'function') {
    const names = Object.keys(module).filter((name) => !INTEROP.includes(name))
    const exported = names.length > 0 ? `it exports ${names.join(', ')}` : 'it exports nothing'
    throw new UsageError(`${file} has no default export (${exported}).\n${STEP_FORMS}`)
  }
  return module
}
