// The command line as a decision: what to do with which settings. Pure, touches no file.

import { parseArgs } from 'node:util'

import { migrateSettings } from './migrate-arguments.mjs'
import { pauseSettings, retrySettings } from './queue-arguments.mjs'
import { COMMANDS, nearest, OPTIONS, OPTIONS_OF, UsageError } from './usage.mjs'

/**
 * @typedef {object} RunSettings
 * @property {string[]} files
 * @property {string} [event]
 * @property {string} [props]
 * @property {string} [steps] exports of earlier steps
 * @property {string} [auths]
 * @property {string} [envFile]
 * @property {string} workflow
 * @property {string} step
 * @property {string} [config]
 * @property {string} [dataDir]
 * @property {string[]} allow
 * @property {number} [timeoutMs]
 * @property {number} waitMs
 * @property {boolean} verbose
 * @property {boolean} json
 */
/**
 * @typedef {object} LogSettings
 * @property {string} [url] of a running engine
 * @property {string} [token]
 * @property {boolean} verbose whether to show headers and bodies
 * @property {boolean} follow
 * @property {string} [config]
 * @property {string} [dataDir]
 * @property {Record<string, string | number>} filter of `engine.deliveries()`
 * @property {boolean} json
 */
/**
 * @typedef {LogSettings & { ids: string[], allow: string[], timeoutMs?: number, yes: boolean,
 *   waitMs: number }} ReplaySettings
 */
/**
 * @typedef {object} ServeSettings
 * @property {string} [config]
 * @property {string} [dataDir]
 * @property {boolean} deliver whether to deliver without a configuration
 * @property {boolean} open whether to open the page in a browser
 * @property {string} [host]
 * @property {number} [port]
 * @property {string[]} tokens
 * @property {string[]} cors
 * @property {string} [publicUrl]
 * @property {string[]} publicStreams
 * @property {string[]} allow
 * @property {number} [timeoutMs]
 */
/**
 * @typedef {object} SqlSettings
 * @property {string} query
 * @property {string} [config]
 * @property {string} [dataDir]
 * @property {string} [url]
 * @property {string} [token]
 * @property {number} [timeoutMs]
 * @property {'table' | 'csv'} format
 */
/**
 * @typedef {object} InitSettings
 * @property {string} folder
 */
/**
 * @typedef {object} CheckSettings
 * @property {string[]} paths
 * @property {string} [write] the folder for steps that run
 * @property {boolean} json
 */
/**
 * @typedef {{ command: 'version' } | { command: 'help', topic?: string, asked: boolean }
 *   | { command: 'init', settings: InitSettings }
 *   | { command: 'runs', settings: LogSettings }
 *   | { command: 'run', settings: RunSettings } | { command: 'log', settings: LogSettings }
 *   | { command: 'replay', settings: ReplaySettings }
 *   | { command: 'pause' | 'resume', settings: import('./queue-arguments.mjs').PauseSettings }
 *   | { command: 'retry-now', settings: import('./queue-arguments.mjs').RetrySettings }
 *   | { command: 'serve', settings: ServeSettings }
 *   | { command: 'sql', settings: SqlSettings }
 *   | { command: 'migrate', settings: import('./migrate-arguments.mjs').MigrateSettings }
 *   | { command: 'check', settings: CheckSettings }} Decision
 */

/** What `--timeout` accepts at most: an hour, in milliseconds. */
const MAX_TIMEOUT_MS = 3_600_000

/** @param {string} name @param {string} raw @returns {UsageError} */
function unknownOption(name, raw) {
  const meant = nearest(name, Object.keys(OPTIONS))
  return new UsageError(`Unknown option ${raw}.${meant ? ` Did you mean --${meant}?` : ''}`)
}

/** @param {string} command @returns {UsageError} */
function unknownCommand(command) {
  if (/\.[cm]?[jt]sx?$/.test(command)) {
    return new UsageError(`Unknown command ${command}. To run a file: dollar-send run ${command}`)
  }
  const meant = nearest(command, COMMANDS)
  return new UsageError(`Unknown command ${command}.${meant ? ` Did you mean ${meant}?` : ''}`)
}

/**
 * `parseArgs`, with our own words for what it refuses.
 *
 * @param {string[]} args
 */
function parse(args) {
  const { tokens } = parseArgs({
    args,
    options: OPTIONS,
    allowPositionals: true,
    strict: false,
    tokens: true,
  })
  for (const token of tokens) {
    if (token.kind === 'option' && !(token.name in OPTIONS))
      throw unknownOption(token.name, token.rawName)
  }
  try {
    return parseArgs({ args, options: OPTIONS, allowPositionals: true, strict: true })
  } catch (error) {
    const [sentence] = /** @type {Error} */ (error).message.split('\n')
    throw new UsageError(`${sentence.replace(/\.?$/, '.')}`)
  }
}

/** The seconds for which a command waits for deliveries, and the most that `--wait` accepts. */
const WAIT_SECONDS = 60
const MAX_WAIT_SECONDS = 86_400

