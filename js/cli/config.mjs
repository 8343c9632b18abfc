// The configuration that runner and command share, and the data directory that follows from it.

import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { inspect } from 'node:util'

import engineOptions from '../options.cjs'
import values from '../values.cjs'
import { UsageError } from './usage.mjs'

/** The file that is read when --config names none. */
const CONFIG_FILE = 'dollar-send.config.mjs'

/** The data directory when neither an option nor the configuration names one. */
const DEFAULT_DATA_DIR = '.dollar-send'

/** The variable that names the data directory. */
const DATA_DIR_VARIABLE = 'DOLLAR_SEND_DATA_DIR'

const EXAMPLE = "export default { dataDir: './.dollar-send', email: { smtp: '…' } }"

/** @typedef {import('../../index.js').EngineOptions} EngineOptions */
/**
 * @typedef {object} Configuration
 * @property {string} [file] the file it was read from; absent without one
 * @property {EngineOptions} options of `Engine.open()`, which checks them
 * @property {string} [dataDir] absolute
 */

/**
 * Reads the configuration and finds the data directory.
 *
 * @param {{ config?: string, dataDir?: string }} settings the options --config and --data-dir
 * @param {'required' | 'optional'} [directory] `required`: without any name it is `./.dollar-send`
 * @returns {Promise<Configuration>}
 * @throws {UsageError}
 */
export async function configuration({ config, dataDir }, directory = 'required') {
  const file = config ?? (existsSync(CONFIG_FILE) ? CONFIG_FILE : undefined)
  const options = file === undefined ? {} : await optionsIn(file)
  const named = namedDirectory(dataDir)
  if (file !== undefined && options.dataDir !== undefined) {
    const own = folderOf(options.dataDir)
    if (named && resolve(named.path) !== own)
      throw new UsageError(
        `${named.source} is ${named.path}, but ${file} has dataDir ${own}: the options of a ` +
          'runner are for its own directory. Leave one out, or give another --config.',
      )
    return { file, options, dataDir: own }
  }
  const chosen = named?.path ?? (directory === 'required' ? DEFAULT_DATA_DIR : undefined)
  return { file, options, dataDir: chosen && resolve(chosen) }
}

/**
 * The same folder that `Engine.open()` opens: relative to the working directory, or by a URL.
 *
 * @param {string | { readonly href: string }} dataDir
 */
function folderOf(dataDir) {
  return resolve(engineOptions.pathText(dataDir))
}

/** @param {string | undefined} option @returns {{ path: string, source: string } | undefined} */
function namedDirectory(option) {
  if (option !== undefined) return { path: option, source: '--data-dir' }
  const variable = process.env[DATA_DIR_VARIABLE]
  return variable ? { path: variable, source: DATA_DIR_VARIABLE } : undefined
}

/** @param {string} file @returns {Promise<EngineOptions>} the options that the file exports */
async function optionsIn(file) {
  const path = resolve(file)
  if (!existsSync(path)) throw new UsageError(`--config ${file}: there is no such file.`)
  let module
  try {
    module = await import(pathToFileURL(path).href)
  } catch (error) {
    throw new UsageError(`${file} cannot be read: ${reasonOf(error)}`, { cause: error })
  }
  if (!('default' in module))
    throw new UsageError(
      `${file} has no default export. It exports the options of Engine.open():\n  ${EXAMPLE}`,
    )
  const options = module.default
  const fault = faultOf(options)
  if (fault !== undefined)
    throw new UsageError(
      `${file} exports ${fault}, not the options of Engine.open(), such as:\n  ${EXAMPLE}`,
    )
  return options
}

/** @param {unknown} options @returns {string | undefined} */
function faultOf(options) {
  if (options === null || options === undefined) return String(options)
  if (typeof options === 'function') return 'a function (export what it returns)'
  if (typeof options !== 'object') return `a ${typeof options}`
  if (Array.isArray(options)) return 'a list'
  if (typeof values.memberOf(options, 'then') === 'function')
    return 'a promise (write export default await …)'
  return undefined
}

/** @param {unknown} error @returns {string} the message, and the place in the file */
function reasonOf(error) {
  if (!(error instanceof Error)) return `it threw ${inspect(error)}`
  if (error instanceof SyntaxError) return (error.stack ?? error.message).split(/\n\s+at /)[0]
  const place = error.stack?.split('\n').find((line) => /^\s+at .*\.mjs/.test(line)) ?? ''
  return `${error.name}: ${error.message}${place && `\n${place}`}`
}
