// Files that the command line names: the step and its JSON inputs. Every refusal says what to do.

import { readFile, stat } from 'node:fs/promises'
import { resolve } from 'node:path'
import { text } from 'node:stream/consumers'

import loader from '../runner/load.cjs'
import values from '../values.cjs'
import { locateJsonError } from './json.mjs'
import { UsageError } from './usage.mjs'

/** Files that are open already, such as those of `<(…)` in a shell: nothing waits to open them. */
const OPEN_FILE = /^\/dev\/(stdin|fd\/\d+)$/

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
  if (!info.isFile() && !OPEN_FILE.test(path))
    throw new UsageError(`${what} ${file}: it is not a regular file.`)
  return path
}

/**
 * The value of an option that names a file of JSON, such as `--event`.
 *
 * @param {string} option
 * @param {string | undefined} file `-` is standard input
 * @returns {Promise<unknown>} `{}` without a file
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
    const name = nameOf(file)
    if (json.trim() === '')
      throw new UsageError(`${option} ${name}: it is empty; an empty object is {}.`)
    if (!place)
      throw new UsageError(
        `${option} ${name} is not JSON: ${/** @type {Error} */ (error).message}.`,
      )
    throw new UsageError(
      `${option} ${name} is not JSON: line ${place.line}, column ${place.column}: expected ${place.expected}.`,
    )
  }
}

/** @param {string} file as the command line names it */
function nameOf(file) {
  return file === '-' ? 'standard input' : file
}

/**
 * The value of an option that must be an object: `--props`, `--steps` or `--auths`.
 *
 * @param {string} option
 * @param {string | undefined} file
 * @throws {UsageError}
 */
export async function loadObject(option, file) {
  const value = await loadJson(option, file)
  if (values.isRecord(value)) return value
  throw new UsageError(`${option} ${nameOf(String(file))}: it must hold an object, such as {}.`)
}

/**
 * The reason why a file cannot be a step, if that is what `error` says; any other error is the file's own.
 *
 * @param {string} file
 * @param {string} path
 * @param {unknown} error
 * @returns {UsageError | undefined}
 */
function refusalOf(file, path, error) {
  const message = error instanceof Error ? error.message : String(error)
  const [sentence] = message.split('\n')
  switch (codeOf(error)) {
    case 'ERR_SEND_INVALID_ARGUMENT':
      if (typeof values.memberOf(error, 'path') !== 'string') return undefined
      return new UsageError(message.replace(path, () => file))
    case 'ERR_MODULE_NOT_FOUND':
    case 'MODULE_NOT_FOUND':
      return new UsageError(
        `${file}: ${sentence.replace(/\.?$/, '.')} Install what it imports next to it.`,
      )
    case 'ERR_SEND_NO_STEP':
      return new UsageError(
        `${file} sends while it loads, before there is a step: put its code into an exported function.`,
      )
    default:
      return error instanceof SyntaxError ? new UsageError(`${file}: ${message}`) : undefined
  }
}

/**
 * The step in `file`, of any form.
 *
 * @param {string} file
 * @returns {Promise<import('../runner/load.cjs').LoadedStep>}
 * @throws {UsageError} for what is wrong with the file; whatever the file throws while it loads
 */
export async function loadStep(file) {
  const path = await existingFile('File', file)
  try {
    return await loader.loadStep(path)
  } catch (error) {
    throw refusalOf(file, path, error) ?? error
  }
}

/**
 * Reads a file of environment variables into the environment; what is set already stays.
 *
 * @param {string | undefined} file
 */
export async function loadEnvironment(file) {
  if (file === undefined) return
  const path = await existingFile('--env-file', file)
  const load = process.loadEnvFile
  if (typeof load !== 'function') {
    throw new UsageError('--env-file needs Node.js 20.12 or later; use node --env-file instead.')
  }
  load.call(process, path)
}