/** @param {string | undefined} text @returns {number} milliseconds */
function waitOf(text = String(WAIT_SECONDS)) {
  const seconds = Number(text)
  if (text !== '' && seconds >= 0 && seconds <= MAX_WAIT_SECONDS) return seconds * 1000
  throw new UsageError(
    `--wait must be a number of seconds from 0 to ${MAX_WAIT_SECONDS}, not ${text}.`,
  )
}

/** @param {string | undefined} text @returns {number | undefined} */
function timeoutOf(text) {
  if (text === undefined) return undefined
  const value = Number(text)
  if (Number.isInteger(value) && value > 0 && value <= MAX_TIMEOUT_MS) return value
  throw new UsageError(
    `--timeout must be a whole number of milliseconds from 1 to ${MAX_TIMEOUT_MS}, not ${text}.`,
  )
}

/** Options of `run` that name a file of JSON. */
const INPUTS = /** @type {const} */ (['event', 'props', 'steps', 'auths'])

/**
 * @param {string[]} files
 * @param {ReturnType<typeof parse>['values']} values
 * @returns {RunSettings}
 */
function runSettings(files, values) {
  if (files.length === 0) throw new UsageError('run needs a file: dollar-send run step.mjs')
  if (files.length > 1 && values.step !== undefined) {
    throw new UsageError('--step names a single step; those of several files have their names.')
  }
  const fromInput = INPUTS.filter((name) => values[name] === '-')
  if (fromInput.length > 1) {
    const options = fromInput.map((name) => `--${name}`).join(' and ')
    throw new UsageError(`Only one of ${options} can read standard input.`)
  }
  for (const name of /** @type {const} */ (['workflow', 'step'])) {
    if (values[name] === '') throw new UsageError(`--${name} must not be empty.`)
  }
  return {
    files,
    event: values.event,
    props: values.props,
    steps: values.steps,
    auths: values.auths,
    envFile: values['env-file'],
    workflow: values.workflow ?? 'p_local',
    step: values.step ?? 'code',
    ...placeOf(values),
    allow: values.allow ?? [],
    timeoutMs: timeoutOf(values.timeout),
    waitMs: waitOf(values.wait),
    verbose: values.verbose ?? false,
    json: values.json ?? false,
  }
}

/** The statuses that the log can be asked for. */
const STATUSES = ['pending', 'delivered', 'failed', 'discarded']

/** What `--limit` accepts at most. */
const MAX_LIMIT = 1_000_000

/**
 * Returns the options that choose the configuration and the data directory.
 *
 * @param {ReturnType<typeof parse>['values']} values
 */
function placeOf({ config, 'data-dir': dataDir, url, token }) {
  // An unset variable of the shell must not choose another place.
  for (const [name, value] of Object.entries({ config, 'data-dir': dataDir, url, token }))
    if ([value].flat().some((one) => one?.trim() === ''))
      throw new UsageError(`--${name} must not be empty.`)
  return { config, dataDir }
}

/**
 * The filter of the log in options, under the names of `engine.deliveries()`.
 *
 * @param {ReturnType<typeof parse>['values']} values
 */
function filterOf({ workflow, execution, step, destination, status, limit, before }) {
  if (status !== undefined && !STATUSES.includes(status))
    throw new UsageError(`--status must be one of ${STATUSES.join(', ')}, not ${status}.`)
  const count = limit === undefined ? undefined : Number(limit)
  if (count !== undefined && !(Number.isInteger(count) && count > 0 && count <= MAX_LIMIT))
    throw new UsageError(`--limit must be a whole number from 1 to ${MAX_LIMIT}, not ${limit}.`)
  const filter = {
    workflowId: workflow,
    executionId: execution,
    step,
    destination,
    status,
    limit: count,
    before,
  }
  return Object.fromEntries(Object.entries(filter).filter(([, value]) => value !== undefined))
}

/**
 * @param {ReturnType<typeof parse>['values']} values
 * @returns {LogSettings}
 */
function logSettings(values) {
  const { url, token } = values
  if (url !== undefined && (values['data-dir'] ?? values.config) !== undefined)
    throw new UsageError(
      '--url names a running engine: it has its own directory and configuration.',
    )
  return {
    ...placeOf(values),
    url,
    token: token?.[0],
    verbose: values.verbose ?? false,
    follow: values.follow ?? false,
    filter: /** @type {LogSettings['filter']} */ (filterOf(values)),
    json: values.json ?? false,
  }
}

/**
 * @param {string[]} ids
 * @param {ReturnType<typeof parse>['values']} values
 * @returns {ReplaySettings}
 */
function replaySettings(ids, values) {
  const settings = logSettings(values)
  if (ids.length > 0 && Object.keys(settings.filter).length > 0)
    throw new UsageError('replay takes either ids or filters.')
  return {
    ...settings,
    ids,
    allow: values.allow ?? [],
    timeoutMs: timeoutOf(values.timeout),
    yes: values.yes ?? false,
    waitMs: waitOf(values.wait),
  }
}

