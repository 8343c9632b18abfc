// The command line as a decision: what to do with which settings. Pure, touches no file.

import { parseArgs } from 'node:util'

import { COMMANDS, nearest, OPTIONS, OPTIONS_OF, UsageError } from './usage.mjs'

/**
 * @typedef {object} RunSettings
 * @property {string} file
 * @property {string} [event]
 * @property {string} [props]
 * @property {string} workflow
 * @property {string} step
 * @property {string} [dataDir]
 * @property {string[]} allow
 * @property {number} [timeoutMs]
 * @property {boolean} json
 */
/**
 * @typedef {object} LogSettings
 * @property {string} dataDir
 * @property {Record<string, string | number>} filter of `engine.deliveries()`
 * @property {boolean} json
 */
/**
 * @typedef {LogSettings & { ids: string[], allow: string[], timeoutMs?: number }} ReplaySettings
 */
/**
 * @typedef {object} ServeSettings
 * @property {string} [dataDir]
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
 * @property {string} [dataDir]
 * @property {string} [url]
 * @property {string} [token]
 * @property {number} [timeoutMs]
 * @property {'table' | 'csv'} format
 */
/**
 * @typedef {{ command: 'version' } | { command: 'help', topic?: string, asked: boolean }
 *   | { command: 'run', settings: RunSettings } | { command: 'log', settings: LogSettings }
 *   | { command: 'replay', settings: ReplaySettings }
 *   | { command: 'serve', settings: ServeSettings }
 *   | { command: 'sql', settings: SqlSettings }} Decision
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

/** @param {string | undefined} text @returns {number | undefined} */
function timeoutOf(text) {
  if (text === undefined) return undefined
  const value = Number(text)
  if (Number.isInteger(value) && value > 0 && value <= MAX_TIMEOUT_MS) return value
  throw new UsageError(
    `--timeout must be a whole number of milliseconds from 1 to ${MAX_TIMEOUT_MS}, not ${text}.`,
  )
}

/**
 * @param {string[]} files
 * @param {ReturnType<typeof parse>['values']} values
 * @returns {RunSettings}
 */
function runSettings(files, values) {
  if (files.length === 0) throw new UsageError('run needs a file: dollar-send run step.mjs')
  if (files.length > 1) {
    throw new UsageError(`run takes one file, but got ${files.length}: ${files.join(', ')}.`)
  }
  if (values.event === '-' && values.props === '-') {
    throw new UsageError('Only one of --event and --props can read standard input.')
  }
  for (const name of /** @type {const} */ (['workflow', 'step', 'data-dir'])) {
    if (values[name] === '') throw new UsageError(`--${name} must not be empty.`)
  }
  return {
    file: files[0],
    event: values.event,
    props: values.props,
    workflow: values.workflow ?? 'p_local',
    step: values.step ?? 'code',
    dataDir: values['data-dir'],
    allow: values.allow ?? [],
    timeoutMs: timeoutOf(values.timeout),
    json: values.json ?? false,
  }
}

/** The statuses that the log can be asked for. */
const STATUSES = ['pending', 'delivered', 'failed', 'discarded']

/** What `--limit` accepts at most. */
const MAX_LIMIT = 1_000_000

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
 * @param {'log' | 'replay'} command
 * @param {ReturnType<typeof parse>['values']} values
 * @returns {LogSettings}
 */
function logSettings(command, values) {
  const dataDir = values['data-dir']
  if (!dataDir) throw new UsageError(`${command} needs --data-dir: the directory to read.`)
  return {
    dataDir,
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
  const settings = logSettings('replay', values)
  if (ids.length > 0 && Object.keys(settings.filter).length > 0)
    throw new UsageError('replay takes either ids or filters.')
  return { ...settings, ids, allow: values.allow ?? [], timeoutMs: timeoutOf(values.timeout) }
}

/**
 * @param {string[]} others
 * @param {ReturnType<typeof parse>['values']} values
 * @returns {ServeSettings}
 */
function serveSettings(others, values) {
  if (others.length > 0) throw new UsageError('serve takes no arguments, only options.')
  if (values['data-dir'] === '') throw new UsageError('--data-dir must not be empty.')
  const port = values.port === undefined ? undefined : Number(values.port)
  if (
    port !== undefined &&
    !(values.port !== '' && Number.isInteger(port) && port >= 0 && port < 65_536)
  )
    throw new UsageError(`--port must be a whole number from 0 to 65535, not ${values.port}.`)
  return {
    dataDir: values['data-dir'],
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
  const { 'data-dir': dataDir, url, token, timeout, csv } = values
  if (queries.length !== 1 || queries[0] === '')
    throw new UsageError('sql needs one query: dollar-send sql "SHOW TABLES" --data-dir DIR')
  if (Boolean(dataDir) === Boolean(url))
    throw new UsageError('sql needs either --data-dir or --url.')
  if (url && !/^https?:\/\//.test(url))
    throw new UsageError(`--url must begin with http:// or https://, not ${url}.`)
  if (url && timeout !== undefined)
    throw new UsageError('--timeout has no meaning with --url: the server has its own.')
  const timeoutMs = timeoutOf(timeout)
  const format = csv ? 'csv' : 'table'
  return { query: queries[0], dataDir, url, token: token?.[0], timeoutMs, format }
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
  if (other) throw new UsageError(`${command} has no option --${other}.`)
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
  if (values.version) return { command: 'version' }
  if (command !== undefined && !COMMANDS.includes(command)) throw unknownCommand(command)
  if (command === 'help') {
    if (rest[0] !== undefined && !COMMANDS.includes(rest[0])) throw unknownCommand(rest[0])
    return { command: 'help', topic: rest[0], asked: true }
  }
  if (values.help || command === undefined) {
    return { command: 'help', topic: command, asked: values.help ?? false }
  }
  checkOptions(/** @type {keyof typeof OPTIONS_OF} */ (command), values)
  if (command === 'log') {
    if (rest.length > 0) throw new UsageError('log takes no arguments, only options.')
    return { command, settings: logSettings(command, values) }
  }
  if (command === 'serve') return { command, settings: serveSettings(rest, values) }
  if (command === 'sql') return { command, settings: sqlSettings(rest, values) }
  if (command === 'replay') return { command, settings: replaySettings(rest, values) }
  return { command: 'run', settings: runSettings(rest, values) }
}