/**
 * @param {string[]} others
 * @param {ReturnType<typeof parse>['values']} values
 * @returns {ServeSettings}
 */
function serveSettings(others, values) {
  if (others.length > 0) throw new UsageError('serve takes no arguments, only options.')
  const port = values.port === undefined ? undefined : Number(values.port)
  if (
    port !== undefined &&
    !(values.port !== '' && Number.isInteger(port) && port >= 0 && port < 65_536)
  )
    throw new UsageError(`--port must be a whole number from 0 to 65535, not ${values.port}.`)
  return {
    ...placeOf(values),
    deliver: values.deliver ?? false,
    open: values.open ?? false,
    host: values.host,
    port,
    tokens: values.token ?? [],
    cors: values.cors ?? [],
    publicUrl: values['public-url'],
    publicStreams: values.public ?? [],
    allow: values.allow ?? [],
    timeoutMs: timeoutOf(values.timeout),
  }
}

/**
 * @param {string[]} queries
 * @param {ReturnType<typeof parse>['values']} values
 * @returns {SqlSettings}
 */
function sqlSettings(queries, values) {
  const { url, token, timeout, csv } = values
  const { config, dataDir } = placeOf(values)
  if (queries.length !== 1 || queries[0] === '')
    throw new UsageError('sql needs one query: dollar-send sql "SHOW TABLES" --data-dir DIR')
  if (dataDir && url) throw new UsageError('sql takes either --data-dir or --url.')
  if (url && !/^https?:\/\//.test(url))
    throw new UsageError(`--url must begin with http:// or https://, not ${url}.`)
  if (url && timeout !== undefined)
    throw new UsageError('--timeout has no meaning with --url: the server has its own.')
  const timeoutMs = timeoutOf(timeout)
  const format = csv ? 'csv' : 'table'
  return { query: queries[0], config, dataDir, url, token: token?.[0], timeoutMs, format }
}

/**
 * @param {string[]} paths
 * @param {ReturnType<typeof parse>['values']} values
 * @returns {CheckSettings}
 */
function checkSettings(paths, { write, json = false }) {
  if (paths.length === 0) {
    throw new UsageError(
      'check needs files, folders or an exported ZIP: dollar-send check export.zip',
    )
  }
  if (write === '') throw new UsageError('--write must not be empty.')
  return { paths, write, json }
}

/**
 * Refuses options that belong to another command.
 *
 * @param {keyof typeof OPTIONS_OF} command
 * @param {object} values
 */
function checkOptions(command, values) {
  const known = OPTIONS_OF[command]
  const other = Object.keys(values).find((name) => !known.includes(name))
  if (!other) return
  const meant = nearest(other, known)
  const hint = meant ? ` Did you mean --${meant}?` : ''
  throw new UsageError(`${command} has no option --${other}.${hint}`)
}

/**
 * What the command line asks for.
 *
 * @param {string[]} args without `node` and the script
 * @returns {Decision}
 * @throws {UsageError}
 */
export function decide(args) {
  const { values, positionals } = parse(args)
  const [command, ...rest] = positionals
  // -v alone, as with most commands.
  const isVersion = values.version || (values.verbose && command === undefined)
  if (isVersion) return { command: 'version' }
  if (command !== undefined && !COMMANDS.includes(command)) throw unknownCommand(command)
  if (command === 'help') {
    if (rest[0] !== undefined && !COMMANDS.includes(rest[0])) throw unknownCommand(rest[0])
    return { command: 'help', topic: rest[0], asked: true }
  }
  if (values.help || command === undefined) {
    return { command: 'help', topic: command, asked: values.help ?? false }
  }
  checkOptions(/** @type {keyof typeof OPTIONS_OF} */ (command), values)
  if (command === 'init') {
    if (rest.length > 1) throw new UsageError('init takes one folder: dollar-send init FOLDER')
    return { command, settings: { folder: rest[0] ?? '.' } }
  }
  if (command === 'log' || command === 'runs') {
    if (rest.length > 0) throw new UsageError(`${command} takes no arguments, only options.`)
    return { command, settings: logSettings(values) }
  }
  if (command === 'serve') return { command, settings: serveSettings(rest, values) }
  if (command === 'sql') return { command, settings: sqlSettings(rest, values) }
  if (command === 'replay') return { command, settings: replaySettings(rest, values) }
  if (command === 'pause' || command === 'resume')
    return { command, settings: pauseSettings(command, rest, values, logSettings(values)) }
  if (command === 'retry-now')
    return { command, settings: retrySettings(rest, values, logSettings(values)) }
  if (command === 'migrate') return { command, settings: migrateSettings(rest, values) }
  if (command === 'check') return { command, settings: checkSettings(rest, values) }
  return { command: 'run', settings: runSettings(rest, values) }
}
